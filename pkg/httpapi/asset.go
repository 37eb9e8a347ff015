package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
)

// asset is a file of the documentation. It is compressed once, not per request.
type asset struct {
	etag       string
	plain      func() []byte
	compressed []byte // gzip; nil if gzip doesn't make it smaller
}

// newAsset returns an asset with the content.
func newAsset(content []byte) *asset {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // writing to memory can't fail
	}
	a := &asset{etag: tagOf(content), plain: func() []byte { return content }}
	if b.Len() < len(content) {
		a.compressed = b.Bytes()
	}
	return a
}

// newCompressed returns an asset from gzipped content. It is decompressed when the first
// client without gzip asks for it.
func newCompressed(compressed []byte) *asset {
	return &asset{etag: tagOf(compressed), compressed: compressed, plain: sync.OnceValue(func() []byte {
		r, err := gzip.NewReader(bytes.NewReader(compressed))
		if err != nil {
			panic(err) // can't fail: the content is embedded in the binary
		}
		content, err := io.ReadAll(r)
		if err != nil {
			panic(err)
		}
		return content
	})}
}

func tagOf(content []byte) string {
	sum := sha256.Sum256(content)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// serve answers with the asset, with 304 if the client has it, or with 412 if the client
// wants another (RFC 9110, section 13.1). Each encoding has its own entity tag (section
// 8.8.3.3).
func (a *asset) serve(g *gin.Context, contentType string) {
	content, etag := a.compressed, `"`+a.etag+`-gzip"`
	header := g.Writer.Header()
	if content == nil || !acceptsGzip(strings.Join(g.Request.Header["Accept-Encoding"], ",")) {
		content, etag = a.plain(), `"`+a.etag+`"`
	} else {
		header.Set("Content-Encoding", "gzip")
	}
	header.Add("Vary", "Accept-Encoding")
	header.Set("Cache-Control", "no-cache") // cached, and revalidated by its ETag
	header.Set("Etag", etag)
	var wanted Conditions
	if sent := g.Request.Header["If-Match"]; sent != nil && (wanted.IfMatch.UnmarshalText([]byte(strings.Join(sent, ","))) != nil || wanted.checkMatch(etag) != nil) {
		header.Del("Content-Encoding")
		header.Del("Etag") // the problem has it
		x := exchangeOf(g)
		x.problem = changedSince(etag)
		_ = x.problem.send(&x.ctx, x) // without an answer, the client has left
		return
	}
	tags, err := parseTags(strings.Join(g.Request.Header["If-None-Match"], ","))
	for _, tag := range tags {
		if err == nil && (tag == "*" || strings.TrimPrefix(tag, "W/") == etag) {
			header.Del("Content-Encoding")
			g.Status(http.StatusNotModified)
			return
		}
	}
	g.Data(http.StatusOK, contentType, content)
}

// acceptsGzip parses Accept-Encoding (RFC 9110, section 12.5.3).
func acceptsGzip(header string) (accepted bool) {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "gzip" || name == "x-gzip" {
			q := strings.TrimPrefix(strings.ToLower(strings.Trim(weight, " \t")), "q=")
			accepted = accepted || strings.Trim(q, "0.") != "" || q == ""
		}
	}
	return accepted
}
