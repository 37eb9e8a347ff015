package jsonbody

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// shape describes the members of a struct.
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
	// most is the maximum number of list elements; 0 is unlimited.
	most int
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
		most, _ := strconv.Atoi(field.Tag.Get("maxItems")) // 0 if there is no tag
		s.members = append(s.members, member{name: name, field: i, required: !isOptional, most: most})
		names = append(names, name)
	}
	s.known = strings.Join(names, ", ")
	shapes.Store(t, s)
	return s
}
