package main

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/pkg/config"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/sqlite"
)

// inProcess starts the whole service on SQLite, without a network, with some orders of two
// items. It returns the path of one.
func inProcess(tb testing.TB) (handler http.Handler, path string) {
	tb.Helper()
	c := newConfiguration()
	require.NoError(tb, config.Load(c))
	c.DatabaseURL, c.UserClient.URL = databases["sqlite"](tb), "http://127.0.0.1:1" // not called
	store, err := sqlite.Open(strings.TrimPrefix(c.DatabaseURL, "sqlite://"))
	require.NoError(tb, err)
	require.NoError(tb, store.Migrate(tb.Context(), slog.New(slog.DiscardHandler)))
	item := order.Item{ProductID: "laptop-15", ProductName: "Laptop 15", Quantity: 2, Price: 99999}
	o := order.Order{
		UserID: uuid.New(), Items: []order.Item{item, item}, ShippingAddress: "12 St James's Square, London",
		Status: order.Pending, ChangedBy: order.Customer, Total: 399996, Version: 1, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	for range 25 {
		o.ID, err = ids.New()
		require.NoError(tb, err)
		require.NoError(tb, store.Create(tb.Context(), o, nil))
	}
	require.NoError(tb, store.Close())
	return apitest.Handler(tb, program(c), false), orders + "/" + o.ID.String()
}

// BenchmarkHandler measures whole requests, without net/http.
func BenchmarkHandler(b *testing.B) {
	handler, path := inProcess(b)
	for name, path := range map[string]string{"get": path, "list of 20": orders} {
		b.Run(name, func(b *testing.B) {
			call := apitest.NewCall(b, handler, http.MethodGet, path)
			b.ReportAllocs()
			for b.Loop() {
				call.Do()
			}
			require.Equal(b, http.StatusOK, call.Status, call.Answer.String())
		})
	}
}
