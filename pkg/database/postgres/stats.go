package postgres

import "github.com/example/microservices/pkg/database"

// Stats returns the state of the pool of connections.
func (db *DB) Stats() database.PoolStats {
	s := db.Stat()
	return database.PoolStats{
		Used: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns()),
		Waits: s.EmptyAcquireCount(), Waited: s.EmptyAcquireWaitTime(),
	}
}
