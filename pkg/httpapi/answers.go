package httpapi

import (
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/page"
)

// Nothing is an answer without a body: 204.
type Nothing struct{}

func (Nothing) write(x *exchange, _ int) error {
	x.WriteHeader(http.StatusNoContent)
	return nil
}

// Resource is an answer with one resource: 200.
type Resource[T any] struct {
	ETag string `header:"ETag" doc:"The resource's version, for If-Match and If-None-Match."`
	Body T
}

// NewResource returns the answer with a version of a resource.
func NewResource[T any](version int64, resource T) Resource[T] {
	return Resource[T]{ETag: ETag(version), Body: resource}
}

func (r Resource[T]) write(x *exchange, status int) error {
	x.Header().Set("ETag", r.ETag)
	return x.json(status, r.Body)
}

// Unversioned is an answer with a body that has no version: 200.
type Unversioned[T any] struct{ Body T }

func (u Unversioned[T]) write(x *exchange, status int) error { return x.json(status, u.Body) }

// Created is the answer to a POST that creates a resource: 201, new or replayed.
type Created[T any] struct {
	Location string `header:"Location" doc:"The path of the new resource."`
	ETag     string `header:"ETag" doc:"The resource's version, for If-Match and If-None-Match."`
	Replayed string `header:"Idempotent-Replayed" doc:"true if this is the recorded response to an earlier request with the same Idempotency-Key; omitted otherwise."`
	Body     rendered[T]
}

// rendered is a T that is already encoded as JSON.
type rendered[T any] []byte

// Schema describes it as T.
func (rendered[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// NewCreated returns the answer to a POST to path that created a resource, in the form in
// which an idempotency record stores it.
func NewCreated[T any](path string, id uuid.UUID, version int64, resource T) (idempotency.Answer, error) {
	body, err := json.Marshal(resource)
	return idempotency.Answer{Status: http.StatusCreated, Location: path + "/" + id.String(), ETag: ETag(version), Body: body}, err
}

// Send returns the answer stored with a resolved claim.
func Send[T any](claim *idempotency.Claim) Created[T] {
	a := claim.Answer()
	c := Created[T]{Location: a.Location, ETag: a.ETag, Body: a.Body}
	if claim.Replayed() {
		c.Replayed = "true"
	}
	return c
}

func (c Created[T]) write(x *exchange, status int) error {
	header := x.Header()
	header.Set("Location", c.Location)
	header.Set("ETag", c.ETag)
	if c.Replayed != "" {
		header.Set("Idempotent-Replayed", c.Replayed)
	}
	header["Content-Type"] = jsonType
	x.WriteHeader(status)
	_, err := x.Write(c.Body)
	return err
}

// Listed is an answer with one page of a list: 200.
type Listed[T any] struct {
	Link string `header:"Link" doc:"The URL of the next page (RFC 8288, rel=next); omitted on the last page."`
	Body List[T]
}

// List is the body of a page.
type List[T any] struct {
	Items      []T     `json:"items" nullable:"false" doc:"The page's items, newest first."`
	NextCursor *string `json:"next_cursor" doc:"The cursor of the next page; null on the last page."`
}

// isList marks an answer that can be large.
func (Listed[T]) isList() {}

// NewList returns the answer for a page. It converts each item with convert. path is the
// path of the list, query has the filters to keep in the link to the next page.
func NewList[T, W any](p page.Page[T], convert func(T) W, path string, query url.Values, limit int) Listed[W] {
	var list Listed[W]
	list.Body.Items = make([]W, len(p.Items))
	for i, item := range p.Items {
		list.Body.Items[i] = convert(item)
	}
	if p.Next != "" {
		list.Body.NextCursor = &p.Next
		query.Set("cursor", p.Next)
		query.Set("limit", strconv.Itoa(limit))
		list.Link = "<" + path + "?" + query.Encode() + `>; rel="next"`
	}
	return list
}

func (l Listed[T]) write(x *exchange, status int) error {
	if l.Link != "" {
		x.Header().Set("Link", l.Link)
	}
	return x.json(status, l.Body)
}

// Batch is an answer with CloudEvents (CloudEvents 1.0, JSON Batch Format): 200.
type Batch[T any] struct {
	Link string `header:"Link" doc:"The URL of the events that follow (RFC 8288, rel=next)."`
	Body batchOf[T]
}

// isList marks an answer that can be large.
func (Batch[T]) isList() {}

// batchOf is the body of a Batch.
type batchOf[T any] []T

const batchType = "application/cloudevents-batch+json"

// ContentType implements huma.ContentTypeFilter.
func (batchOf[T]) ContentType(string) string { return batchType }

func (b Batch[T]) write(x *exchange, status int) error {
	x.Header().Set("Link", b.Link)
	x.Header().Set("Content-Type", batchType)
	return x.marshal(status, b.Body)
}

var jsonType = []string{"application/json"}

// json writes a value as a JSON body.
func (x *exchange) json(status int, v any) error {
	x.Header()["Content-Type"] = jsonType
	return x.marshal(status, v)
}

func (x *exchange) marshal(status int, v any) error {
	x.WriteHeader(status)
	if x.buffered != nil {
		return json.MarshalWrite(x.buffered, v)
	}
	return json.MarshalWrite(x, v)
}
