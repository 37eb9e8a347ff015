package auth

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestTheTokenIsReadForEachRequest(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "token")
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: TokenFile(path)(transport)}
	send := func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("body"))
		require.NoError(t, err)
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		require.Empty(t, request.Header.Get("Authorization"), "the caller's request must not change (http.RoundTripper)")
		return response.Body.Close()
	}
	require.ErrorIs(t, send(), os.ErrNotExist)
	require.Error(t, CheckTokenFile(path))
	for _, token := range []string{"first", "second"} {
		require.NoError(t, os.WriteFile(path, []byte(token+"\n"), 0o600))
		require.NoError(t, CheckTokenFile(path))
		require.NoError(t, send())
		require.Equal(t, "Bearer "+token, got)
	}
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.ErrorIs(t, send(), errNoToken)
}

// closing records whether it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

// TestABodyIsClosedWithoutAToken: http.RoundTripper requires it for every error.
func TestABodyIsClosedWithoutAToken(t *testing.T) {
	body := &closing{Reader: strings.NewReader("body")}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://service.invalid", body)
	require.NoError(t, err)
	_, err = TokenFile(filepath.Join(t.TempDir(), "none"))(http.DefaultTransport).RoundTrip(request)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.True(t, body.closed)
}
