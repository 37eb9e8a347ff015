package gate_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo returns the address of an echo server.
func echo(t *testing.T) string {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func TestTheCallbackRunsBeforeTheMessageIsPassedOn(t *testing.T) {
	g := gate.New(t, echo(t))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", g.Address)
	require.NoError(t, err)
	defer conn.Close()
	say := func() string {
		_, err := io.WriteString(conn, "x")
		require.NoError(t, err)
		b := make([]byte, 1)
		_, err = io.ReadFull(conn, b)
		require.NoError(t, err)
		return string(b)
	}
	require.Equal(t, "x", say())
	struck := 0
	g.Arm(4, func() bool { struck++; return true }) // the second answer
	require.Equal(t, "x", say())
	require.Zero(t, struck)
	require.Equal(t, "x", say())
	require.Equal(t, 1, struck)
	require.Equal(t, "x", say())
	require.Equal(t, 1, struck, "once")
	require.False(t, g.Disarm())
	g.Arm(1, func() bool { struck++; return true })
	require.True(t, g.Disarm())
	require.Equal(t, "x", say())
	require.Equal(t, 1, struck)

	lost := make(chan struct{})
	g.Arm(1, func() bool { close(lost); return false })
	_, err = io.WriteString(conn, "y")
	require.NoError(t, err)
	<-lost
	require.Equal(t, "x", say(), "the other message must not pass")
}
