package jsonbody

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Optional is a member that may be left out of an object, but not be null.
type Optional[T any] struct {
	Value T
	// Set says that the member was there.
	Set bool
}

// Nullable is a member that may be left out of an object, and may be null.
type Nullable[T any] struct {
	Value T
	// Set says that the member was there; Null, that it was null.
	Set, Null bool
}

// Ptr returns the value, or nil when the member was left out.
func (o *Optional[T]) Ptr() *T {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// Ptr returns the value, or nil when the member was left out or null.
func (n *Nullable[T]) Ptr() *T {
	if !n.Set || n.Null {
		return nil
	}
	return &n.Value
}

// optional is a member whose absence means something.
type optional interface {
	// present takes note that the member is there, and returns where its
	// value goes: nil when the value is null and may be.
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
