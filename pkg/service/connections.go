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
// sent no request yet, as a client that means no good leaves them, then of a sample of
// those that are idle, then of those that don't take their answer. A request that is worked on is
// never cut off; where all are, the newest connection is closed.
type connections struct {
	most int

	mu  sync.Mutex
	all map[*steadyConn]bool
	// fresh are those of them that have sent no request yet, longest first.
	fresh *list.List
}

func newConnections(most int) *connections {
	return &connections{most: most, all: map[*steadyConn]bool{}, fresh: list.New()}
}

// track is http.Server.ConnState. Between two requests of a connection it takes no lock.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	s, ok := conn.(*steadyConn)
	if !ok {
		panic("service: a connection that no steadyListener accepted")
	}
	s.inHeader.Store(state == http.StateNew || state == http.StateIdle)
	switch state {
	case http.StateNew:
		surplus := c.add(s)
		if surplus != nil {
			_ = surplus.Close() // whose end it is anyway
		}
	case http.StateIdle:
		s.idle.Store(int64(sinceStart()))
	case http.StateActive:
		if s.idle.Swap(0) == 0 {
			c.begin(s)
		}
	case http.StateHijacked, http.StateClosed:
		c.remove(s)
	}
}

// add adds a new connection, and returns one to be closed, if there are too many.
func (c *connections) add(s *steadyConn) (surplus *steadyConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.fresh = c.fresh.PushBack(s)
	c.all[s] = true
	if len(c.all) <= c.most {
		return nil
	}
	if c.fresh.Len() == 1 { // the new one itself
		surplus = c.longest(func(s *steadyConn) int64 { return s.idle.Load() }, 0)
		if surplus == nil {
			surplus = c.longest(func(s *steadyConn) int64 { return s.writing.Load() }, stalledAfter)
		}
	}
	if surplus == nil {
		surplus, _ = c.fresh.Front().Value.(*steadyConn)
	}
	c.forget(surplus)
	return surplus
}

// begin takes note of the first request of a connection.
func (c *connections) begin(s *steadyConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.fresh != nil {
		c.fresh.Remove(s.fresh)
		s.fresh = nil
	}
}

func (c *connections) remove(s *steadyConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(s)
}

func (c *connections) forget(s *steadyConn) {
	delete(c.all, s)
	if s.fresh != nil {
		c.fresh.Remove(s.fresh)
		s.fresh = nil
	}
}

// stalledAfter is how long a client must have taken nothing of its answer until it may
// make room for another.
const stalledAfter = time.Second

// start is what times of connections are counted from, so that they don't depend on a
// clock that may be set back.
var start = time.Now().Add(-2 * stalledAfter) // no time is 0

func sinceStart() time.Duration { return time.Since(start) }

// maxLooked is how many connections are looked at to find one that makes room: a look
// at all of many would hold each accept up.
const maxLooked = 256

// longest returns the connection that has been so for longest, and for as long as least,
// among some: a map is read from a place taken at random. since tells since when, or 0.
func (c *connections) longest(since func(*steadyConn) int64, least time.Duration) (longest *steadyConn) {
	before, looked := int64(sinceStart()-least), 0
	for s := range c.all {
		if looked++; looked > maxLooked {
			break
		}
		if began := since(s); began != 0 && began <= before {
			longest, before = s, began
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
	// idle is since when the connection waits for another request, and writing since
	// when the client is waited for to take more (nanoseconds after start); 0 is not at
	// all.
	idle, writing atomic.Int64
	// fresh is where connections has it while it has sent no request.
	fresh *list.Element
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
		c.writing.Store(int64(now.Sub(start)))
		if c.deadline.Sub(now) < c.timeout-c.timeout/8 { // setting one costs as much as a small write
			c.deadline = now.Add(c.timeout)
			err = c.Conn.SetWriteDeadline(c.deadline)
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

// SetWriteDeadline does nothing: Write has deadlines of its own. net/http takes any away
// after each request, and the next answer would have none.
func (*steadyConn) SetWriteDeadline(time.Time) error { return nil }

// CloseWrite ends what is sent, so that the client reads it to its end (net/http does
// so before it closes a connection whose client still sends).
func (c *steadyConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
