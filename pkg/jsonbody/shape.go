package jsonbody

import (
	"reflect"
	"strings"
	"sync"
)

// shape is what there is to know of a struct's members.
type shape struct {
	members []member
	index   map[string]int
	// known lists the names, for a message.
	known string
}

type member struct {
	name     string
	field    int
	required bool
}

var shapes sync.Map // reflect.Type → *shape

func shapeOf(t reflect.Type) *shape {
	cached, ok := shapes.Load(t)
	if ok {
		return cached.(*shape)
	}
	s := &shape{index: make(map[string]int, t.NumField())}
	names := make([]string, 0, t.NumField())
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		_, isOptional := reflect.New(field.Type).Interface().(optional)
		s.index[name] = len(s.members)
		s.members = append(s.members, member{name: name, field: i, required: !isOptional})
		names = append(names, name)
	}
	s.known = strings.Join(names, ", ")
	shapes.Store(t, s)
	return s
}
