// Package fields checks every field of a value. A test of a store then fails if a field
// was added to a type but isn't stored.
package fields

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// RequireSet fails the test unless each field of a struct is non-zero: a forgotten column
// would be read as the zero value. It includes nested structs and structs in slices.
func RequireSet(t testing.TB, v any) {
	t.Helper()
	require.Empty(t, unset(reflect.ValueOf(v), reflect.TypeOf(v).String()), "set these fields: a zero value doesn't show that they are stored")
}

// RequireDiffer fails the test unless each field of two structs differs, except those in
// but: only a changed field shows that a change is stored.
func RequireDiffer(t testing.TB, a, b any, but ...string) {
	t.Helper()
	require.Empty(t, same(a, b, but), "give these fields another value")
}

// RequireErased fails the test unless an erasure changed each field of a struct, except
// those in kept: a new field may be personal.
func RequireErased(t testing.TB, before, after any, kept ...string) {
	t.Helper()
	require.Empty(t, same(before, after, kept), "the erasure of a person kept these fields: erase them, or name them here as kept (and in docs/erasure.md)")
}

// same returns the names of the fields that two structs have in common, except those in but.
func same(a, b any, but []string) (names []string) {
	before, after := reflect.ValueOf(a), reflect.ValueOf(b)
	for _, f := range reflect.VisibleFields(before.Type()) {
		if !slices.Contains(but, f.Name) && reflect.DeepEqual(before.FieldByIndex(f.Index).Interface(), after.FieldByIndex(f.Index).Interface()) {
			names = append(names, f.Name)
		}
	}
	return names
}

// unset returns the paths of the zero fields.
func unset(v reflect.Value, path string) (found []string) {
	switch {
	case v.IsZero():
		return []string{path}
	case v.Kind() == reflect.Pointer:
		return nil // the value it points to may be zero
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if v.Type().Elem().Kind() == reflect.Struct {
				found = append(found, unset(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case v.Kind() == reflect.Struct:
		for _, f := range reflect.VisibleFields(v.Type()) {
			if f.IsExported() {
				found = append(found, unset(v.FieldByIndex(f.Index), path+"."+f.Name)...)
			}
		}
	}
	return found
}
