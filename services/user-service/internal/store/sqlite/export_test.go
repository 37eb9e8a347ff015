package sqlite

// Queries are those whose plans are tested.
var Queries = map[string]string{
	"GetUserByEmail":  getUserByEmail,
	"ListUsersByTime": listUsersByTime,
	"ListUsers":       listUsers,
}
