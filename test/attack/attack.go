// Package attack attacks a service as one caller, and measures how another caller is
// served meanwhile. Traffic goes to loopback only, and is bounded in connections and time.
package attack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Target is the attacked service, and the attacker's credentials.
type Target struct {
	// Address is the service's host and port.
	Address string
	// Token is the attacker's, who has a hundred large orders. Order is the id of one.
	Token, Order string
}

// Result is what the attacker received.
type Result struct {
	// Statuses counts the answers by status. 0 is no answer, or an unfinished request.
	Statuses map[int]int64
	// Bytes is the total read.
	Bytes int64
}

// onlyBytes is passed to note to add the bytes of an answer that is counted already.
const onlyBytes = -1

// Attack is a kind of attack by one caller.
type Attack struct {
	Name string
	// Connections is the number of concurrent connections.
	Connections int
	// each attacks until ctx is done, on one connection after the other.
	each func(ctx context.Context, t Target, note func(status int, bytes int64))
}

// All are all attacks.
var All = []Attack{
	{"slow readers", 60, reading(always(slowly))},
	{"stalled readers", 60, reading(always(notAtAll))},
	{"readers that stall at the second response", 60, reading(fastThen(notAtAll))},
	{"fast readers", 40, reading(always(fast))},
	{"unfinished headers", 12_000, unfinished("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 8<<10))},
	{"invalid tokens", 40, repeat(badToken)},
	{"documentation", 40, repeat(get("/docs/swagger-ui-bundle.js"))},
	{"metrics", 40, repeat(get("/metrics"))},
	{"unknown paths", 40, repeat(get("/nowhere"))},
	{"large bodies", 40, repeat(largeBody)},
	{"slow bodies", 500, slowBody},
	{"unfinished bodies", 2_000, unfinished("POST " + ordersPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")},
	{"many header lines", 2_000, unfinished("GET / HTTP/1.1\r\nHost: x\r\n" + manyLines())},
	{"invalid bodies", 20, repeat(post(`{"items":[` + strings.Repeat("{},", 150_000) + `{}]}`))},
	{"long numbers", 20, repeat(post(`{"user_id":"","shipping_address":"","items":[{"product_id":"","product_name":"","price":1,"quantity":` + strings.Repeat("7", 400_000) + `}]}`))},
	{"concurrent changes", 60, repeat(change)},
	{"conditional requests", 40, repeat(unchanged)},
}

// Run attacks a target for span, and up to 10 s longer until the first answer.
func (a Attack) Run(ctx context.Context, t Target, span time.Duration) Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answered := make(chan struct{})
	over := time.AfterFunc(span, func() {
		select {
		case <-answered:
		case <-time.After(10 * time.Second):
		}
		cancel()
	})
	defer over.Stop()
	first := sync.OnceFunc(func() { close(answered) })
	var mu sync.Mutex
	result := Result{Statuses: map[int]int64{}}
	var bytes atomic.Int64
	note := func(status int, n int64) {
		bytes.Add(n)
		mu.Lock()
		defer mu.Unlock()
		if status != onlyBytes {
			result.Statuses[status]++
		}
		first()
	}
	var wg sync.WaitGroup
	for range a.Connections {
		wg.Go(func() { a.each(ctx, t, note) })
	}
	wg.Wait()
	result.Bytes = bytes.Load()
	return result
}

// dial connects, and closes the connection when ctx is done. With a small buffer,
// bytes that aren't read stay at the service.
func dial(ctx context.Context, t Target, buffer int) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		rest(ctx, 10*time.Millisecond)
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && buffer > 0 {
		err = tcp.SetReadBuffer(buffer)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, err
}

// rest waits for a while.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// ask sends a request, and reads the answer's body with read.
func ask(ctx context.Context, conn net.Conn, in *bufio.Reader, request string, read func(context.Context, io.Reader) (int64, error), note func(int, int64)) error {
	_, err := io.WriteString(conn, request)
	if err != nil && ctx.Err() != nil {
		return err
	}
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		if ctx.Err() == nil {
			note(0, 0)
		}
		return err
	}
	defer response.Body.Close()
	note(response.StatusCode, 0)
	n, err := read(ctx, response.Body)
	note(onlyBytes, n) // also those of an answer cut off by the end of the attack
	if response.StatusCode == http.StatusTooManyRequests {
		rest(ctx, 5*time.Millisecond) // without this pause, the attacker would get little but 429
	}
	if err == nil && response.Close {
		err = io.EOF
	}
	return err
}

// repeat sends requests one after the other, as fast as they are answered.
func repeat(request func(Target) string) func(context.Context, Target, func(int, int64)) {
	return func(ctx context.Context, t Target, note func(int, int64)) {
		for ctx.Err() == nil {
			conn, err := dial(ctx, t, 0)
			if err != nil {
				continue
			}
			in := bufio.NewReader(conn)
			for err == nil {
				err = ask(ctx, conn, in, request(t), fast, note)
			}
			_ = conn.Close()
		}
	}
}

func get(path string) func(Target) string {
	return func(Target) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
}

const ordersPath = "/api/v1/orders"

// badToken is a request with the attacker's token and a random signature.
func badToken(t Target) string {
	parts := strings.Split(t.Token, ".")
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	signature := []byte(parts[2])
	for i := range signature {
		signature[i] = letters[rand.IntN(len(letters))]
	}
	signature[len(signature)-1] = 'A' // not all bits of the last character count
	return "GET " + ordersPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + parts[0] + "." + parts[1] + "." + string(signature) + "\r\n\r\n"
}

// largeBody is a request with a body that is too large. It is built once per token.
func largeBody(t Target) string {
	made, _ := largeBodies.LoadOrStore(t.Token, sync.OnceValue(func() string {
		return request("POST "+ordersPath, t, strings.Repeat(" ", 10<<20))
	}))
	return made.(func() string)()
}

var largeBodies sync.Map // the attacker's token → func() string

func fast(_ context.Context, r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

// slowly reads 20 kB in a second.
func slowly(ctx context.Context, r io.Reader) (n int64, err error) {
	for err == nil && ctx.Err() == nil {
		var some int64
		some, err = io.CopyN(io.Discard, r, 2000)
		n += some
		rest(ctx, 100*time.Millisecond)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// notAtAll reads nothing.
func notAtAll(ctx context.Context, _ io.Reader) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// fastThen reads the first answer of each connection fast, and later ones with other.
func fastThen(other func(context.Context, io.Reader) (int64, error)) func() func(context.Context, io.Reader) (int64, error) {
	return func() func(context.Context, io.Reader) (int64, error) {
		first := true
		return func(ctx context.Context, r io.Reader) (int64, error) {
			if first {
				first = false
				return fast(ctx, r)
			}
			return other(ctx, r)
		}
	}
}

// always reads all answers with read.
func always(read func(context.Context, io.Reader) (int64, error)) func() func(context.Context, io.Reader) (int64, error) {
	return func() func(context.Context, io.Reader) (int64, error) { return read }
}

// reading requests the attacker's largest pages. each returns the function that reads the
// answers of one connection.
func reading(each func() func(context.Context, io.Reader) (int64, error)) func(context.Context, Target, func(int, int64)) {
	return func(ctx context.Context, t Target, note func(int, int64)) {
		request := "GET " + ordersPath + "?limit=100 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + t.Token + "\r\n\r\n"
		for ctx.Err() == nil {
			conn, err := dial(ctx, t, 16<<10)
			if err != nil {
				continue
			}
			in, read := bufio.NewReaderSize(conn, 4<<10), each()
			for err == nil {
				err = ask(ctx, conn, in, request, read, note)
			}
			_ = conn.Close()
		}
	}
}

// unfinished sends a part of a request, and reconnects when the connection is closed.
func unfinished(part string) func(context.Context, Target, func(int, int64)) {
	return func(ctx context.Context, t Target, note func(int, int64)) {
		for ctx.Err() == nil {
			conn, err := dial(ctx, t, 0)
			if err != nil {
				continue
			}
			_, err = io.WriteString(conn, part)
			if err == nil {
				note(0, 0)
				_, _ = io.Copy(io.Discard, conn) // until the service closes it
			}
			_ = conn.Close()
			rest(ctx, time.Second)
		}
	}
}

// manyLines is an unfinished header of 3000 lines.
func manyLines() string {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "%x:\r\n", i+0x100)
	}
	return b.String()
}

// post is a request that creates an order with a body.
func post(body string) func(Target) string {
	return func(t Target) string { return request("POST "+ordersPath, t, body) }
}

// request is a request with the attacker's token.
func request(target string, t Target, body string, headers ...string) string {
	more := strings.Join(headers, "\r\n")
	if body != "" {
		more += fmt.Sprintf("\r\nContent-Type: application/json\r\nContent-Length: %d", len(body))
	}
	return target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + t.Token + "\r\n" + strings.TrimPrefix(more+"\r\n", "\r\n") + "\r\n" + body
}

// change changes the attacker's order, to another address each time.
func change(t Target) string {
	return request("PATCH "+ordersPath+"/"+t.Order, t, fmt.Sprintf(`{"shipping_address":"%d"}`, rand.Int64()))
}

// unchanged requests a large order with a condition that fails: the answer is a 304.
func unchanged(t Target) string {
	return request("GET "+ordersPath+"/"+t.Order, t, "", "If-None-Match: *")
}

// slowBody sends one byte of a body per second.
func slowBody(ctx context.Context, t Target, note func(int, int64)) {
	for ctx.Err() == nil {
		conn, err := dial(ctx, t, 0)
		if err != nil {
			continue
		}
		in := bufio.NewReader(conn)
		head := "POST " + ordersPath + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + t.Token + "\r\nContent-Length: 60000\r\n\r\n"
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = ask(ctx, conn, in, head, fast, note)
		}()
		for open := true; open; {
			select {
			case <-done:
				open = false
			case <-time.After(time.Second):
				_, err = io.WriteString(conn, " ")
				open = err == nil
			}
		}
		_ = conn.Close()
		<-done
		rest(ctx, 100*time.Millisecond)
	}
}
