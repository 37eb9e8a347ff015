package sqlite

// Queries are those whose plans are tested.
var Queries = map[string]string{
	"ListOrders":               listOrders,
	"ListOrdersOfUser":         listOrdersOfUser,
	"ListOrdersInStatus":       listOrdersInStatus,
	"ListOrdersOfUserInStatus": listOrdersOfUserInStatus,
}
