package postgres

// Require has a Check ask for a version.
func (db *DB) Require(version int64) { db.set.Required = version }
