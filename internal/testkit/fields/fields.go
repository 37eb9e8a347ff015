// Package fields looks at every field of a value, so that a test of what is stored fails
// when a field was added to a type and nowhere else.
package fields

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// RequireSet fails the test unless each field of a struct has a value of its own: a column
// that is forgotten would be read as the zero value. Fields of structs within it, and of
// the elements of slices, count as well.
func RequireSet(t testing.TB, v any) {
	t.Helper()
	require.Empty(t, unset(reflect.ValueOf(v), reflect.TypeOf(v).String()), "give these a value: only that shows that they are stored")
}

// RequireDiffer fails the test unless each field of two structs has another value, but for
// those that are named: only what is changed shows that a change is stored.
func RequireDiffer(t testing.TB, a, b any, but ...string) {
	t.Helper()
	before, after := reflect.ValueOf(a), reflect.ValueOf(b)
	var same []string
	for _, f := range reflect.VisibleFields(before.Type()) {
		if !slices.Contains(but, f.Name) && reflect.DeepEqual(before.FieldByIndex(f.Index).Interface(), after.FieldByIndex(f.Index).Interface()) {
			same = append(same, f.Name)
		}
	}
	require.Empty(t, same, "give these another value")
}

// unset returns the paths of the fields that are zero.
func unset(v reflect.Value, path string) (found []string) {
	switch {
	case v.IsZero():
		return []string{path}
	case v.Kind() == reflect.Pointer:
		return nil // what it points to may be anything, such as 0
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
