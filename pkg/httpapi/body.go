package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/jsonbody"
)

// MaxBodyBytes is the size of the largest body that is read.
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

// requireJSON refuses a body that says to be something else than JSON, or
// doesn't say what it is (RFC 9110, section 15.5.16).
func (a *API) requireJSON(ctx huma.Context, next func(huma.Context)) {
	mediaType, params, err := mime.ParseMediaType(ctx.Header("Content-Type"))
	charset := params["charset"]
	switch {
	case err != nil || mediaType != "application/json" && mediaType != "application/merge-patch+json":
		a.refuse(ctx, NewProblem(http.StatusUnsupportedMediaType, "the body must be JSON; send Content-Type: application/json"))
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		a.refuse(ctx, NewProblem(http.StatusUnsupportedMediaType, "JSON is always UTF-8; leave the charset out of Content-Type"))
	case ctx.Header("Content-Encoding") != "" && !strings.EqualFold(ctx.Header("Content-Encoding"), "identity"):
		a.refuse(ctx, NewProblem(http.StatusUnsupportedMediaType, "send the body without Content-Encoding"))
	default:
		// As huma looks it up.
		humagin.Unwrap(ctx).Request.Header.Set("Content-Type", "application/json")
		next(ctx)
	}
}
