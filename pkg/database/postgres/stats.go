package postgres

import "github.com/example/microservices/pkg/database"

// Stats returns the state of the connection pool, and the pending migrations.
func (db *DB) Stats() database.Stats {
	s := db.Stat()
	return database.Stats{
		Used: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns()),
		Waits: s.EmptyAcquireCount(), Waited: s.EmptyAcquireWaitTime(),
		Abandoned: s.CanceledAcquireCount(),
		Pending:   int(db.pending.Load()),
	}
}
