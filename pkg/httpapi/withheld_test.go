package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAConnectionThatWithholdsItsBodyIsClosed: a client that announces a body and doesn't send it
// keeps its connection only for a short time after the answer.
func TestAConnectionThatWithholdsItsBodyIsClosed(t *testing.T) {
	c := newCrowded(t)
	began := time.Now()
	var conns []net.Conn
	for i := range 40 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(c.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		more := []string{"Content-Length: 10", "Content-Length: 10\r\nExpect: 100-continue", "Transfer-Encoding: chunked", "Content-Length: 9999999"}[i%4]
		target := []string{"POST /nowhere", "GET /health", "GET /nowhere", "POST /things"}[i/4%4]
		_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", target, more)
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	for i, conn := range conns {
		// The test's own limit; net/http would wait for BODY_TIMEOUT, a minute here.
		require.NoError(t, conn.SetReadDeadline(began.Add(30*time.Second)))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, i)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err, i)
		_, err = io.Copy(io.Discard, conn)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "connection %d is still open", i)
	}
}
