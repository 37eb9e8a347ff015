package simulation

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// network carries bytes between the processes and the clients. Each write arrives at its
// own moment.
type network struct {
	*world
	mu        sync.Mutex
	listeners map[string]*listener
	dialled   map[string]int
	sent      map[string]int // requests sent by a client; one that is delivered twice, or sent again by net/http, counts twice
}

// dial returns the dial function of a client, or of a service for one purpose.
func (n *network) dial(who string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		n.mu.Lock()
		n.dialled[who]++
		name := fmt.Sprint(who, "#", n.dialled[who])
		n.mu.Unlock()
		random := n.random("dial", name)
		timer := time.NewTimer(n.latency(random))
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
		return n.open(who, name, host)
	}
}

func (n *network) open(who, name, host string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[host]
	n.mu.Unlock()
	client, server := &conn{network: n, who: who, name: name, peer: host}, &conn{network: n, name: name + " (answers)", server: true}
	client.other, server.other = server, client
	for _, c := range []*conn{client, server} {
		c.arrived = sync.NewCond(&c.mu)
		c.random = n.random("packets", c.name)
	}
	if l == nil || !l.add(server) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return client, nil
}

func (w *world) latency(random *rand.Rand) time.Duration {
	return 100*time.Microsecond + upTo(random, w.faults.latency)
}

// conn is one end of a connection. Written bytes arrive at the other end later, in order.
type conn struct {
	*network
	who, name, peer string
	server          bool // the accepting end
	other           *conn
	dead            <-chan struct{} // closed when the process of this end dies

	mu       sync.Mutex
	random   *rand.Rand
	arrived  *sync.Cond
	buffer   []byte
	err      error // returned after buffer
	closed   bool
	deadline time.Time
	last     time.Time // when the last write arrives
}

// upTo returns a random number below n.
func upTo[N int | time.Duration](random *rand.Rand, n N) N { return N(random.Int64N(int64(max(n, 1)))) }

// Write is part of net.Conn. It sends, or injects a fault.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil && c.err != io.EOF { //nolint:errorlint // it is set here
		return 0, c.err
	}
	if c.isDead() {
		return 0, errDead
	}
	if !c.server {
		c.network.mu.Lock()
		c.network.sent[c.who]++
		c.network.mu.Unlock()
	}
	sent := append([]byte(nil), p...)
	arrival := time.Now().Add(c.latency(c.random))
	if arrival.Before(c.last) {
		arrival = c.last.Add(time.Nanosecond)
	}
	f, dice := c.faults, c.random.Float64()
	fate := func(share float64) bool { dice -= share; return dice < 0 && !c.healed.Load() }
	switch {
	case fate(f.cut):
		c.tell("network", "%s: %d bytes are lost, and the connection is cut", c.name, len(sent))
		time.AfterFunc(time.Until(arrival), func() { c.cut(syscall.ECONNRESET) })
		sent = nil
	case fate(f.torn):
		sent = sent[:c.random.IntN(len(sent))]
		c.tell("network", "%s: the connection is cut after %d of %d bytes", c.name, len(sent), len(p))
		time.AfterFunc(time.Until(arrival)+time.Nanosecond, func() { c.cut(syscall.ECONNRESET) })
	case fate(f.stalled):
		late := upTo(c.random, 20*time.Second)
		c.tell("network", "%s: %d bytes are %s late", c.name, len(sent), late.Round(time.Millisecond))
		arrival = arrival.Add(late)
	case !c.server && fate(f.doubled):
		c.twice(sent)
	}
	c.last = arrival
	time.AfterFunc(time.Until(arrival), func() { c.other.receive(sent, nil) })
	return len(p), nil
}

func (c *conn) isDead() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

// twice delivers a request once more, over a connection whose answers nobody reads.
func (c *conn) twice(sent []byte) {
	again := c.latency(c.random) + upTo(c.random, 2*time.Second)
	c.tell("network", "%s: the request arrives twice", c.name)
	c.network.mu.Lock()
	c.network.sent[c.who]++
	c.network.mu.Unlock()
	time.AfterFunc(again, func() {
		copied, err := c.open("", c.name+" (again)", c.peer)
		if err != nil {
			return
		}
		end := copied.(*conn)
		end.other.receive(sent, nil)
		time.AfterFunc(time.Minute, func() { end.cut(io.EOF) })
	})
}

func (c *conn) receive(p []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.buffer = append(c.buffer, p...)
		c.err = err
	}
	c.arrived.Broadcast()
}

// cut ends the connection on both sides.
func (c *conn) cut(err error) {
	c.receive(nil, err)
	c.other.receive(nil, err)
}

// Read is part of net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(c.buffer) > 0:
			n := copy(p, c.buffer)
			c.buffer = c.buffer[n:]
			return n, nil
		case c.err != nil:
			return 0, c.err
		}
		c.arrived.Wait()
	}
}

// Close is part of net.Conn. The other end reads the bytes in flight, and then EOF.
func (c *conn) Close() error {
	c.receive(nil, net.ErrClosed)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	end := io.EOF
	if c.isDead() {
		end = error(syscall.ECONNRESET)
	}
	arrival := time.Now().Add(c.latency(c.random))
	if arrival.Before(c.last) {
		arrival = c.last.Add(time.Nanosecond)
	}
	time.AfterFunc(time.Until(arrival), func() { c.other.receive(nil, end) })
	return nil
}

// SetReadDeadline is part of net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	c.arrived.Broadcast()
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), c.arrived.Broadcast)
	}
	return nil
}

// SetDeadline is part of net.Conn.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline is part of net.Conn. It does nothing, as writes never block.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr is part of net.Conn.
func (c *conn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80} }

// RemoteAddr is part of net.Conn.
func (c *conn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 50000} }

// listener accepts the connections to a process, until it dies.
type listener struct {
	mu      sync.Mutex
	waiting chan *conn
	dead    <-chan struct{}
	all     []*conn
	closed  bool
}

func (l *listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	c.dead = l.dead
	l.all = append(l.all, c)
	l.waiting <- c
	return true
}

// Accept is part of net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, ok := <-l.waiting
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close is part of net.Listener. All connections are closed.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.waiting)
		for _, c := range l.all {
			_ = c.Close()
		}
	}
	return nil
}

// Addr is part of net.Listener.
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }
