package httpapi

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// closeOnUnread has the connection closed after an answer that is sent before the
// request's body was read to its end. Else net/http waits for the rest of it, for
// as long as BODY_TIMEOUT, before the answer leaves: with the place that the
// request has in the service, and with the service's end.
func closeOnUnread(g *gin.Context) {
	header := g.Writer.Header()
	if g.Request.ContentLength == 0 || header.Get("Connection") != "" {
		return
	}
	header.Set("Connection", "close")
	body := &bodyToItsEnd{ReadCloser: g.Request.Body, header: header}
	g.Request.Body = body
	g.Set(bodyKey, body)
}

const bodyKey = "body"

// awaited is how long a request's body was waited for: the client's doing.
func awaited(g *gin.Context) time.Duration {
	body, _ := g.Get(bodyKey)
	b, known := body.(*bodyToItsEnd)
	if !known {
		return 0
	}
	return b.waited
}

// bodyToItsEnd keeps the connection once it has been read, and adds up how long
// that took.
type bodyToItsEnd struct {
	io.ReadCloser
	header http.Header
	waited time.Duration
}

func (b *bodyToItsEnd) Read(p []byte) (int, error) {
	start := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.waited += time.Since(start)
	if errors.Is(err, io.EOF) {
		b.header.Del("Connection")
	}
	return n, err
}
