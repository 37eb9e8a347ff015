package apitest

import (
	"reflect"
	"slices"
	"strings"
)

// Members returns the sorted names of the members of the JSON type T, except those in but.
func Members[T any](but ...string) (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !slices.Contains(but, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
