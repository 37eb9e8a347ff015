package postgres

// Require sets the required schema version.
func (db *DB) Require(version int64) { db.set.Required = version }

// Answers returns how many queries and batches have succeeded.
func (db *DB) Answers() int64 { return db.answers.Load() }
