// Command load writes to both services at a constant rate from inside the
// cluster, over their Services and the cluster's DNS as any client there, and
// keeps what it was answered.
//
// The load is open: a request is sent when its time has come, whether or not
// those before it were answered, so that a service that stalls gets no rest. No
// request is sent twice: what a client's retry would hide is to be seen.
//
//	POST /stop    ends the load and answers with the [Report]
//	GET  /report  answers with what is known so far
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

// Report is what became of the writes.
type Report struct {
	Writes []Write `json:"writes"`
}

// Write is one request.
type Write struct {
	// Kind is "user", "order" or "deletion": of a user who has an order.
	Kind string `json:"kind"`
	// Key is the request's Idempotency-Key.
	Key string `json:"key"`
	// At is when it was due, since the start of the load.
	At time.Duration `json:"at"`
	// Took is the time from when it was due to the end of the answer.
	Took time.Duration `json:"took"`
	// Status is the answer's; 0 without one.
	Status int `json:"status"`
	// ID is that of what was created.
	ID string `json:"id,omitempty"`
	// RequestID is the answer's X-Request-ID.
	RequestID string `json:"requestId,omitempty"`
	// RetryAfter is what the answer says of when to come again.
	RetryAfter string `json:"retryAfter,omitempty"`
	// Error is why there is no answer, or the answer, unless it is a success.
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
		// Its own: without the default's connections for two hosts only.
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
	// deletes has one user in five order something, and be deleted.
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

// drive sends a write every interval, users and orders in turn, until ctx ends;
// then it waits for the answers.
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

// send sends one write, and keeps and returns what became of it.
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

// post sends a body, or a deletion, and notes the answer in w.
func (l *load) post(url, body string, w *Write) error {
	method := http.MethodPost
	if w.Kind == "deletion" {
		method = http.MethodDelete
	}
	request, err := http.NewRequest(method, url, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	// With an Idempotency-Key net/http would send it again on a new connection
	// when an old one was closed under it. Without a way to read the body again
	// it can't.
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
