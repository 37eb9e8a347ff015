package httpapi

import (
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

	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/pkg/overload"
)

// MaxBodyBytes is the maximum size of a body, unless the rule has MaxBody.
const MaxBodyBytes = 64 << 10

// Body is the body of a request, decoded strictly into a T (see jsonbody). Use it as the
// type of the input's field called Body.
type Body[T any] struct {
	Value T

	raw []byte
}

// body is implemented by *Body.
type body interface{ decode(sent []byte) error }

// Raw returns the bytes of the body.
func (b *Body[T]) Raw() []byte { return b.raw }

// Schema describes the body as T. It panics if T isn't what jsonbody reads, which is a
// programming error.
func (*Body[T]) Schema(r huma.Registry) *huma.Schema {
	err := jsonbody.Check(reflect.TypeFor[T]())
	if err != nil {
		panic("httpapi: " + err.Error())
	}
	return r.Schema(reflect.TypeFor[T](), true, "")
}

func (b *Body[T]) decode(sent []byte) error {
	b.raw = sent
	return jsonbody.Decode(sent, &b.Value)
}

// decode decodes a body, and appends the invalid fields to details. It returns a *Problem
// (400) if the body is empty or isn't JSON.
func decode(b body, sent []byte, details []Detail) ([]Detail, error) {
	if len(sent) == 0 {
		return nil, emptyBody()
	}
	err := b.decode(sent)
	var fields invalid.Fields
	var syntax *jsonbody.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, NewProblem(http.StatusBadRequest, syntax.Error(), Detail{Location: bodyLocation(syntax.Path), Message: syntax.Error()})
	case errors.As(err, &fields):
		return append(details, bodyDetails(fields)...), nil
	}
	return details, err
}

func emptyBody() *Problem {
	return NewProblem(http.StatusBadRequest, "the body is empty", Detail{Location: "body", Message: "is required"})
}

// mergePatch is the media type of JSON Merge Patch (RFC 7396), which PATCH accepts
// besides application/json.
const mergePatch = "application/merge-patch+json"

func notJSON() *Problem {
	return NewProblem(http.StatusUnsupportedMediaType, "the body must be JSON; send Content-Type: application/json")
}

// requireJSON returns a 415 unless the body is JSON in UTF-8 without Content-Encoding
// (RFC 9110, section 15.5.16), and a 400 if it is only a part.
func requireJSON(r *http.Request) *Problem {
	// Two lines of Content-Type are an error, those of Content-Encoding are one list (RFC
	// 9110, sections 5.3 and 5.5).
	mediaType, params, err := mime.ParseMediaType(strings.Join(r.Header["Content-Type"], ","))
	charset, encoding := params["charset"], strings.Trim(strings.Join(r.Header["Content-Encoding"], ","), ", \t")
	patch := r.Method == http.MethodPatch
	accept, accepted := "Accept", "application/json"
	if patch {
		accept, accepted = "Accept-Patch", "application/json, "+mergePatch // RFC 5789, section 3.1
	}
	switch {
	case err != nil || mediaType != "application/json" && (mediaType != mergePatch || !patch):
		return notJSON().with(accept, accepted)
	case r.Header["Content-Range"] != nil: // RFC 9110, section 9.3.4
		return NewProblem(http.StatusBadRequest, "send the whole body, without Content-Range")
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		return NewProblem(http.StatusUnsupportedMediaType, "JSON is always UTF-8; leave the charset out of Content-Type").with(accept, accepted)
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return NewProblem(http.StatusUnsupportedMediaType, "send the body without Content-Encoding").with("Accept-Encoding", "identity")
	}
	return nil
}

func tooLarge(most int64) *Problem {
	return NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must be at most %d bytes", most))
}

// readBody reads the body of a request. The memory reserved for it grows as it arrives,
// so announcing a large body reserves nothing.
func (a *API) readBody(op *operation, x *exchange, held *overload.Reservation) ([]byte, *Problem) {
	r, ctx := x.g.Request, &x.ctx
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil // decode reports that it is missing
	}
	err := http.NewResponseController(x).SetReadDeadline(time.Now().Add(a.config.BodyTimeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, a.bodyProblem(ctx, err)
	}
	size := r.ContentLength + 1 // one byte more, to reach the end of the body
	if size <= 0 || size > minBody/bodyMemory {
		size = minBody / bodyMemory
	}
	content := make([]byte, 0, size)
	for err = nil; err == nil; {
		var n int
		n, err = r.Body.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if int64(len(content)) > op.maxBody {
			return nil, tooLarge(op.maxBody)
		}
		if len(content) == cap(content) && err == nil {
			refused := held.Grow(ctx, 3*int64(cap(content))) // the old and the new buffer
			if refused != nil {
				return nil, a.noMemory(ctx, x, refused)
			}
			content = append(make([]byte, 0, 2*cap(content)), content...)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, a.bodyProblem(ctx, err)
	}
	refused := held.Grow(ctx, max(minBody, bodyMemory*int64(len(content)))+op.rule.memory)
	if refused != nil {
		return nil, a.noMemory(ctx, x, refused)
	}
	return content, nil
}

func lateBody() *Problem {
	return NewProblem(http.StatusRequestTimeout, "the body took too long to arrive")
}

// bodyProblem returns the problem of a body that didn't arrive.
func (a *API) bodyProblem(ctx context.Context, err error) *Problem {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return lateBody()
	case errors.Is(err, io.ErrUnexpectedEOF): // incomplete (RFC 9112, section 8)
	case errors.Is(ctx.Err(), context.Canceled):
		return a.classify(ctx, err)
	}
	return NewProblem(http.StatusBadRequest, "the body could not be read")
}
