package postgresevents

// Queries are the queries whose plans are tested.
var Queries = map[string]string{"LastEvent": lastEvent, "NextDeletions": batchUp, "PreviousDeletions": batchDown, "NoteErasures": erased, "UndoErasures": undone}
