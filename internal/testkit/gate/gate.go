// Package gate provides a TCP proxy that counts messages, so that a test can interfere
// before each of them in turn: at every statement of a transaction, or at every request
// and its answer.
package gate

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Gate is a proxy to another address.
type Gate struct {
	// Address is the proxy's host and port.
	Address string

	mu     sync.Mutex
	left   int
	strike func() (pass bool)
}

// New starts a proxy to target on a free port of 127.0.0.1, until the test ends.
func New(t testing.TB, target string) *Gate {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{Address: listener.Addr().String()}
	ctx, cut := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	ends.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(ctx, "tcp", target)
			if err != nil {
				near.Close()
				continue
			}
			ends.Go(func() { g.lead(ctx, far, near) })
			ends.Go(func() { g.lead(ctx, near, far) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		cut()
		ends.Wait()
	})
	return g
}

// lead forwards data message by message. On the loopback, one write arrives as one read,
// up to the size of the buffer.
func (g *Gate) lead(ctx context.Context, to, from net.Conn) {
	defer context.AfterFunc(ctx, func() { from.Close() })()
	defer from.Close()
	defer to.Close()
	message := make([]byte, 64<<10)
	for {
		n, err := from.Read(message)
		if n > 0 && g.count() {
			_, err = to.Write(message[:n])
		}
		if err != nil {
			return
		}
	}
}

// count counts a message, and reports whether to forward it.
func (g *Gate) count() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.strike == nil {
		return true
	}
	g.left--
	if g.left > 0 {
		return true
	}
	strike := g.strike
	g.strike = nil
	return strike()
}

// Arm calls strike once, when the nth message from now on has arrived in either direction
// of any connection, and before it is forwarded; strike decides whether it is. Meanwhile
// nothing is forwarded.
func (g *Gate) Arm(n int, strike func() (pass bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.strike = n, strike
}

// Disarm removes strike, and reports whether it was still armed.
func (g *Gate) Disarm() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	armed := g.strike != nil
	g.strike = nil
	return armed
}
