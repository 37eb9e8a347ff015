package sqlite

// Queries are the queries whose plans are tested.
var Queries = map[string]string{"ListWidgets": listWidgets, "ListWidgetsOfOwner": listWidgetsOfOwner}
