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
	// refusedInterval is the time between two looks for a connection while the server
	// refuses the login.
	refusedInterval = 10 * time.Millisecond
	// refusedFor is how long a password that was refused is not sent again: each try
	// costs both sides milliseconds of a processor.
	refusedFor = 500 * time.Millisecond
)

// login logs connections in.
type login struct {
	database.Login

	mu       sync.Mutex
	password string // that the server refused last
	refused  error  // what it said
	at       time.Time
}

// use makes the connections of c log in as l says.
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

// wasRefused keeps in mind that the server refused a password: that one, as the file may
// have another by now.
func (l *login) wasRefused(password string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.password, l.refused, l.at = password, err, time.Now()
}

// acquire is that of the pool. While the server refuses the login, as it does when the
// password is another and the file doesn't have it yet, it waits for one of the
// connections that there are.
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

// isRefused says that the server did not let somebody in: class 28, invalid
// authorization specification.
func isRefused(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && strings.HasPrefix(server.Code, "28")
}
