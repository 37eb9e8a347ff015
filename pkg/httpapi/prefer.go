package httpapi

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const (
	preferHeader      = "Prefer"
	preferenceApplied = "Preference-Applied"
	returnMinimal     = "return=minimal"
)

// prefersMinimal reports whether the client asked for an answer without the resource
// (return=minimal; RFC 7240, section 4.2). Of repeated preferences the first counts.
func prefersMinimal(sent []string) bool {
	for rest, more := strings.Join(sent, ","), true; more; {
		var preference string
		preference, rest, more = cutUnquoted(rest, ',')
		preference, _, _ = cutUnquoted(preference, ';')
		name, value, _ := strings.Cut(preference, "=")
		if strings.EqualFold(strings.TrimSpace(name), "return") {
			return unquoted(strings.TrimSpace(value)) == "minimal"
		}
	}
	return false
}

// cutUnquoted is strings.Cut, but ignores separators in quoted strings (RFC 9110, section
// 5.6.4).
func cutUnquoted(s string, separator byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

var escaped = regexp.MustCompile(`\\(.)`)

// unquoted returns the value of a token or quoted string.
func unquoted(word string) string {
	if len(word) < 2 || word[0] != '"' || word[len(word)-1] != '"' {
		return word
	}
	return escaped.ReplaceAllString(word[1:len(word)-1], "$1")
}

// minimize removes the resource from a buffered 200 or 201. The idempotency record keeps
// it, because a replay may ask for it.
func (x *exchange) minimize() {
	switch x.Status() {
	case http.StatusOK:
		x.WriteHeader(http.StatusNoContent)
	case http.StatusCreated: // stays 201: 204 would say less
	default:
		return
	}
	x.buffered.Reset()
	x.Header().Del("Content-Type")
	x.Header().Set(preferenceApplied, returnMinimal)
}

// describePrefer adds the header Prefer to the document of an operation that creates or
// changes a resource.
func describePrefer(_ *huma.OpenAPI, op *huma.Operation) {
	if !takesBody(op.Method) {
		return
	}
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: preferHeader, In: "header", Description: "return=minimal omits the resource from the response (RFC 7240, section 4.2).",
		Schema: &huma.Schema{Type: huma.TypeString}, // no example: /docs would send it
	})
	applied := &huma.Header{Description: "return=minimal if Prefer has omitted the resource.", Schema: &huma.Schema{Type: huma.TypeString}}
	if created := op.Responses["201"]; created != nil {
		created.Headers[preferenceApplied] = applied
	}
	if changed := op.Responses["200"]; changed != nil {
		op.Responses["204"] = &huma.Response{
			Description: "Changed. The resource is omitted because of Prefer: return=minimal.",
			Headers:     map[string]*huma.Header{"ETag": changed.Headers["ETag"], preferenceApplied: applied},
		}
	}
}
