package postgres_test

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	testserver "github.com/example/microservices/internal/testkit/postgres"
)

// TestConnectionsToAVanishedHostTimeOut checks the socket options: a vanished host can't be
// simulated here.
func TestConnectionsToAVanishedHostTimeOut(t *testing.T) {
	for name, parameters := range map[string]string{"by itself": "", "with another timeout to connect": "&connect_timeout=30"} {
		t.Run(name, func(t *testing.T) {
			conn, err := open(t, testserver.New(t)+parameters).Acquire(t.Context())
			require.NoError(t, err)
			defer conn.Release()
			plain, ok := conn.Conn().PgConn().Conn().(*net.TCPConn)
			require.True(t, ok)
			raw, err := plain.SyscallConn()
			require.NoError(t, err)
			option := func(level, name int) (value int) {
				require.NoError(t, raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) }))
				require.NoError(t, err)
				return value
			}
			require.Equal(t, 5000, option(syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT), "milliseconds")
			require.Equal(t, 1, option(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE))
			require.Equal(t, 5, option(syscall.IPPROTO_TCP, unix.TCP_KEEPIDLE), "seconds")
		})
	}
}

// TestAHungQueryReleasesItsConnection: the pool drops the connection.
func TestAHungQueryReleasesItsConnection(t *testing.T) {
	db := open(t, testserver.New(t)+"&pool_max_conns=1")
	limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := db.Exec(limited, "SELECT pg_sleep(60)")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = db.Exec(t.Context(), "SELECT 1")
	require.NoError(t, err)
}
