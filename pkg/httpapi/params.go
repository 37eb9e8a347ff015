package httpapi

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
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

// parameter is a parameter of an operation.
type parameter struct {
	in, name string // in: path, query or header
	field    []int  // index in the input
	// set parses a value into the field. Clients see the text of its error.
	set func(field reflect.Value, value string) error
	// absent is the default; "" leaves the field unchanged.
	absent   string
	required bool
	list     bool // a repeated header is joined to one list
}

// inputOf returns the parameters of an input type, and the index of its Body field or
// nil. It panics if a field's type isn't supported.
func inputOf(t reflect.Type) (parameters []parameter, body []int) {
	for _, field := range reflect.VisibleFields(t) {
		if field.Name == "Body" {
			body = field.Index
			continue
		}
		for _, in := range []string{"path", "query", "header"} {
			name, tagged := field.Tag.Lookup(in)
			if !tagged {
				continue
			}
			_, list := reflect.New(field.Type).Interface().(interface{ isList() })
			parameters = append(parameters, parameter{in: in, name: name, field: field.Index, set: setter(field), absent: field.Tag.Get("default"), required: field.Tag.Get("required") == "true", list: list})
		}
	}
	return parameters, body
}

// setter returns the parser of a parameter's field.
func setter(field reflect.StructField) func(reflect.Value, string) error {
	if reflect.PointerTo(field.Type).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return func(v reflect.Value, value string) error {
			u, _ := v.Addr().Interface().(encoding.TextUnmarshaler)
			return u.UnmarshalText([]byte(value))
		}
	}
	switch field.Type.Kind() {
	case reflect.String:
		allowed := strings.FieldsFunc(field.Tag.Get("enum"), func(r rune) bool { return r == ',' })
		return func(v reflect.Value, value string) error {
			if len(allowed) > 0 && !slices.Contains(allowed, value) {
				return errors.New("must be one of " + strings.Join(allowed, ", "))
			}
			v.SetString(value)
			return nil
		}
	case reflect.Int:
		least, err := strconv.Atoi(field.Tag.Get("minimum"))
		most, errMost := strconv.Atoi(field.Tag.Get("maximum"))
		if err != nil || errMost != nil {
			break
		}
		return func(v reflect.Value, value string) error {
			n, err := strconv.Atoi(value)
			if err != nil || n < least || n > most || value != strconv.Itoa(n) {
				return fmt.Errorf("must be a whole number, %d to %d", least, most)
			}
			v.SetInt(int64(n))
			return nil
		}
	}
	panic(fmt.Sprintf("httpapi: a parameter can't be read into %s %s: it must be a string, an int with minimum and maximum, or an encoding.TextUnmarshaler", field.Name, field.Type))
}

// readParameters parses a request's parameters into input, and returns what is invalid.
func readParameters(all []parameter, input reflect.Value, x *exchange) (details []Detail) {
	for i := range all {
		p := &all[i]
		value, err := p.value(x)
		if err == nil && value != nil {
			err = p.set(input.FieldByIndex(p.field), *value)
		}
		if err != nil {
			details = append(details, Detail{Location: p.in + "." + p.name, Message: err.Error()})
		}
	}
	return details
}

var (
	errMissing = errors.New("is missing")
	errTwice   = errors.New("is given more than once")
)

// value returns the parameter's value, its default, or nil.
func (p *parameter) value(x *exchange) (*string, error) {
	switch p.in {
	case "path":
		value := x.g.Param(p.name)
		return &value, nil
	case "query":
		if values := x.query[p.name]; len(values) > 0 {
			return &values[0], nil // see readQuery
		}
	case "header":
		values := x.g.Request.Header[p.name]
		switch {
		case len(values) == 1:
			return &values[0], nil
		case len(values) > 1 && p.list:
			joined := strings.Join(values, ", ") // RFC 9110, section 5.3
			return &joined, nil
		case len(values) > 1:
			return nil, errTwice
		}
	}
	switch {
	case p.required:
		return nil, errMissing
	case p.absent == "":
		return nil, nil
	}
	return &p.absent, nil
}

// readQuery parses a request's query. It rejects unknown, repeated, empty and malformed
// parameters: to ignore one would silently answer another question.
func (o *operation) readQuery(raw string) (url.Values, *Problem) {
	if raw == "" {
		return nil, nil
	}
	if strings.Count(raw, "&") > maxParameters {
		return nil, NewProblem(http.StatusUnprocessableEntity, validationFailed, Detail{Location: "query", Message: "has too many parameters"})
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, NewProblem(http.StatusUnprocessableEntity, validationFailed, Detail{Location: "query", Message: "can't be read; escape special characters, such as % as %25"})
	}
	var details []Detail
	for _, name := range slices.Sorted(maps.Keys(query)) {
		location := "query." + jsonbody.Shorten(name)
		switch {
		case !slices.ContainsFunc(o.parameters, func(p parameter) bool { return p.in == "query" && p.name == name }):
			details = append(details, Detail{Location: location, Message: "is not a known parameter" + o.known()})
		case len(query[name]) > 1:
			details = append(details, Detail{Location: location, Message: errTwice.Error()})
		case query[name][0] == "":
			details = append(details, Detail{Location: location, Message: "is empty; leave it out, or give it a value"})
		}
	}
	if len(details) > 0 {
		return nil, NewProblem(http.StatusUnprocessableEntity, validationFailed, details[:min(len(details), maxDetails)]...)
	}
	return query, nil
}

// known lists the query parameters of the operation, for a message.
func (o *operation) known() string {
	var names []string
	for i := range o.parameters {
		if o.parameters[i].in == "query" {
			names = append(names, o.parameters[i].name)
		}
	}
	if len(names) == 0 {
		return "; the operation has none"
	}
	return "; known are " + strings.Join(names, ", ")
}

const (
	// maxParameters limits how many query parameters are parsed.
	maxParameters = 32
	// maxDetails limits how many invalid ones are reported.
	maxDetails = 20
)

// ID is the id of a resource in a path or a query.
type ID uuid.UUID

// UnmarshalText parses an id with ids.Parse.
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

// maxIDs is the maximum length of IDs.
const maxIDs = 100

// IDs is a parameter with 1 to 100 ids of resources, separated by commas. A repeated id
// counts once.
type IDs []uuid.UUID

// UnmarshalText parses each id with ids.Parse.
func (all *IDs) UnmarshalText(b []byte) error {
	n := bytes.Count(b, []byte(",")) + 1
	if n > maxIDs {
		return fmt.Errorf("must have at most %d ids", maxIDs)
	}
	*all = make(IDs, 0, n)
	for one := range strings.SplitSeq(string(b), ",") {
		id, err := ids.Parse(one)
		if err != nil {
			return err
		}
		if !slices.Contains(*all, id) {
			*all = append(*all, id)
		}
	}
	return nil
}

// Schema describes the ids.
func (*IDs) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Items: new(ID).Schema(r), MinItems: new(1), MaxItems: new(maxIDs)}
}

// Param is an optional parameter. *T must implement encoding.TextUnmarshaler.
type Param[T any] struct {
	Value T
	// Set reports whether the parameter was given.
	Set bool
}

// UnmarshalText parses the value.
func (p *Param[T]) UnmarshalText(b []byte) error {
	p.Set = true
	value, _ := any(&p.Value).(encoding.TextUnmarshaler)
	return value.UnmarshalText(b)
}

// Schema describes the parameter as T.
func (*Param[T]) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeFor[T]())
}

// Cursor is the position in a list at which a page begins.
type Cursor string

// UnmarshalText checks that the cursor is well formed. PageParams.Request checks that it
// belongs to the list.
func (c *Cursor) UnmarshalText(b []byte) error {
	*c = Cursor(b)
	_, err := page.After(string(b), page.First(1))
	if errors.Is(err, page.ErrOtherList) {
		return nil
	}
	return err
}

// Schema describes a cursor.
func (Cursor) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(64), Pattern: "^[A-Za-z0-9_-]+$"}
}

// PageParams are the pagination parameters of a list.
type PageParams struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"The maximum number of items on a page."`
	Cursor Cursor `query:"cursor" doc:"The next_cursor of the previous page; omit it for the first page."`
}

// Request returns the requested page. first returns the first page of the list:
// page.First or page.FirstByTime. The error is a *Problem.
func (p *PageParams) Request(first func(limit int) page.Request) (page.Request, error) {
	r, err := page.After(string(p.Cursor), first(p.Limit))
	if err != nil {
		return page.Request{}, NewProblem(http.StatusUnprocessableEntity, validationFailed, Detail{Location: "query.cursor", Message: err.Error()})
	}
	return r, nil
}

// CreatedParams filter a list by creation time.
type CreatedParams struct {
	CreatedAfter  Param[Instant] `query:"created_after" doc:"Only resources created after this time (RFC 3339), exclusive."`
	CreatedBefore Param[Instant] `query:"created_before" doc:"Only resources created before this time (RFC 3339), exclusive."`
}

// Period returns the requested period, and adds its bounds to query, for the links to
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
