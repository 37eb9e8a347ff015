package sqliteevents

// Queries are the queries whose plans are tested.
var Queries = map[string]string{"UnacknowledgedDeletion": unacknowledged, "NextDeletions": batchUp, "PreviousDeletions": batchDown, "NoteErasures": erased, "UndoErasures": undone}
