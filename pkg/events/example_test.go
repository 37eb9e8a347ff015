package events_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/events"
)

// letters is the sink of a service that keeps a mailbox for each user, in memory. A real
// one changes its rows and moves the cursor in one transaction.
type letters struct {
	cursor events.Cursor
	boxes  map[string]int
	stop   func()
}

func (l *letters) Followed(context.Context, string) (events.Cursor, error) { return l.cursor, nil }

func (l *letters) Follow(_ context.Context, _ string, from, to events.Cursor, e *events.Event) error {
	if l.cursor != from {
		return events.ErrMoved
	}
	if e != nil {
		fmt.Println(e.Type, e.Subject)
		delete(l.boxes, e.Subject.String())
	}
	l.cursor = to
	l.stop() // ends the example
	return nil
}

func Example() {
	const ada = "019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprintf(w, `[{"specversion":"1.0","type":"com.example.user.deleted","subject":%q,"time":"2026-01-02T03:04:05Z","cursor":"734-19","data":{"version":2}}]`, ada)
		}
	}))
	defer source.Close()
	ctx, stop := context.WithCancel(context.Background())
	sink := &letters{boxes: map[string]int{ada: 3}, stop: stop}
	follower := &events.Follower{
		Source: "user-service", Name: "letter-service", Sink: sink, Client: source.Client(),
		URL: must(url.Parse(source.URL + "/api/v1/users/events")), Log: slog.New(slog.DiscardHandler),
		Concerns: func(e events.Event) bool { return e.Type == events.Deleted },
	}
	follower.Register(prometheus.NewRegistry())
	fmt.Println(follower.Run(ctx), len(sink.boxes), sink.cursor)
	// Output:
	// deleted 019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d
	// <nil> 0 734-19
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
