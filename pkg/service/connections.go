package service

import (
	"container/list"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// connections bounds how many connections a server has. When there is one too many
// it closes the one that has waited longest for its client to send a request: first
// of those that have sent none yet, as a client that means no good leaves them, then
// of those that are idle. A request that is being answered is never cut off; where
// all are, the newest connection is closed.
type connections struct {
	most int

	mu sync.Mutex
	// all are where connections wait, each in fresh or in idle; nil is no wait.
	all         map[net.Conn]*list.Element
	fresh, idle *list.List // of net.Conn, longest first
}

func newConnections(most int) *connections {
	return &connections{most: most, all: map[net.Conn]*list.Element{}, fresh: list.New(), idle: list.New()}
}

// track is http.Server.ConnState.
func (c *connections) track(conn net.Conn, state http.ConnState) {
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
	if from.Len() == 1 && c.idle.Len() > 0 { // it has only just come
		from = c.idle
	}
	if from.Len() == 0 {
		return nil
	}
	surplus, _ = from.Remove(from.Front()).(net.Conn)
	delete(c.all, surplus)
	return surplus
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

// steadyConn gives up on a write when the client has taken nothing of it for as long
// as timeout. Whoever goes on reading, however slowly, gets all of it.
type steadyConn struct {
	net.Conn
	timeout time.Duration
}

// Write is part of net.Conn.
func (c *steadyConn) Write(p []byte) (written int, err error) {
	for {
		err = c.SetWriteDeadline(time.Now().Add(c.timeout))
		if err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}
