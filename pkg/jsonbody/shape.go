package jsonbody

import (
	"encoding/json"
	"fmt"
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

// Check returns an error if Decode can't read into a type, or if the tags of a member say
// something else in the OpenAPI document: a member with omitzero is optional there, so its
// type must be Optional or Nullable, and vice versa.
func Check(t reflect.Type) error {
	zero := reflect.New(t).Interface()
	if o, ok := zero.(optional); ok {
		return Check(reflect.TypeOf(o.present(false)).Elem())
	}
	if _, ok := zero.(json.Unmarshaler); ok {
		return nil
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64:
		return nil
	case reflect.Slice:
		return Check(t.Elem())
	case reflect.Struct:
	default:
		return fmt.Errorf("jsonbody can't read into a %s", t)
	}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		_, isOptional := reflect.New(field.Type).Interface().(optional)
		at := t.String() + "." + field.Name
		switch {
		case name == "-":
			continue
		case name == "":
			return fmt.Errorf("%s needs a json tag with a name", at)
		case isOptional && options == "":
			return fmt.Errorf("%s is optional: its json tag needs omitzero", at)
		case !isOptional && options != "":
			return fmt.Errorf("%s is required, because its type is not jsonbody.Optional or Nullable: its json tag must not have %s", at, options)
		}
		err := Check(field.Type)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
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
