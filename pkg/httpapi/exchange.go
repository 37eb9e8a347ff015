package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// exchange is a request and its answer. As a gin.ResponseWriter it buffers the answer,
// and records what the log and the metrics need.
type exchange struct {
	gin.ResponseWriter
	g     *gin.Context
	ctx   requestContext
	route string
	body  *requestBody // nil if the request has none
	query url.Values   // see readQuery
	// problem is the problem that was sent, if any.
	problem *Problem

	// read is the size of the resource that the answer is based on, in bytes; see HasRead.
	read int64
	// charge, if set, is called with the size of an answer before it is written.
	charge func(size int)
	// buffered holds the answer until it is sent; nil if it isn't buffered.
	buffered *bytes.Buffer
	// waited is the time spent waiting for the client (for its body, and until it took the
	// answer), and in Wait.
	waited time.Duration
	// stopping is closed when the service stops.
	stopping <-chan struct{}
	// shed: the request was rejected because of overload. cutOff: the client didn't get all
	// of the answer.
	shed, cutOff bool
}

// exchangeOf returns the exchange that observe has created.
func exchangeOf(g *gin.Context) *exchange {
	x, _ := g.Writer.(*exchange)
	return x
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keptBuffer is the capacity of the largest buffer that is reused, in bytes.
const keptBuffer = 64 << 10

// buffer starts to buffer the answer, until send.
func (x *exchange) buffer() { x.buffered, _ = buffers.Get().(*bytes.Buffer) }

func release(b *bytes.Buffer) {
	if b.Cap() <= keptBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// discard drops a buffered answer.
func (x *exchange) discard() {
	if x.buffered != nil {
		release(x.buffered)
		x.buffered = nil
	}
}

// status returns the status of the answer, or 499 if the client didn't get it.
func (x *exchange) status() int {
	if x.cutOff {
		return statusClientClosedRequest
	}
	return x.Status()
}

// bodyCost is how many bytes each byte of a body counts: it is stored in the row and in
// the idempotency record, and both in the database's log.
const bodyCost = 4

// cost returns how many bytes the request and its buffered answer count against the
// caller's volume.
func (x *exchange) cost(reads bool) int64 {
	n := x.read
	if x.buffered != nil {
		n = max(n, int64(x.buffered.Len()))
	}
	if !reads && x.Status() < http.StatusMultipleChoices { // the resource is written again
		n += bodyCost * x.read
	}
	if x.body != nil {
		n += bodyCost * x.body.read
	}
	return n
}

// HasRead records that an operation has read a resource of so many bytes. They count
// against the caller's volume even if the answer doesn't contain them. Call it where the
// rule has Memory or a large MaxBody.
func HasRead(ctx context.Context, bytes int) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if ok {
		x.read += int64(bytes)
	}
}

// Wait waits for d in a handler whose rule has Waits. It returns false if the handler
// should stop: the client has left, the deadline has passed, or the service is stopping.
func Wait(ctx context.Context, d time.Duration) bool {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	return ok && x.wait(d)
}

func (x *exchange) wait(d time.Duration) bool {
	began := time.Now()
	defer func() { x.waited += time.Since(began) }()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-x.ctx.Done():
		return false
	case <-x.stopping:
		return false
	case <-timer.C:
		return true
	}
}

// send sends the buffered answer, and records whether the client took it. A client that has
// closed only its sending side gets the answer, too, but counts as one that has left: the
// server can't tell.
func (x *exchange) send() {
	held := x.buffered
	x.buffered = nil
	defer release(held)
	x.cutOff = errors.Is(x.ctx.Context.Err(), context.Canceled)
	if held.Len() == 0 {
		return
	}
	began := time.Now()
	x.Header()["Content-Length"] = []string{strconv.Itoa(held.Len())}
	_, err := x.ResponseWriter.Write(held.Bytes())
	if err == nil {
		err = http.NewResponseController(x.beneath()).Flush()
	}
	x.cutOff = x.cutOff || err != nil
	x.waited += time.Since(began)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if x.buffered != nil {
		return x.buffered.Write(p)
	}
	if x.charge != nil {
		x.charge(len(p))
	}
	return x.noteCut(x.ResponseWriter.Write(p))
}

// WriteString implements gin.ResponseWriter.
func (x *exchange) WriteString(s string) (int, error) {
	if x.buffered != nil {
		return x.buffered.WriteString(s)
	}
	return x.noteCut(x.ResponseWriter.WriteString(s))
}

func (x *exchange) noteCut(n int, err error) (int, error) {
	x.cutOff = x.cutOff || err != nil
	return n, err
}

// WriteHeaderNow implements gin.ResponseWriter.
func (x *exchange) WriteHeaderNow() {
	if x.buffered == nil {
		x.ResponseWriter.WriteHeaderNow()
	}
}

// beneath returns the writer below Gin's, whose Flush returns no error.
func (x *exchange) beneath() http.ResponseWriter {
	wrapped, ok := x.ResponseWriter.(interface{ Unwrap() http.ResponseWriter })
	if !ok {
		return x.ResponseWriter
	}
	return wrapped.Unwrap()
}

// Unwrap supports http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// requestBody is the body of a request. The connection is reused only if the body was
// read to its end: otherwise net/http would wait for the rest before it sends the answer.
type requestBody struct {
	io.ReadCloser
	x *exchange
	// read is the number of bytes read. ended: the end was reached.
	read  int64
	ended bool
	// closes: only this body causes Connection: close.
	closes bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.x.waited += time.Since(began)
	if errors.Is(err, io.EOF) {
		b.ended = true
		if b.closes {
			b.x.Header().Del("Connection")
		}
	}
	return n, err
}

// watchBody replaces the request's body, if it has one. r must be a copy of net/http's
// request: net/http reads on in its own body when the answer is sent.
func (x *exchange) watchBody(r *http.Request) {
	if r.ContentLength == 0 || r.Body == nil {
		return
	}
	x.body = &requestBody{ReadCloser: r.Body, x: x, closes: x.Header().Get("Connection") == ""}
	r.Body = x.body
	x.Header().Set("Connection", "close")
}

const (
	// drained limits how many bytes of an unread body are discarded, and drainTime for how
	// long. A client that sends its whole body before it reads the answer then gets the
	// answer instead of a reset connection (RFC 9112, section 9.6).
	drained   = 16 << 20
	drainTime = 5 * time.Second
	// drainIdle is how long to wait for further bytes.
	drainIdle = time.Second
	// drainStep is how many bytes are discarded at once, and drainPause the time between
	// two reads: 32 MB a second, which costs little CPU.
	drainStep  = 64 << 10
	drainPause = 2 * time.Millisecond
	// drains limits how many bodies are discarded at once.
	drains = 8
)

var draining = make(chan struct{}, drains)

// drain discards the rest of a body that wasn't read to its end, after the answer was sent.
func (x *exchange) drain(r *http.Request) {
	if b := x.body; b != nil && !b.ended {
		b.read += discard(x.beneath(), r, b.ReadCloser, b.read > 0)
	}
}

// discard sends an answer and discards the rest of the request's body. It stops at the
// limits above, or when nothing arrives. Then net/http, which would wait for more, reads
// nothing any more. begun: a part of the body was read. discard returns how many bytes it
// read.
func discard(w http.ResponseWriter, r *http.Request, body io.Reader, begun bool) (read int64) {
	control := http.NewResponseController(w)
	defer func() { _ = control.SetReadDeadline(time.Now()) }() // the connection is closed anyway
	if !begun && r.Header.Get("Expect") != "" {
		return 0 // the client sends the body only if asked to
	}
	select {
	case draining <- struct{}{}:
		defer func() { <-draining }()
	default:
		return 0
	}
	if control.Flush() != nil {
		return 0
	}
	end := time.Now().Add(drainTime)
	pace := time.NewTicker(drainPause)
	defer pace.Stop()
	for read < drained && time.Now().Before(end) {
		err := control.SetReadDeadline(time.Now().Add(drainIdle))
		if err != nil {
			return read
		}
		n, err := io.CopyN(io.Discard, body, drainStep)
		read += n
		if err != nil {
			return read
		}
		<-pace.C
	}
	return read
}
