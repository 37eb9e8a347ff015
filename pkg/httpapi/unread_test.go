package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// slowBody takes a second for each read.
type slowBody struct{ io.Reader }

func (s slowBody) Read(p []byte) (int, error) {
	<-time.After(time.Second) // of the bubble's clock
	return s.Reader.Read(p)
}

func TestHowLongABodyWasWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := gin.CreateTestContext(httptest.NewRecorder())
		g.Request = httptest.NewRequest(http.MethodPost, "/", slowBody{strings.NewReader("ab")})
		require.Zero(t, awaited(g))
		closeOnUnread(g)
		require.Equal(t, "close", g.Writer.Header().Get("Connection"))
		read, err := io.ReadAll(g.Request.Body)
		require.NoError(t, err)
		require.Equal(t, "ab", string(read))
		require.Equal(t, 2*time.Second, awaited(g), "the text, and its end")
		require.Empty(t, g.Writer.Header().Get("Connection"))
	})
}
