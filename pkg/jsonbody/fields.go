package jsonbody

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Optional is a member that may be omitted, but not null.
type Optional[T any] struct {
	Value T
	// Set: the member was present.
	Set bool
}

// Nullable is a member that may be omitted or null.
type Nullable[T any] struct {
	Value T
	// Set: the member was present. Null: it was null.
	Set, Null bool
}

// Ptr returns the value, or nil if the member was omitted.
func (o *Optional[T]) Ptr() *T {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// Ptr returns the value, or nil if the member was omitted or null.
func (n *Nullable[T]) Ptr() *T {
	if !n.Set || n.Null {
		return nil
	}
	return &n.Value
}

// optional is a member that may be omitted.
type optional interface {
	// present records that the member is present, and returns the target of its value, or
	// nil for an allowed null.
	present(null bool) any
}

func (o *Optional[T]) present(bool) any {
	o.Set = true
	return &o.Value
}

func (n *Nullable[T]) present(null bool) any {
	n.Set, n.Null = true, null
	if null {
		return nil
	}
	return &n.Value
}

// Schema describes the member as T.
func (*Optional[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// Schema describes the member as T or null.
func (*Nullable[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	s.Nullable = true
	return &s
}
