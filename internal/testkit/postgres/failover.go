package postgres

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Pair is a primary and a standby that has all that the primary acknowledged: the
// replication is synchronous. Without that, a failover may lose writes whatever a
// client does.
type Pair struct{ Primary, Standby *Server }

// NewPair starts a pair for t, with empty databases of these names.
func NewPair(t testing.TB, databases ...string) Pair {
	t.Helper()
	start := func(s *Server, err error) *Server {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			err := s.Stop()
			if err != nil {
				t.Error(err)
			}
		})
		return s
	}
	var p Pair
	p.Primary = start(Start(t.Context(), Options{NoFsync: true}))
	p.Standby = start(p.Primary.Standby(t.Context()))
	p.Primary.Administer(t,
		"ALTER SYSTEM SET synchronous_standby_names = '*'",
		"ALTER SYSTEM SET synchronous_commit = on",
		"SELECT pg_reload_conf()")
	for _, name := range databases {
		p.Primary.Administer(t, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	}
	return p
}

// ReadOnly has the primary refuse writes from now on, as before a planned failover.
func (p Pair) ReadOnly(t testing.TB) {
	t.Helper()
	p.Primary.Administer(t, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
}

// Promote makes the standby a primary that waits for no other.
func (p Pair) Promote(t testing.TB) {
	t.Helper()
	p.Standby.Administer(t, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_promote()", "SELECT pg_reload_conf()")
}

// Administer runs statements on the server, each on its own.
func (s *Server) Administer(t testing.TB, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, statement := range statements {
		_, err = conn.Exec(t.Context(), statement)
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// Switch is an address that leads to one server or another, as the name of a managed
// database does: what is connected stays so.
type Switch struct {
	// Address is its host and port.
	Address string
	target  atomic.Pointer[string]
}

// NewSwitch listens at a free port of host for t, and leads to target.
func NewSwitch(t testing.TB, host, target string) *Switch {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Switch{Address: listener.Addr().String()}
	s.Lead(target)
	ctx, cut := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	ends.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(ctx, "tcp", *s.target.Load())
			if err != nil {
				near.Close()
				continue
			}
			both := func(to, from net.Conn) {
				defer context.AfterFunc(ctx, func() { from.Close() })()
				_, _ = io.Copy(to, from)
				to.Close()
				from.Close()
			}
			ends.Go(func() { both(near, far) })
			ends.Go(func() { both(far, near) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		cut()
		ends.Wait()
	})
	return s
}

// Lead has new connections lead to target.
func (s *Switch) Lead(target string) { s.target.Store(&target) }
