package httpapi

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBodiesOnTheirWayAreBounded: they need no place, but memory.
func TestBodiesOnTheirWayAreBounded(t *testing.T) {
	const most = 512 // overload's
	c := newCrowded(t)
	for range most {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", c.url[len("http://"):])
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprint(conn, "POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
		require.NoError(t, err)
		_, err = io.ReadFull(conn, make([]byte, len("HTTP/1.1 100 Continue"))) // its body is waited for
		require.NoError(t, err)
	}
	status, header, _ := c.do(http.MethodPost, "/things", strings.NewReader("{}"))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NotEmpty(t, header.Get("Retry-After"))
}
