// Package apitest provides an HTTP client for tests that validates every answer against
// the service's OpenAPI document, and records which operations and statuses of the
// document were tested.
package apitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"
)

// Document is a service's OpenAPI document, with what was tested of it.
type Document struct {
	api *huma.OpenAPI

	mu        sync.Mutex
	validator validator.Validator
	seen      map[string]bool
}

// NewDocument returns a document of which nothing was tested. It returns an error if the
// document is invalid.
func NewDocument(api *huma.OpenAPI) (*Document, error) {
	text, err := api.YAML()
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return nil, fmt.Errorf("read the OpenAPI document: %v", errs)
	}
	valid, problems := v.ValidateDocument()
	if !valid {
		return nil, fmt.Errorf("the OpenAPI document is not valid: %v", problems)
	}
	return &Document{api: api, validator: v, seen: map[string]bool{}}, nil
}

// Untested returns the operations and statuses that weren't tested, such as "GET
// /api/v1/users 422".
func (d *Document) Untested() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var missing []string
	for path, item := range d.api.Paths {
		for method, op := range operations(item) {
			for status := range op.Responses {
				if what := method + " " + path + " " + status; !d.seen[what] {
					missing = append(missing, what)
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}

func operations(item *huma.PathItem) map[string]*huma.Operation {
	all := map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
		http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
	}
	for method, op := range all {
		if op == nil {
			delete(all, method)
		}
	}
	return all
}

// find returns the path template and the operation of a request, which may be nil. Paths
// without parameters come first (OpenAPI 3.1, section 4.8.8.2).
func (d *Document) find(method, path string) (string, *huma.Operation) {
	best, found := "", (*huma.PathItem)(nil)
	for template, item := range d.api.Paths {
		if matches(template, path) && (found == nil || strings.Count(template, "{") < strings.Count(best, "{")) {
			best, found = template, item
		}
	}
	if found == nil {
		return "", nil
	}
	return best, operations(found)[method]
}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// check validates an answer against the document.
func (d *Document) check(t testing.TB, request *http.Request, response *http.Response, body []byte) {
	t.Helper()
	if request.Method == http.MethodHead {
		require.Empty(t, body)
		return
	}
	template, op := d.find(request.Method, request.URL.Path)
	if op == nil {
		// Not an operation: the router's own 404 or 405.
		require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, response.StatusCode, "%s %s is not in the document", request.Method, request.URL.Path)
		require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
		return
	}
	status := strconv.Itoa(response.StatusCode)
	documented, ok := op.Responses[status]
	require.True(t, ok, "%s %s answered %s, which is not in the document: %s", request.Method, template, status, body)
	if len(documented.Content) == 0 {
		require.Empty(t, body, "%s %s %s has no body in the document", request.Method, template, status)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[request.Method+" "+template+" "+status] = true
	if response.Header.Get("Preference-Applied") == "return=minimal" && len(body) == 0 {
		return // the document can't say that a body may be missing
	}
	copied := *response
	copied.Body = io.NopCloser(bytes.NewReader(body))
	valid, problems := d.validator.ValidateHttpResponse(request, &copied)
	if valid {
		return
	}
	for _, p := range problems {
		for _, s := range p.SchemaValidationErrors {
			t.Errorf("%s %s %s: %s at %s", request.Method, template, status, s.Reason, s.FieldPath)
		}
		t.Errorf("%s %s %s: %s: %s\n%s", request.Method, template, status, p.Message, p.Reason, body)
	}
	t.FailNow()
}

// Operation is an operation of the document.
type Operation struct {
	Method, Path string
	*huma.Operation
}

// ByID returns the operations by their ids.
func (d *Document) ByID() map[string]Operation {
	all := map[string]Operation{}
	for path, item := range d.api.Paths {
		for method, op := range operations(item) {
			all[op.OperationID] = Operation{Method: method, Path: path, Operation: op}
		}
	}
	return all
}

// Scopes returns the scopes of which the operation requires one, without admin. It
// returns none if no token is required.
func (o Operation) Scopes() []string {
	var scopes []string
	for _, requirement := range o.Security {
		for _, needed := range requirement {
			scopes = append(scopes, needed...)
		}
	}
	return slices.DeleteFunc(scopes, func(s string) bool { return s == "admin" })
}
