package service

import (
	"bytes"
	"container/list"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// connections limits the number of connections of a server. Above the limit it closes
// one: the oldest that has sent no complete request yet, first of those with a part of one;
// otherwise, of a sample, the one that has been idle longest; otherwise, of a sample, the
// one whose client has stalled longest. A request that is being processed is never cut off:
// if all are, the newest connection is closed.
//
// Connections with a part of their first header take the most memory, for the least. So
// they may be only a quarter of all.
type connections struct {
	most int

	mu  sync.Mutex
	all map[*steadyConn]bool
	// silent has the connections that have sent nothing yet, and begun those that have sent
	// a part of their first header. The oldest is first.
	silent, begun *list.List
}

func newConnections(most int) *connections {
	return &connections{most: most, all: map[*steadyConn]bool{}, silent: list.New(), begun: list.New()}
}

// track is the http.Server.ConnState. It takes no lock between two requests of a
// connection.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	s, ok := conn.(*steadyConn)
	if !ok {
		panic("service: the connection was not accepted by a steadyListener")
	}
	s.inHeader.Store(state == http.StateNew || state == http.StateIdle)
	switch state {
	case http.StateNew:
		surplus := c.add(s)
		if surplus != nil {
			_ = surplus.Close() // the error doesn't matter
		}
	case http.StateIdle:
		s.header = headerLines{} // nothing is being read meanwhile
		s.idle.Store(int64(sinceStart()))
	case http.StateActive:
		if s.idle.Swap(0) == 0 {
			c.requested(s)
		}
	case http.StateHijacked, http.StateClosed:
		c.remove(s)
	}
}

// add adds a new connection, and returns one to close if there are too many.
func (c *connections) add(s *steadyConn) (surplus *steadyConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.limit = c
	s.in, s.fresh = c.silent, c.silent.PushBack(s)
	c.all[s] = true
	switch {
	case len(c.all) <= c.most:
		return nil
	case c.begun.Len() > 0:
		surplus = oldest(c.begun)
	case c.silent.Len() > 1: // not only the new one
		surplus = oldest(c.silent)
	default:
		surplus = c.longest(func(s *steadyConn) int64 { return s.idle.Load() }, 0)
		if surplus == nil {
			surplus = c.longest(func(s *steadyConn) int64 { return s.writing.Load() }, stalledAfter)
		}
		if surplus == nil {
			surplus = s
		}
	}
	c.forget(surplus)
	return surplus
}

func oldest(l *list.List) *steadyConn {
	s, _ := l.Front().Value.(*steadyConn)
	return s
}

// begin records that a connection has sent a part of its first header. It closes the oldest
// of these if there are too many.
func (c *connections) begin(s *steadyConn) {
	c.mu.Lock()
	var surplus *steadyConn
	if s.in == c.silent {
		c.silent.Remove(s.fresh)
		s.in, s.fresh = c.begun, c.begun.PushBack(s)
		if c.begun.Len() > max(1, c.most/4) {
			surplus = oldest(c.begun)
			c.forget(surplus)
		}
	}
	c.mu.Unlock()
	if surplus != nil {
		_ = surplus.Close() // the error doesn't matter
	}
}

// requested records the first request of a connection.
func (c *connections) requested(s *steadyConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(s)
}

func (c *connections) remove(s *steadyConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(s)
}

func (c *connections) forget(s *steadyConn) {
	delete(c.all, s)
	c.settle(s)
}

func (c *connections) settle(s *steadyConn) {
	if s.in != nil {
		s.in.Remove(s.fresh)
		s.in, s.fresh = nil, nil
	}
}

// stalledAfter is how long a client must have read nothing of its answer before its
// connection may be closed to make room.
const stalledAfter = time.Second

// start is the origin of the connections' times, which are monotonic: setting the clock
// back doesn't affect them.
var start = time.Now().Add(-2 * stalledAfter) // so that no time is 0, which means none

func sinceStart() time.Duration { return time.Since(start) }

// maxLooked limits how many connections longest samples: scanning all of them would delay
// each accept.
const maxLooked = 256

// longest returns the connection of a sample whose since is earliest, if that is at least
// least ago. since returns nanoseconds after start, or 0 for none. The sample is random,
// because map iteration is.
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

// steadyListener accepts connections whose clients may read slowly, but not stall.
type steadyListener struct {
	net.Listener
	timeout time.Duration
}

// Accept implements net.Listener.
func (l steadyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &steadyConn{Conn: conn, timeout: l.timeout}, nil
}

// maxHeaderLines limits the lines of a request header: each takes far more memory than
// its length.
const maxHeaderLines = 128

// errHeaderLines has a type to which net/http, after it, doesn't write an answer of its own.
var errHeaderLines = &net.OpError{Op: "read", Err: errors.New("the header has too many lines")}

// tooManyLines is the answer to a header with more lines (RFC 6585, section 5).
const tooManyLines = "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// The rest of such a header is discarded up to these limits, so that the client can read
// the answer before the connection is reset.
const (
	headerDrained   = 1 << 20
	headerDrainTime = 500 * time.Millisecond
)

// headerLines counts the lines of a request header, up to the empty line that ends it. The
// body may follow in the same read. Of a pipelined request, the beginning may have been read
// with the request before it: so counting may begin within a line.
type headerLines struct {
	n int
	// empty: the current line is empty so far. ended: the empty line was read.
	empty, ended bool
	// name is the beginning of the current line.
	name    [len(transferEncoding)]byte
	nameLen int
	// length and coding: the header has Content-Length, and Transfer-Encoding.
	length, coding bool
}

const contentLength, transferEncoding = "content-length:", "transfer-encoding:"

func (h *headerLines) count(read []byte) {
	for len(read) > 0 && !h.ended {
		line, rest, isWhole := bytes.Cut(read, []byte("\n"))
		h.nameLen += copy(h.name[h.nameLen:], line)
		h.empty = h.empty && len(bytes.TrimSuffix(line, []byte("\r"))) == 0
		if isWhole {
			h.n++
			h.length = h.length || h.is(contentLength)
			h.coding = h.coding || h.is(transferEncoding)
			h.empty, h.ended, h.nameLen = true, h.empty, 0
		}
		read = rest
	}
}

// is reports whether the current line is a field with the name, in lower case with the colon.
func (h *headerLines) is(name string) bool {
	return h.nameLen >= len(name) && strings.EqualFold(string(h.name[:len(name)]), name)
}

// isAmbiguous reports whether proxies and servers may disagree where the request ends: by
// Content-Length or Transfer-Encoding, which HTTP/1.0 doesn't have. net/http hides the
// former.
func (h *headerLines) isAmbiguous(r *http.Request) bool {
	return h.coding && (h.length || !r.ProtoAtLeast(1, 1))
}

// connKey is the context key of a request's connection.
type connKey struct{}

// closeWhenAmbiguous closes the connection after an ambiguous request (RFC 9112, section
// 6.1): what follows it may be a part of it.
func closeWhenAmbiguous(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(*steadyConn)
		if conn != nil && conn.header.isAmbiguous(r) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// steadyConn fails a write when the client has taken no byte of it for timeout, or up to
// an eighth less. A client that keeps reading, however slowly, gets everything. It also
// limits the lines of a header, which net/http doesn't.
type steadyConn struct {
	net.Conn
	timeout time.Duration
	// deadline is the current write deadline.
	deadline time.Time
	// idle is since when the connection waits for its next request, and writing since when
	// a write waits for the client. Both are nanoseconds after start; 0 means not.
	idle, writing atomic.Int64
	// limit is nil once something was read. fresh is the element in one of its lists, in,
	// until the first request.
	limit *connections
	in    *list.List
	fresh *list.Element
	// inHeader reports whether a request header is being read, and header has its lines.
	inHeader atomic.Bool
	header   headerLines
}

// Read implements net.Conn.
func (c *steadyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.inHeader.Load() {
		return n, err
	}
	c.header.count(p[:n])
	if c.limit != nil && n > 0 {
		if !c.header.ended {
			c.limit.begin(c)
		}
		c.limit = nil
	}
	if c.header.n > maxHeaderLines {
		c.refuseHeader()
		return 0, errHeaderLines
	}
	return n, err
}

// refuseHeader answers a header of too many lines. No other answer is being written while a
// header is read. Errors don't matter: the connection is closed in any case.
func (c *steadyConn) refuseHeader() {
	_, _ = c.Write([]byte(tooManyLines))
	_ = c.CloseWrite()
	_ = c.Conn.SetReadDeadline(time.Now().Add(headerDrainTime))
	_, _ = io.CopyN(io.Discard, c.Conn, headerDrained)
}

// Write implements net.Conn.
func (c *steadyConn) Write(p []byte) (written int, err error) {
	defer c.writing.Store(0)
	for {
		now := time.Now()
		c.writing.Store(int64(now.Sub(start)))
		if c.deadline.Sub(now) < c.timeout-c.timeout/8 { // not each time: to set a deadline costs as much as a small write
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

// SetWriteDeadline does nothing, because Write sets its own deadlines. net/http removes
// the deadline after each request, and the next answer would have none.
func (*steadyConn) SetWriteDeadline(time.Time) error { return nil }

// CloseWrite closes the sending side. net/http calls it before it closes a connection
// whose client is still sending, so that the client can read the answer.
func (c *steadyConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
