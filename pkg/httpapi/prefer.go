package httpapi

import (
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const (
	preferHeader      = "Prefer"
	preferenceApplied = "Preference-Applied"
	returnMinimal     = "return=minimal"
)

// prefersMinimal reports whether a client has no use for the resource that it makes or
// changes (RFC 7240, section 4.2). Of two preferences of one name the first counts.
func prefersMinimal(sent []string) bool {
	for preference := range strings.SplitSeq(strings.Join(sent, ","), ",") {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if strings.EqualFold(strings.TrimSpace(name), "return") {
			return strings.Trim(strings.TrimSpace(value), `"`) == "minimal"
		}
	}
	return false
}

// minimize leaves the resource out of an answer that is held, if that is a success. What
// a replay is made of keeps it: the next one may want it.
func (x *exchange) minimize() {
	switch x.Status() {
	case http.StatusOK:
		x.WriteHeader(http.StatusNoContent)
	case http.StatusCreated: // which says more than 204 does
	default:
		return
	}
	x.buffered.Reset()
	x.Header().Del("Content-Type")
	x.Header().Set(preferenceApplied, returnMinimal)
}

// describePrefer adds the preference to what the document says of an operation that makes
// or changes a resource.
func describePrefer(_ *huma.OpenAPI, op *huma.Operation) {
	if !takesBody(op.Method) {
		return
	}
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: preferHeader, In: "header", Description: "return=minimal leaves the resource out of the answer (RFC 7240, section 4.2).",
		Schema: &huma.Schema{Type: huma.TypeString}, // without an example, which /docs would send
	})
	applied := &huma.Header{Description: "return=minimal where there is no body for that reason.", Schema: &huma.Schema{Type: huma.TypeString}}
	if created := op.Responses["201"]; created != nil {
		created.Headers[preferenceApplied] = applied
	}
	if changed := op.Responses["200"]; changed != nil {
		op.Responses["204"] = &huma.Response{
			Description: "Changed; without the resource, as Prefer asked for.",
			Headers:     map[string]*huma.Header{"ETag": changed.Headers["ETag"], preferenceApplied: applied},
		}
	}
}
