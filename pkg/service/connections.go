package service

import (
	"bytes"
	"container/list"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// connections bounds how many connections a server has. When there is one too many
// it closes the one that has waited longest for its client: first of those that have
// sent no request yet, as a client that means no good leaves them, then of those that
// are idle, then of those that don't take their answer. A request that is worked on is
// never cut off; where all are, the newest connection is closed.
type connections struct {
	most int

	mu sync.Mutex
	// all are where connections wait, each in fresh or in idle; nil is being answered.
	all         map[net.Conn]*list.Element
	fresh, idle *list.List // of net.Conn, longest first
}

func newConnections(most int) *connections {
	return &connections{most: most, all: map[net.Conn]*list.Element{}, fresh: list.New(), idle: list.New()}
}

// track is http.Server.ConnState.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	if s, ok := conn.(*steadyConn); ok {
		s.inHeader.Store(state == http.StateNew || state == http.StateIdle)
	}
	surplus := c.note(conn, state)
	if surplus != nil {
		_ = surplus.Close() // whose end it is anyway
	}
}

// note takes note of a state, and returns a connection to be closed, if any.
func (c *connections) note(conn net.Conn, state http.ConnState) (surplus net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.all[conn]; at != nil {
		c.fresh.Remove(at) // each list leaves the other's elements alone
		c.idle.Remove(at)
	}
	switch state {
	case http.StateNew:
		c.all[conn] = c.fresh.PushBack(conn)
	case http.StateIdle:
		c.all[conn] = c.idle.PushBack(conn)
	case http.StateActive:
		c.all[conn] = nil
	case http.StateHijacked, http.StateClosed:
		delete(c.all, conn)
	}
	if len(c.all) <= c.most {
		return nil
	}
	from := c.fresh
	if from.Len() <= 1 && c.idle.Len() > 0 { // the fresh one has only just come
		from = c.idle
	}
	if from.Len() <= 1 {
		surplus = c.stalled()
	}
	if surplus == nil && from.Len() > 0 {
		surplus, _ = from.Remove(from.Front()).(net.Conn)
	}
	delete(c.all, surplus)
	return surplus
}

// stalledAfter is how long a client must have taken nothing of its answer until it may
// make room for another.
const stalledAfter = time.Second

// stalled returns the connection whose client has not taken its answer for longest.
func (c *connections) stalled() (longest net.Conn) {
	since := time.Now().Add(-stalledAfter).UnixNano()
	for conn, at := range c.all {
		s, ok := conn.(*steadyConn)
		if !ok || at != nil {
			continue
		}
		if began := s.writing.Load(); began != 0 && began < since {
			longest, since = conn, began
		}
	}
	return longest
}

// steadyListener accepts connections whose answers may be taken slowly, but not
// without any progress.
type steadyListener struct {
	net.Listener
	timeout time.Duration
}

// Accept is part of net.Listener.
func (l steadyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &steadyConn{Conn: conn, timeout: l.timeout}, nil
}

// maxHeaderLines is how many lines a request's header may have: each takes far more
// memory than it is long.
const maxHeaderLines = 128

var errHeaderLines = errors.New("the header has too many lines")

// tooManyLines is the answer to a header of more lines (RFC 6585, section 5).
const tooManyLines = "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// steadyConn gives up on a write when the client has taken nothing of it for as long
// as timeout, or an eighth less. Whoever goes on reading, however slowly, gets all of it. It also bounds
// the lines of a header, which net/http doesn't.
type steadyConn struct {
	net.Conn
	timeout time.Duration
	// deadline is that of a write.
	deadline time.Time
	// writing is since when the client is waited for to take more (Unix time in
	// nanoseconds); 0 is not at all.
	writing atomic.Int64
	// inHeader says that what is read is the header of a request, which has had so
	// many lines.
	inHeader atomic.Bool
	lines    int
}

// Read is part of net.Conn.
func (c *steadyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.inHeader.Load() {
		c.lines = 0
		return n, err
	}
	c.lines += bytes.Count(p[:n], []byte("\n"))
	if c.lines > maxHeaderLines {
		_, _ = c.Write([]byte(tooManyLines)) // nothing else is written before a request
		return 0, errHeaderLines
	}
	return n, err
}

// Write is part of net.Conn.
func (c *steadyConn) Write(p []byte) (written int, err error) {
	defer c.writing.Store(0)
	for {
		now := time.Now()
		c.writing.Store(now.UnixNano())
		if c.deadline.Sub(now) < c.timeout-c.timeout/8 { // setting one costs as much as a small write
			c.deadline = now.Add(c.timeout)
			err = c.SetWriteDeadline(c.deadline)
			if err != nil {
				return written, err
			}
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}

// CloseWrite ends what is sent, so that the client reads it to its end (net/http does
// so before it closes a connection whose client still sends).
func (c *steadyConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
