package system

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
)

// failing is both services' databases, and the ways to break them.
type failing struct {
	users, orders string
	// refuse makes the databases reject new rows, and ruin drops the tables.
	refuse, ruin []string
	// stop makes the services answer writes with 503, and reads too if dead is set.
	stop func()
	dead bool
}

// failingDatabases are databases that only this test uses, so that it can break them.
var failingDatabases = map[string]func(*testing.T) failing{
	"sqlite": func(t *testing.T) failing {
		users, orders := databases["sqlite"](t), databases["sqlite"](t)
		f := failing{users: users, orders: orders}
		for _, table := range []string{"users", "orders"} {
			f.refuse = append(f.refuse, "CREATE TRIGGER refuse BEFORE INSERT ON "+table+" BEGIN SELECT RAISE(ABORT, 'refused'); END")
			f.ruin = append(f.ruin, "DROP TABLE "+table)
		}
		f.stop = func() {
			for _, address := range []string{users, orders} {
				lock, err := connect(t, address).Conn(t.Context())
				require.NoError(t, err)
				t.Cleanup(func() { _ = lock.Close() })
				_, err = lock.ExecContext(t.Context(), "BEGIN IMMEDIATE") // blocks all other writes
				require.NoError(t, err)
			}
		}
		return f
	},
	"postgres": func(t *testing.T) failing {
		server, err := postgres.Start(t.Context(), postgres.Options{NoFsync: true})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, server.Stop()) })
		address := server.URL("postgres")
		return failing{
			users: address, orders: address,
			refuse: []string{ // the error's detail is the whole row
				"ALTER TABLE user_service.users ADD CHECK (name = '') NOT VALID",
				"ALTER TABLE order_service.orders ADD CHECK (shipping_address = '') NOT VALID",
			},
			ruin: []string{"DROP TABLE user_service.users", "DROP TABLE order_service.orders"},
			stop: func() { require.NoError(t, server.Kill()) },
			dead: true,
		}
	},
}

func (f failing) do(t *testing.T, statements []string) {
	t.Helper()
	for i, address := range []string{f.users, f.orders} {
		db := connect(t, address)
		_, err := db.ExecContext(t.Context(), statements[i])
		require.NoError(t, err)
	}
}
