// Command load writes to both services at a constant rate from inside the cluster, through
// their Services and the cluster's DNS like any client there, and records the answers.
//
// The load is open-loop: each request is sent on schedule, whether or not earlier ones were
// answered, so a stalled service gets no pause. No request is sent twice, because a retry
// would hide an error.
//
//	POST /stop    ends the load and answers with the [Report]
//	GET  /report  answers with the report so far
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Report is the results of the writes.
type Report struct {
	Writes []Write `json:"writes"`
}

// Write is one request.
type Write struct {
	// Kind is "user", "order", or "deletion" of a user with an order.
	Kind string `json:"kind"`
	// Key is the request's Idempotency-Key.
	Key string `json:"key"`
	// At is the scheduled time, since the start of the load.
	At time.Duration `json:"at"`
	// Took is the time from the scheduled time to the end of the answer.
	Took time.Duration `json:"took"`
	// Status is the answer's status, or 0 without an answer.
	Status int `json:"status"`
	// ID is the id of the created resource.
	ID string `json:"id,omitempty"`
	// RequestID is the answer's X-Request-ID.
	RequestID string `json:"requestId,omitempty"`
	// RetryAfter is the answer's Retry-After.
	RetryAfter string `json:"retryAfter,omitempty"`
	// Error is the error without an answer, or the body of an answer that is no success.
	Error string `json:"error,omitempty"`
}

const requestTimeout = 10 * time.Second

func main() {
	err := run()
	if err != nil {
		slog.Error("load", "error", err)
		os.Exit(1)
	}
}

func run() error {
	rate, err := strconv.Atoi(os.Getenv("RATE"))
	if err != nil || rate < 1 || rate > 5000 {
		return errors.New("RATE must be a number of requests per second, 1 to 5000")
	}
	l := &load{
		users: os.Getenv("USERS_URL"), orders: os.Getenv("ORDERS_URL"), run: os.Getenv("RUN"), token: os.Getenv("TOKEN"), deletes: os.Getenv("DELETES") != "",
		// Unlike the default transport, it keeps more than two idle connections per host.
		client: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: requestTimeout}).DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,
		}},
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	failed, done := make(chan error, 2), make(chan struct{})
	go func() {
		defer close(done)
		err := l.drive(ctx, time.Second/time.Duration(rate))
		if err != nil {
			failed <- err
		}
	}()
	http.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		stop()
		<-done
		l.report(w)
	})
	http.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) { l.report(w) })
	go func() { failed <- http.ListenAndServe(":8080", nil) }()
	return <-failed
}

type load struct {
	users, orders, run, token string
	// deletes gives one user in five an order, and deletes the user.
	deletes bool
	client  *http.Client

	mu     sync.Mutex
	writes []Write
}

func (l *load) report(w http.ResponseWriter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := json.NewEncoder(w).Encode(Report{Writes: l.writes})
	if err != nil {
		slog.Error("load", "error", err)
	}
}

// drive sends a write every interval, users and orders alternately, until ctx is done. Then it
// waits for the answers.
func (l *load) drive(ctx context.Context, interval time.Duration) error {
	buyer := l.send("user", "buyer", 0, time.Now(), l.users+"/api/v1/users", l.user("buyer"))
	if buyer.ID == "" {
		return fmt.Errorf("create the user who orders: %d %s", buyer.Status, buyer.Error)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	start := time.Now()
	for n := 0; ; n++ {
		at := time.Duration(n) * interval
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(start.Add(at))):
		}
		wg.Go(func() {
			key := strconv.Itoa(n)
			if n%2 == 0 {
				w := l.send("user", key, at, start.Add(at), l.users+"/api/v1/users", l.user(key))
				if l.deletes && n%10 == 0 && w.ID != "" {
					l.send("order", key+"-last", at, start.Add(at), l.orders+"/api/v1/orders", order(w.ID, key))
					l.send("deletion", w.ID, at, start.Add(at), l.users+"/api/v1/users/"+w.ID, "")
				}
				return
			}
			l.send("order", key, at, start.Add(at), l.orders+"/api/v1/orders", order(buyer.ID, key))
		})
	}
}

func order(user, address string) string {
	return fmt.Sprintf(`{"user_id":%q,"shipping_address":%q,"items":[{"product_id":"p","product_name":"P","quantity":1,"price":0.1}]}`, user, address)
}

func (l *load) user(key string) string {
	return fmt.Sprintf(`{"name":"Load","email":"%s-%s@example.com"}`, l.run, key)
}

// send sends one write, and records and returns the result.
func (l *load) send(kind, key string, at time.Duration, due time.Time, url, body string) Write {
	w := Write{Kind: kind, Key: l.run + "-" + key, At: at}
	err := l.post(url, body, &w)
	if err != nil {
		w.Error = err.Error()
	}
	w.Took = time.Since(due)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes = append(l.writes, w)
	return w
}

// post sends a body, or a deletion, and records the answer in w.
func (l *load) post(url, body string, w *Write) error {
	method := http.MethodPost
	if w.Kind == "deletion" {
		method = http.MethodDelete
	}
	request, err := http.NewRequest(method, url, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	// net/http repeats a request with an Idempotency-Key if a kept connection was closed. It
	// can't without GetBody.
	request.GetBody = nil
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", w.Key)
	if l.token != "" {
		request.Header.Set("Authorization", "Bearer "+l.token)
	}
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	w.Status, w.RetryAfter, w.RequestID = response.StatusCode, response.Header.Get("Retry-After"), response.Header.Get("X-Request-ID")
	read, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	if err != nil {
		return err
	}
	if w.Kind == "deletion" && w.Status == http.StatusNoContent {
		w.ID = url[strings.LastIndexByte(url, '/')+1:]
		return nil
	}
	if w.Status != http.StatusCreated {
		return errors.New(string(read))
	}
	var created struct{ ID string }
	err = json.Unmarshal(read, &created)
	w.ID = created.ID
	return err
}
