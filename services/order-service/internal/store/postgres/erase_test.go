package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/events/eventstest"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/storetest"
)

// TestEventsOfAnOrderAreInTheOrderOfItsVersions also if a transaction that began earlier
// changes the order later: an erasure starts and waits for one order, while another order is
// confirmed, which it then erases.
func TestEventsOfAnOrderAreInTheOrderOfItsVersions(t *testing.T) {
	address := testserver.New(t)
	s, user := open(t, address), uuid.New()
	var made []order.Order
	for range 2 {
		o := storetest.New(t, func(o *order.Order) { o.UserID, o.Status = user, order.Pending })
		require.NoError(t, s.Create(t.Context(), o, nil))
		made = append(made, o)
	}
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	hold, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = hold.Exec(t.Context(), "SELECT FROM order_service.orders WHERE id = $1 FOR UPDATE", made[0].ID)
	require.NoError(t, err)

	erased := make(chan error, 1)
	go func() {
		erased <- s.Follow(t.Context(), "user-service", events.Cursor{}, events.Cursor{Position: 1}, &events.Event{Subject: user, Time: time.Now()})
	}()
	apitest.Eventually(t, "the erasure waits", func() bool {
		var n int
		require.NoError(t, hold.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n))
		return n == 1
	})
	confirmed := made[1]
	confirmed.Status, confirmed.Version = order.Confirmed, 2
	require.NoError(t, s.Update(t.Context(), confirmed))
	require.NoError(t, hold.Rollback(t.Context()))
	require.NoError(t, <-erased)

	var versions []int64
	for _, e := range eventstest.All(t, s, 5, 100) {
		if e.Subject == confirmed.ID {
			versions = append(versions, e.Version)
		}
	}
	require.Equal(t, []int64{1, 2, 3}, versions)
}
