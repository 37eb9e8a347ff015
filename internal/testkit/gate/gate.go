// Package gate is a proxy that counts the messages which pass, so that a test can strike
// before and behind each in turn: at every statement of a transaction, at every request
// and its answer.
package gate

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Gate leads to another address.
type Gate struct {
	// Address is its host and port.
	Address string

	mu     sync.Mutex
	left   int
	strike func() (pass bool)
}

// New listens at a free port of 127.0.0.1 for t, and leads to target.
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

// lead passes on what comes, message by message: what one side writes at once arrives so
// on the loopback, up to the size of the buffer.
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

// count reports whether a message is to pass.
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

// Arm has strike called, once, when the nth message from now on has come, to either side
// of any connection, and before it is passed on, which strike decides. Meanwhile nothing
// passes.
func (g *Gate) Arm(n int, strike func() (pass bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.strike = n, strike
}

// Disarm reports whether it was armed still, and has nothing called any more.
func (g *Gate) Disarm() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	armed := g.strike != nil
	g.strike = nil
	return armed
}
