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

// Pair is a primary and a standby with synchronous replication: the standby has
// everything the primary acknowledged. Otherwise a failover could lose writes, whatever a
// client does.
type Pair struct{ Primary, Standby *Server }

// NewPair starts a pair for t, with empty databases of the given names.
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

// ReadOnly makes the primary reject writes, as before a planned failover.
func (p Pair) ReadOnly(t testing.TB) {
	t.Helper()
	p.Primary.Administer(t, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
}

// Promote makes the standby a primary without synchronous standbys.
func (p Pair) Promote(t testing.TB) {
	t.Helper()
	p.Standby.Administer(t, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_promote()", "SELECT pg_reload_conf()")
}

// Administer runs statements on the server, each in its own transaction.
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

// Switch is a TCP proxy whose target can be changed, like the host name of a managed
// database. Existing connections stay.
type Switch struct {
	// Address is the proxy's host and port.
	Address string
	target  atomic.Pointer[string]
}

// NewSwitch starts a proxy to target on a free port of host, until the test ends.
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

// Lead makes new connections go to target.
func (s *Switch) Lead(target string) { s.target.Store(&target) }
