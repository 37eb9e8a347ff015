package sqlite

// Queries are those whose plans are tested.
var Queries = map[string]string{"ListWidgets": listWidgets, "ListWidgetsOfOwner": listWidgetsOfOwner}
