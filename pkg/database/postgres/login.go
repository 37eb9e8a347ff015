package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/example/microservices/pkg/database"
)

const (
	// refusedInterval is the time between two attempts to get a pooled connection while the
	// server rejects the login.
	refusedInterval = 10 * time.Millisecond
	// refusedFor is how long a rejected password isn't sent again: each attempt costs both
	// sides milliseconds of CPU time.
	refusedFor = 500 * time.Millisecond
)

// login sets the credentials of new connections.
type login struct {
	database.Login

	mu       sync.Mutex
	password string // the last rejected one
	refused  error  // the server's error for it
	at       time.Time
}

// use makes the connections of c log in with l.
func (l *login) use(c *pgxpool.Config) {
	if l.User != "" {
		c.ConnConfig.User = l.User
	}
	if l.Password != "" {
		c.ConnConfig.Password = l.Password
	}
	c.BeforeConnect = func(_ context.Context, connection *pgx.ConnConfig) error {
		if l.PasswordFile != "" {
			password, err := l.ReadPassword()
			if err != nil {
				return database.Unavailable(err)
			}
			connection.Password = password
		}
		password, handle := connection.Password, connection.OnPgError
		connection.OnPgError = func(c *pgconn.PgConn, err *pgconn.PgError) bool {
			if isRefused(err) {
				l.wasRefused(password, err)
			}
			return handle(c, err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.password == password && time.Since(l.at) < refusedFor {
			return l.refused
		}
		return nil
	}
}

// wasRefused records a rejected password. The file may have another one by now, which
// isn't affected.
func (l *login) wasRefused(password string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.password, l.refused, l.at = password, err, time.Now()
}

// acquire is pgxpool.Pool.Acquire. While the server rejects the login, it waits for one
// of the open connections. That happens during a rotation, when the file doesn't have the
// new password yet.
func (db *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	for {
		conn, err := db.Acquire(ctx)
		if err == nil || !isRefused(err) {
			return conn, err
		}
		stat := db.Stat()
		if stat.AcquiredConns()+stat.IdleConns() == 0 {
			return nil, err
		}
		timer := time.NewTimer(refusedInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
	}
}

// isRefused reports whether the server rejected the login: class 28, invalid
// authorization specification.
func isRefused(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && strings.HasPrefix(server.Code, "28")
}
