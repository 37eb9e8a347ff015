package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/example/microservices/pkg/database"
)

// refusedInterval is the time between two tries while the server refuses the login.
const refusedInterval = 20 * time.Millisecond

// use makes the connections of c log in as login says.
func use(login database.Login, c *pgxpool.Config) {
	if login.User != "" {
		c.ConnConfig.User = login.User
	}
	if login.Password != "" {
		c.ConnConfig.Password = login.Password
	}
	c.BeforeConnect = func(_ context.Context, connection *pgx.ConnConfig) error {
		if login.PasswordFile == "" {
			return nil
		}
		password, err := login.ReadPassword()
		if err != nil {
			return database.Unavailable(err)
		}
		connection.Password = password
		return nil
	}
}

// acquire is that of the pool. While the server refuses the login, as it does when the
// password is another and the file doesn't have it yet, it waits for one of the
// connections that there are.
func (db *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	for {
		conn, err := db.Acquire(ctx)
		stat := db.Stat()
		if err == nil || !isRefused(err) || stat.AcquiredConns()+stat.IdleConns() == 0 {
			return conn, err
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
