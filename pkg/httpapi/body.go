package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/pkg/overload"
)

// MaxBodyBytes is the size of the largest body that is read, unless an operation's
// rule says otherwise.
const MaxBodyBytes = 64 << 10

// Body is the body of a request, read strictly into a T (see jsonbody). It is
// used as the type of an input's field called Body.
type Body[T any] struct {
	Value T

	raw []byte
	err error
}

// Raw returns the bytes of the body.
func (b *Body[T]) Raw() []byte { return b.raw }

// Schema describes the body as T.
func (*Body[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// Resolve reports what is wrong with the body. It is called by huma.
func (b *Body[T]) Resolve(huma.Context) []error {
	var fields invalid.Fields
	var syntax *jsonbody.SyntaxError
	switch {
	case errors.As(b.err, &syntax):
		return []error{newSyntaxProblem(syntax)}
	case errors.As(b.err, &fields):
		errs := make([]error, len(fields))
		for i, d := range bodyDetails(fields) {
			errs[i] = &d
		}
		return errs
	}
	return nil
}

// decode never fails: what is wrong is reported by Resolve. huma uses data again.
func (b *Body[T]) decode(data []byte) {
	b.raw = bytes.Clone(data)
	b.err = jsonbody.Decode(b.raw, &b.Value)
}

// Rendered is a T that has been written as JSON already, to be sent as it is.
type Rendered[T any] []byte

// Render writes v as JSON.
func Render[T any](v T) (Rendered[T], error) { return json.Marshal(v) }

// Schema describes the body as T.
func (Rendered[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// MarshalJSONTo sends the JSON as it is.
func (b Rendered[T]) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(jsontext.Value(b))
}

// format is JSON as this package reads and writes it.
var format = huma.Format{
	Marshal: func(w io.Writer, v any) error { return json.MarshalWrite(w, v) },
	Unmarshal: func(data []byte, v any) error {
		if body, ok := v.(interface{ decode(data []byte) }); ok {
			body.decode(data)
			return nil
		}
		return json.Unmarshal(data, v)
	},
}

// mergePatch is the media type of a change (RFC 7396), which is what PATCH takes.
const mergePatch = "application/merge-patch+json"

// requireJSON refuses a body that says to be something else than JSON, or
// doesn't say what it is (RFC 9110, section 15.5.16).
func requireJSON(r *http.Request) *Problem {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, encoding := params["charset"], r.Header.Get("Content-Encoding")
	patch := r.Method == http.MethodPatch
	switch {
	case err != nil || mediaType != "application/json" && (mediaType != mergePatch || !patch):
		p := NewProblem(http.StatusUnsupportedMediaType, "the body must be JSON; send Content-Type: application/json")
		if patch {
			return p.with("Accept-Patch", "application/json, "+mergePatch) // RFC 5789, section 3.1
		}
		return p.with("Accept", "application/json")
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		return NewProblem(http.StatusUnsupportedMediaType, "JSON is always UTF-8; leave the charset out of Content-Type").with("Accept", "application/json")
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return NewProblem(http.StatusUnsupportedMediaType, "send the body without Content-Encoding").with("Accept-Encoding", "identity")
	}
	r.Header.Set("Content-Type", "application/json") // as huma looks it up
	return nil
}

func tooLarge(most int64) *Problem {
	return NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must be at most %d bytes", most))
}

// readBody reads the body of a request into memory, and puts it in its place. What is
// held for it grows as it arrives, so that announcing a large one holds nothing.
func (a *API) readBody(op *operation, g *gin.Context, held *overload.Reservation) *Problem {
	r := g.Request
	if r.Body == nil || r.ContentLength == 0 {
		return nil // huma says that it is missing
	}
	err := http.NewResponseController(g.Writer).SetReadDeadline(time.Now().Add(a.config.BodyTimeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return a.bodyProblem(r.Context(), err)
	}
	size := r.ContentLength + 1 // for the end
	if size <= 0 || size > minBody/bodyMemory {
		size = minBody / bodyMemory
	}
	content := make([]byte, 0, size)
	for err = nil; err == nil; {
		var n int
		n, err = r.Body.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if int64(len(content)) > op.maxBody {
			return tooLarge(op.maxBody)
		}
		if len(content) == cap(content) && err == nil {
			refused := held.Grow(r.Context(), 3*int64(cap(content))) // the old and the new
			if refused != nil {
				return a.noMemory(r.Context(), exchangeOf(g), refused)
			}
			content = append(make([]byte, 0, 2*cap(content)), content...)
		}
	}
	if !errors.Is(err, io.EOF) {
		return a.bodyProblem(r.Context(), err)
	}
	refused := held.Grow(r.Context(), max(minBody, bodyMemory*int64(len(content)))+op.rule.memory)
	if refused != nil {
		return a.noMemory(r.Context(), exchangeOf(g), refused)
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	return nil
}

// bodyProblem is the refusal of a body that didn't arrive.
func (a *API) bodyProblem(ctx context.Context, err error) *Problem {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return NewProblem(http.StatusRequestTimeout, "the body took too long to arrive")
	case errors.Is(ctx.Err(), context.Canceled):
		return a.classify(ctx, err)
	}
	return NewProblem(http.StatusBadRequest, "the body could not be read")
}
