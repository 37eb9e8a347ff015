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

// exchange is a request and its answer, as a gin.ResponseWriter: what the log and
// the metrics say of it, and the answer while it is made.
type exchange struct {
	gin.ResponseWriter
	g     *gin.Context
	ctx   requestContext
	route string
	body  *requestBody // nil where the request has none
	query url.Values   // see readQuery
	// problem is what was answered, if it was one.
	problem *Problem

	// read is how much was read of what the answer is about, in bytes, if more than a
	// little.
	read int64
	// charge, if any, is told the size of an answer before it is sent.
	charge func(size int)
	// buffered holds the answer until it is sent; nil where it isn't held.
	buffered *bytes.Buffer
	// waited is how long the client was waited for: for its body, and until it had
	// taken the answer; and how long it had a handler wait.
	waited time.Duration
	// stopping is closed when the service stops.
	stopping <-chan struct{}
	// shed says that the request was too much, cutOff that the client has not got
	// all of the answer.
	shed, cutOff bool
}

// exchangeOf returns the exchange that observe has begun.
func exchangeOf(g *gin.Context) *exchange {
	x, _ := g.Writer.(*exchange)
	return x
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keptBuffer is the size of the largest buffer that is used again, in bytes.
const keptBuffer = 64 << 10

// buffer has the answer held until send.
func (x *exchange) buffer() { x.buffered, _ = buffers.Get().(*bytes.Buffer) }

func release(b *bytes.Buffer) {
	if b.Cap() <= keptBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// discard takes back what was written of an answer that isn't sent.
func (x *exchange) discard() {
	if x.buffered != nil {
		release(x.buffered)
		x.buffered = nil
	}
}

// status is the answer's, or that of a client that has not got it.
func (x *exchange) status() int {
	if x.cutOff {
		return statusClientClosedRequest
	}
	return x.Status()
}

// bodyCost is how many times its size a body counts against its caller: it is stored,
// kept as the answer to an Idempotency-Key, and in the database's log of both.
const bodyCost = 4

// cost is what the request and the answer that is held count against the caller, in
// bytes.
func (x *exchange) cost(reads bool) int64 {
	n := x.read
	if x.buffered != nil {
		n = max(n, int64(x.buffered.Len()))
	}
	if !reads && x.Status() < http.StatusMultipleChoices { // it is written anew
		n += bodyCost * x.read
	}
	if x.body != nil {
		n += bodyCost * x.body.read
	}
	return n
}

// HasRead says that an operation whose rule has Memory, or a large MaxBody, has read a
// resource of so many bytes. They count against the caller, also where the answer doesn't hold them.
func HasRead(ctx context.Context, bytes int) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if ok {
		x.read += int64(bytes)
	}
}

// Wait waits in a handler whose operation's rule is that it Waits. It returns false when
// that is of no use any more: the client has left, the time is over, or the service stops.
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

// send sends the answer that is held, and takes note of whether the client has
// taken it.
func (x *exchange) send() {
	held := x.buffered
	x.buffered = nil
	defer release(held)
	if errors.Is(x.ctx.Context.Err(), context.Canceled) {
		x.cutOff = true
		return
	}
	if held.Len() == 0 {
		return
	}
	began := time.Now()
	x.Header()["Content-Length"] = []string{strconv.Itoa(held.Len())}
	_, err := x.ResponseWriter.Write(held.Bytes())
	if err == nil {
		err = http.NewResponseController(x.beneath()).Flush()
	}
	x.cutOff = err != nil
	x.waited += time.Since(began)
}

// Write is part of http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if x.buffered != nil {
		return x.buffered.Write(p)
	}
	if x.charge != nil {
		x.charge(len(p))
	}
	return x.noteCut(x.ResponseWriter.Write(p))
}

// WriteString is part of gin.ResponseWriter.
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

// WriteHeaderNow is part of gin.ResponseWriter.
func (x *exchange) WriteHeaderNow() {
	if x.buffered == nil {
		x.ResponseWriter.WriteHeaderNow()
	}
}

// beneath returns the writer beneath Gin's, whose Flush tells no error.
func (x *exchange) beneath() http.ResponseWriter {
	wrapped, ok := x.ResponseWriter.(interface{ Unwrap() http.ResponseWriter })
	if !ok {
		return x.ResponseWriter
	}
	return wrapped.Unwrap()
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// requestBody is the body of a request. The connection is kept only if the body has
// been read to its end; otherwise net/http would wait for the rest before the answer
// leaves.
type requestBody struct {
	io.ReadCloser
	x *exchange
	// read counts its bytes, and ended says that there are no more.
	read  int64
	ended bool
	// closes says that the connection ends only because of it.
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

// watchBody replaces the body of a request that has one. The request must be a copy
// of net/http's, which reads on in its own when the answer is sent.
func (x *exchange) watchBody(r *http.Request) {
	if r.ContentLength == 0 || r.Body == nil {
		return
	}
	x.body = &requestBody{ReadCloser: r.Body, x: x, closes: x.Header().Get("Connection") == ""}
	r.Body = x.body
	x.Header().Set("Connection", "close")
}

const (
	// drained is how much of a body is read that nobody wants, in bytes, and
	// drainTime for how long. A client that sends all of its body before it looks
	// for an answer gets it then, rather than a reset connection (RFC 9112, section
	// 9.6).
	drained   = 16 << 20
	drainTime = 5 * time.Second
	// drainIdle is how long nothing may arrive of it meanwhile.
	drainIdle = time.Second
	// drainStep is what is read of it at once, in bytes, and drainPause the time
	// between two reads: 32 MB in a second, which costs a processor little.
	drainStep  = 64 << 10
	drainPause = 2 * time.Millisecond
	// drains is how many bodies are read on at once.
	drains = 8
)

var draining = make(chan struct{}, drains)

// drain ends a body that wasn't read to its end, once the answer has been sent. What is
// on its way is read on, if there is room and it arrives; then net/http, which would
// wait for more, reads nothing any more.
func (x *exchange) drain(r *http.Request) {
	b := x.body
	if b == nil || b.ended {
		return
	}
	control := http.NewResponseController(x.beneath())
	defer func() { _ = control.SetReadDeadline(time.Now()) }() // the connection ends anyway
	if b.read == 0 && r.Header.Get("Expect") != "" {
		return // it waits to be asked for the body
	}
	select {
	case draining <- struct{}{}:
		defer func() { <-draining }()
	default:
		return
	}
	if control.Flush() != nil {
		return
	}
	end := time.Now().Add(drainTime)
	pace := time.NewTicker(drainPause)
	defer pace.Stop()
	for left := drained; left > 0 && time.Now().Before(end); left -= drainStep {
		err := control.SetReadDeadline(time.Now().Add(drainIdle))
		if err != nil {
			return
		}
		n, err := io.CopyN(io.Discard, b.ReadCloser, drainStep)
		b.read += n
		if err != nil {
			return
		}
		<-pace.C
	}
}
