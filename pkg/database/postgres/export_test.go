package postgres

// Require sets the required schema version.
func (db *DB) Require(version int64) { db.set.Required = version }
