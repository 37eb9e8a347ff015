package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/services/order-service/internal/api"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/sqlite"
)

// watched is a store that records its calls, and the files on the call stack.
type watched struct {
	api.Store
	asked []string
	files map[string][]string
}

// note records a call, and the project's files on its call stack, outermost first.
func (w *watched) note(what string) {
	w.asked = append(w.asked, what)
	calls := make([]uintptr, 100)
	frames := runtime.CallersFrames(calls[:runtime.Callers(3, calls)])
	var files []string
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		_, file, ours := strings.Cut(frame.File, "/pkg/httpapi/")
		if ours {
			files = append(files, "pkg/httpapi/"+file)
			continue
		}
		_, file, ours = strings.Cut(frame.File, "/services/")
		if ours && !strings.HasSuffix(file, "_test.go") {
			files = append(files, "services/"+file)
		}
	}
	slices.Reverse(files)
	w.files[what] = slices.Compact(files)
}

func (w *watched) Recorded(ctx context.Context, key idempotency.Key, now time.Time) (idempotency.Record, error) {
	w.note("Recorded")
	return w.Store.Recorded(ctx, key, now)
}

func (w *watched) Create(ctx context.Context, o order.Order, record *idempotency.Record) error {
	w.note("Create")
	return w.Store.Create(ctx, o, record)
}

// Verify implements order.Users.
func (w *watched) Verify(context.Context, uuid.UUID) error {
	w.note("Verify")
	return nil
}

// TestARequestPassesEachLayerOnce traces a request that creates an order down to the store,
// and compares its files with the list in docs/architecture.md: the same files, in the same
// order, each once.
func TestARequestPassesEachLayerOnce(t *testing.T) {
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "orders.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	log := slog.New(slog.DiscardHandler)
	require.NoError(t, s.Migrate(t.Context(), log))
	w := &watched{Store: s, files: map[string][]string{}}
	a := httpapi.New(httpapi.Config{Log: log, Metrics: prometheus.NewRegistry(), Auth: auth.Open(), BodyTimeout: time.Minute})
	api.Register(a, order.New(w, w), w, idempotency.NewOnce(w, time.Hour, prometheus.NewRegistry()))

	body := `{"user_id":"` + uuid.NewString() + `","shipping_address":"x","items":[{"product_id":"p","product_name":"P","quantity":1,"price":1}]}`
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, orders, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", "k")
	answer := httptest.NewRecorder()
	a.Handler().ServeHTTP(answer, request)
	require.Equal(t, http.StatusCreated, answer.Code, answer.Body)

	require.Equal(t, []string{"Recorded", "Verify", "Create"}, w.asked, "claim, prepare, add")
	document, err := os.ReadFile("../../docs/architecture.md")
	require.NoError(t, err)
	operations := "services/order-service/internal/api/operations.go"
	down := []string{"pkg/httpapi/api.go", "pkg/httpapi/middleware.go", "pkg/httpapi/operation.go", "pkg/httpapi/admission.go", "pkg/httpapi/operation.go", operations}
	require.Equal(t, down, w.files["Create"])
	require.Equal(t, down, w.files["Recorded"])
	require.Equal(t, append(down, "services/order-service/internal/order/service.go"), w.files["Verify"])
	last := 0
	for _, file := range []string{"middleware.go", "admission.go", "operation.go", "internal/api/operations.go", "internal/order`", "internal/store/", "answers.go"} {
		at := regexp.MustCompile(regexp.QuoteMeta(file)).FindIndex(document[last:])
		require.NotNil(t, at, "%s is missing from the list in docs/architecture.md, or is in another place", file)
		last += at[0]
	}
}
