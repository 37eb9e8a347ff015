package httpapi

import (
	"errors"
	"io"
	"net/http"

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
	g.Request.Body = &bodyToItsEnd{ReadCloser: g.Request.Body, header: header}
}

// bodyToItsEnd keeps the connection once it has been read.
type bodyToItsEnd struct {
	io.ReadCloser
	header http.Header
}

func (b *bodyToItsEnd) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.header.Del("Connection")
	}
	return n, err
}
