package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// answerHeaders are the response headers that operations share. A header is added to the
// document's components when an answer has it.
var answerHeaders = map[string]*huma.Header{
	"Accept":           {Description: "The accepted media types of the body (RFC 9110, section 12.5.1).", Schema: &huma.Schema{Type: huma.TypeString}},
	"Accept-Encoding":  {Description: "The accepted Content-Encoding of the body: identity (RFC 9110, section 12.5.3).", Schema: &huma.Schema{Type: huma.TypeString}},
	"Accept-Patch":     {Description: "The accepted media types of the body (RFC 5789, section 3.1).", Schema: &huma.Schema{Type: huma.TypeString}},
	"Deprecation":      {Description: "When the operation was deprecated: @ and the Unix time in seconds (RFC 9745).", Schema: &huma.Schema{Type: huma.TypeString, Pattern: "^@[0-9]+$"}},
	"ETag":             {Description: "The resource's version, for If-Match and If-None-Match.", Schema: &huma.Schema{Type: huma.TypeString}},
	"RateLimit":        {Description: "The remaining requests, and the seconds until the whole limit is available again (draft-ietf-httpapi-ratelimit-headers-10). Omitted if no limit applies.", Schema: &huma.Schema{Type: huma.TypeString}},
	"RateLimit-Policy": {Description: "The limit: q requests at once, which are replenished over w seconds. Omitted if no limit applies.", Schema: &huma.Schema{Type: huma.TypeString}},
	"Retry-After":      {Description: "The seconds to wait before a retry (RFC 9110, section 10.2.3).", Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int64"}},
	"Sunset":           {Description: "When the operation will be removed (RFC 8594).", Schema: &huma.Schema{Type: huma.TypeString}},
	"WWW-Authenticate": {Description: "The required scheme, and why the token was rejected (RFC 6750, section 3).", Schema: &huma.Schema{Type: huma.TypeString}},
	"X-Request-Id":     {Description: "The id of this request in the logs: the one that the client sent, or a new one.", Schema: &huma.Schema{Type: huma.TypeString}},
}

// headersOf returns the names of the shared headers of an operation's answer with a
// status.
func headersOf(op *huma.Operation, status int) []string {
	names := []string{"X-Request-Id"}
	if len(op.Security) > 0 {
		names = append(names, "RateLimit", "RateLimit-Policy")
	}
	if op.Deprecated {
		names = append(names, "Deprecation")
		if op.Extensions[sunsetExtension] != nil {
			names = append(names, "Sunset")
		}
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		names = append(names, "WWW-Authenticate")
	case http.StatusNotModified:
		names = append(names, "ETag")
	case http.StatusPreconditionFailed:
		if slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == "If-Match" }) {
			names = append(names, "ETag")
		}
	case http.StatusUnsupportedMediaType:
		names = append(names, "Accept-Encoding", map[bool]string{true: "Accept-Patch", false: "Accept"}[op.Method == http.MethodPatch])
	case http.StatusTooManyRequests:
		names = append(names, "Retry-After")
	case http.StatusServiceUnavailable:
		if len(op.Security) > 0 { // probes have no Retry-After
			names = append(names, "Retry-After")
		}
	case http.StatusConflict:
		if op.Method == http.MethodPost { // another request with the same Idempotency-Key is in flight
			names = append(names, "Retry-After")
		}
	}
	return names
}

// describe adds the shared headers, and PATCH's second media type, to an operation in the
// document.
func describe(document *huma.OpenAPI, op *huma.Operation) {
	for status, response := range op.Responses {
		if response.Headers == nil {
			response.Headers = map[string]*huma.Header{}
		}
		code, _ := strconv.Atoi(status)
		for _, name := range headersOf(op, code) {
			response.Headers[name] = &huma.Header{Ref: "#/components/headers/" + name}
			document.Components.Headers[name] = answerHeaders[name]
		}
	}
	if op.Method == http.MethodPatch && op.RequestBody != nil {
		op.RequestBody.Content[mergePatch] = op.RequestBody.Content["application/json"]
	}
}

// allowNewMembers returns a hook that lets the schemas of answers have members that the
// document doesn't know, so that a client which validates answers survives a new one.
// Request bodies stay strict.
func allowNewMembers() huma.AddOpFunc {
	sent := map[*huma.Schema]bool{} // of request bodies
	return func(document *huma.OpenAPI, op *huma.Operation) {
		all := document.Components.Schemas
		if op.RequestBody != nil {
			for _, content := range op.RequestBody.Content {
				addSent(sent, all, content.Schema)
			}
		}
		for _, schema := range all.Map() {
			switch {
			case sent[schema] && schema.AdditionalProperties == nil:
				schema.AdditionalProperties = false
			case !sent[schema] && schema.AdditionalProperties == false:
				schema.AdditionalProperties = nil
			}
		}
	}
}

// addSent adds the schema and those that it refers to.
func addSent(sent map[*huma.Schema]bool, all huma.Registry, schema *huma.Schema) {
	if schema == nil || sent[schema] {
		return
	}
	if schema.Ref != "" {
		addSent(sent, all, all.SchemaFromRef(schema.Ref))
		return
	}
	sent[schema] = true
	for _, property := range schema.Properties {
		addSent(sent, all, property)
	}
	addSent(sent, all, schema.Items)
}

// served returns the document as this API runs. Without authentication it requires no
// token, so that a gateway configured from it doesn't demand one.
func (a *API) served() *huma.OpenAPI {
	if !a.config.Auth.IsOpen() {
		return a.OpenAPI()
	}
	document, components := *a.OpenAPI(), *a.OpenAPI().Components
	components.SecuritySchemes, components.Headers = nil, maps.Clone(components.Headers)
	delete(components.Headers, "WWW-Authenticate")
	document.Components = &components
	document.Paths = map[string]*huma.PathItem{}
	for path, item := range a.OpenAPI().Paths {
		open := *item
		for _, op := range []**huma.Operation{&open.Get, &open.Post, &open.Put, &open.Patch, &open.Delete} {
			if *op == nil {
				continue
			}
			copied := **op
			copied.Security, copied.Responses = nil, maps.Clone(copied.Responses)
			maps.DeleteFunc(copied.Responses, func(status string, _ *huma.Response) bool {
				return slices.Contains([]string{"401", "403"}, status)
			})
			*op = &copied
		}
		document.Paths[path] = &open
	}
	return &document
}
