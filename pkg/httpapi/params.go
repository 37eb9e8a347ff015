package httpapi

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/pkg/page"
)

// ID is the id of a resource in a path or a query.
type ID uuid.UUID

// UnmarshalText reads an id with ids.Parse.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ids.Parse(string(b))
	if err != nil {
		return err
	}
	*id = ID(parsed)
	return nil
}

// Schema describes an id.
func (*ID) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "uuid", Examples: []any{"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"}}
}

// Param is a parameter that may be left out.
type Param[T any] struct {
	Value T
	// Set says that it was given.
	Set bool
}

// Receiver is where the value goes. It is called by huma.
func (p *Param[T]) Receiver() reflect.Value { return reflect.ValueOf(p).Elem().Field(0) }

// OnParamSet takes note of whether the parameter was given. It is called by
// huma.
func (p *Param[T]) OnParamSet(isSet bool, _ any) { p.Set = isSet }

// Schema describes the parameter as T.
func (*Param[T]) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeFor[T]())
}

// checkQuery refuses a query that would be read in part only: what can't be
// parsed, is given twice or is empty would silently ask for something else.
func checkQuery(op *huma.Operation, raw string) *Problem {
	if raw == "" {
		return nil
	}
	if strings.Count(raw, "&") > maxParameters {
		return NewProblem(http.StatusUnprocessableEntity, validationFailed, Detail{Location: "query", Message: "has too many parameters"})
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return NewProblem(http.StatusUnprocessableEntity, validationFailed, Detail{Location: "query", Message: "can't be read; escape special characters, such as % as %25"})
	}
	var details []Detail
	for _, name := range slices.Sorted(maps.Keys(query)) {
		location := "query." + jsonbody.Shorten(name)
		switch {
		case !knownParameter(op, name):
			details = append(details, Detail{Location: location, Message: "is not a known parameter"})
		case len(query[name]) > 1:
			details = append(details, Detail{Location: location, Message: "is given more than once"})
		case query[name][0] == "":
			details = append(details, Detail{Location: location, Message: "is empty; leave it out, or give it a value"})
		}
	}
	if len(details) > 0 {
		return NewProblem(http.StatusUnprocessableEntity, validationFailed, details[:min(len(details), maxDetails)]...)
	}
	return nil
}

const (
	// maxParameters is how many parameters of a query are looked at.
	maxParameters = 32
	// maxDetails is how many of their problems are reported.
	maxDetails = 20
)

func knownParameter(op *huma.Operation, name string) bool {
	return slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name })
}

// PageParams are the parameters of a list.
type PageParams struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many items a page has at most."`
	Cursor string `query:"cursor" maxLength:"64" doc:"The next_cursor of the page before; leave it out for the first page."`
}

// Resolve checks the cursor. It is called by huma.
func (p *PageParams) Resolve(huma.Context) []error {
	_, err := page.After(p.Cursor, page.First(p.Limit))
	if err != nil && !errors.Is(err, page.ErrOtherList) { // which list it is, Request is told
		return []error{&Detail{Location: "query.cursor", Message: err.Error()}}
	}
	return nil
}

// Request returns the page that is asked for, of a list whose first page is page.First or
// page.FirstByTime. Its error is a *Problem.
func (p *PageParams) Request(first func(limit int) page.Request) (page.Request, error) {
	r, err := page.After(p.Cursor, first(p.Limit))
	if err != nil {
		return page.Request{}, NewProblem(http.StatusUnprocessableEntity, validationFailed, Detail{Location: "query.cursor", Message: err.Error()})
	}
	return r, nil
}

// CreatedParams are the parameters of a list that is filtered by creation.
type CreatedParams struct {
	CreatedAfter  Param[Instant] `query:"created_after" doc:"Only what was created after this instant (RFC 3339), which is not included."`
	CreatedBefore Param[Instant] `query:"created_before" doc:"Only what was created before this instant (RFC 3339), which is not included."`
}

// Period returns the period that is asked for, and notes it in the query of the links to
// further pages.
func (p *CreatedParams) Period(query url.Values) (period page.Period) {
	note := func(name string, given Param[Instant]) *time.Time {
		if !given.Set {
			return nil
		}
		t := time.Time(given.Value)
		query.Set(name, t.Format(time.RFC3339Nano))
		return &t
	}
	period.After = note("created_after", p.CreatedAfter)
	period.Before = note("created_before", p.CreatedBefore)
	return period
}

// List is the body of a list.
type List[T any] struct {
	Items      []T     `json:"items" nullable:"false" doc:"The page's items, newest first."`
	NextCursor *string `json:"next_cursor" doc:"Asks for the next page; null on the last."`
}

// ListOutput is the answer to a list.
type ListOutput[T any] struct {
	Link string `header:"Link" doc:"The next page (RFC 8288, rel=next)."`
	Body List[T]
}

// isList says that the answer may be large.
func (*ListOutput[T]) isList() {}

// NewList makes the answer to a list of a page, with each item converted for
// the wire. path is the list's own, query the filters to keep in the link.
func NewList[T, W any](p page.Page[T], convert func(T) W, path string, query url.Values, limit int) *ListOutput[W] {
	out := &ListOutput[W]{}
	out.Body.Items = make([]W, len(p.Items))
	for i, item := range p.Items {
		out.Body.Items[i] = convert(item)
	}
	if p.Next != "" {
		out.Body.NextCursor = &p.Next
		query.Set("cursor", p.Next)
		query.Set("limit", strconv.Itoa(limit))
		out.Link = "<" + path + "?" + query.Encode() + `>; rel="next"`
	}
	return out
}
