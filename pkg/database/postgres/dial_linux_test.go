package postgres

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCheckingForNewBytesNeverBlocks: not even for a read in progress. pgx leaves one
// behind after a slow write, and to wait for it would block for ever.
func TestCheckingForNewBytesNeverBlocks(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	near, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	far, err := listener.Accept()
	require.NoError(t, err)
	require.False(t, hasNews(near))

	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = near.Read(make([]byte, 1))
	}()
	for range 1000 { // the read begins at some point
		require.False(t, hasNews(near))
	}
	_, err = far.Write([]byte("ab"))
	require.NoError(t, err)
	<-read
	require.Eventually(t, func() bool { return hasNews(near) }, time.Minute, time.Millisecond)
	require.NoError(t, far.Close())
	require.True(t, hasNews(near))
	require.NoError(t, near.Close())
}
