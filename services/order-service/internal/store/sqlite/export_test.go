package sqlite

// Queries are the queries whose plans are tested.
var Queries = map[string]string{
	"ListOrders":               listOrders,
	"ListOrdersOfUser":         listOrdersOfUser,
	"ListOrdersInStatus":       listOrdersInStatus,
	"ListOrdersOfUserInStatus": listOrdersOfUserInStatus,
	"EraseRecords":             eraseRecords, "EraseOrders": eraseOrders,
}
