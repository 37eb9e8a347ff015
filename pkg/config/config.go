// Package config fills a struct from environment variables, with envconfig. It reports
// everything that is wrong at once: each message names the variable and what it must be,
// and none contains a value, which may be a secret.
//
// Tags describe a field:
//
//	envconfig  the variable's name
//	default    its value if the variable isn't set; without the tag, the field
//	           keeps its value
//	desc       what it means, for people
//	required   "true" if it must have a value
//	min, max   the range of a number or a duration, inclusive
//	oneof      the allowed values, separated by commas
//	empty      "refused" if the variable must not be set to nothing
//
// A type of this module that unmarshals itself says what is wrong, in a text that continues
// after the variable's name and quotes no value.
//
// An embedded struct is a group of fields. Load ignores a field without the tag
// envconfig. White space around a value, such as the line break at the end of a file, is
// removed. An empty variable counts as not set, so that "FOO=" in an env file or a
// manifest means the default; empty:"refused" makes it an error instead.
package config

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Load fills the struct that dst points to from the environment. If dst has a method
// Validate() error, Load calls it last, for rules that concern several fields. The error
// joins everything that is wrong.
func Load(dst any) error {
	var problems []error
	eachField(reflect.ValueOf(dst).Elem(), func(field reflect.StructField, v reflect.Value) {
		err := loadField(field, v)
		if err != nil {
			problems = append(problems, err)
		}
	})
	if v, ok := dst.(interface{ Validate() error }); ok {
		problems = append(problems, v.Validate())
	}
	return errors.Join(problems...)
}

// Describe writes a table of the variables that Load reads into dst.
func Describe(w io.Writer, dst any) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(table, "VARIABLE\tDEFAULT\tMEANING")
	if err != nil {
		return err
	}
	eachField(reflect.ValueOf(dst).Elem(), func(field reflect.StructField, v reflect.Value) {
		if err != nil {
			return
		}
		_, err = fmt.Fprintf(table, "%s\t%s\t%s\n", name(field), preset(field, v), meaning(field))
	})
	if err != nil {
		return err
	}
	return table.Flush()
}

func eachField(v reflect.Value, visit func(reflect.StructField, reflect.Value)) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			eachField(v.Field(i), visit)
			continue
		}
		if name(field) != "" {
			visit(field, v.Field(i))
		}
	}
}

// preset returns a field's default, for people.
func preset(field reflect.StructField, v reflect.Value) string {
	tag, tagged := field.Tag.Lookup("default")
	if !tagged && !v.IsZero() {
		return fmt.Sprint(v)
	}
	return tag
}

func name(field reflect.StructField) string { return field.Tag.Get("envconfig") }

func meaning(field reflect.StructField) string {
	desc := field.Tag.Get("desc")
	if values := field.Tag.Get("oneof"); values != "" {
		desc += " (" + strings.ReplaceAll(values, ",", ", ") + ")"
	}
	if field.Tag.Get("required") == "true" {
		desc += " (required)"
	}
	return desc
}

// loadField loads one field. envconfig gets one at a time, because it stops at its first
// error.
func loadField(field reflect.StructField, v reflect.Value) error {
	variable := name(field)
	value, set, err := lookup(variable)
	if err != nil {
		return err
	}
	if set && value == "" {
		if field.Tag.Get("empty") == "refused" {
			return fmt.Errorf("%s is empty; unset it for its default, %s", variable, preset(field, v))
		}
		err := os.Unsetenv(variable)
		if err != nil {
			return fmt.Errorf("%s: %w", variable, err)
		}
		set = false
	}
	if set && isInteger(field.Type) && !digits.MatchString(value) { // strconv reads 010 as 8
		return fmt.Errorf("%s must be %s", variable, expected(field))
	}
	if !set && field.Tag.Get("required") == "true" && field.Tag.Get("default") == "" {
		return fmt.Errorf("%s must be set: %s", variable, field.Tag.Get("desc"))
	}
	single := reflect.New(reflect.StructOf([]reflect.StructField{field}))
	single.Elem().Field(0).Set(v)
	err = envconfig.Process("", single.Interface())
	parsed, isParsed := errors.AsType[*envconfig.ParseError](err)
	switch {
	case isParsed && explains(field.Type):
		return fmt.Errorf("%s %w", variable, parsed.Err)
	case err != nil:
		return fmt.Errorf("%s must be %s", variable, expected(field))
	}
	v.Set(single.Elem().Field(0))
	return checkRange(field, v)
}

// module is this module's path.
var module = strings.TrimSuffix(reflect.TypeFor[Unread]().PkgPath(), "pkg/config")

// explains reports whether a type of this module unmarshals itself. The errors of others, and
// of the standard library, may quote the value.
func explains(t reflect.Type) bool {
	itself := reflect.PointerTo(t)
	return strings.HasPrefix(t.PkgPath(), module) &&
		(itself.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || itself.Implements(reflect.TypeFor[envconfig.Decoder]()))
}

// lookup returns a variable without the white space around it. It also sets the trimmed
// value, for envconfig.
func lookup(variable string) (value string, set bool, err error) {
	raw, set := os.LookupEnv(variable)
	value = strings.TrimSpace(raw)
	if value != raw {
		err = os.Setenv(variable, value)
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", variable, err)
	}
	return value, set, nil
}

var digits = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// isInteger reports whether a type is an integer, but no duration.
func isInteger(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && t != reflect.TypeFor[time.Duration]()
}

func expected(field reflect.StructField) string {
	switch {
	case field.Type == reflect.TypeFor[time.Duration]():
		return "a duration with its unit, such as 500ms, 10s or 1h"
	case field.Type.Kind() == reflect.Bool:
		return "true or false"
	case isInteger(field.Type):
		return "a whole number in decimal digits"
	case field.Type.Kind() == reflect.Float64:
		return "a number"
	}
	return meaning(field)
}

func checkRange(field reflect.StructField, v reflect.Value) error {
	if values := field.Tag.Get("oneof"); values != "" && !slices.Contains(strings.Split(values, ","), v.String()) {
		return fmt.Errorf("%s must be one of %s", name(field), strings.ReplaceAll(values, ",", ", "))
	}
	low, high := field.Tag.Get("min"), field.Tag.Get("max")
	if low != "" && (math.IsNaN(number(v)) || number(v) < bound(field.Type, low)) {
		return fmt.Errorf("%s must be at least %s", name(field), low)
	}
	if high != "" && number(v) > bound(field.Type, high) {
		return fmt.Errorf("%s must be at most %s", name(field), high)
	}
	return nil
}

func number(v reflect.Value) float64 {
	if v.CanFloat() {
		return v.Float()
	}
	return float64(v.Int())
}

// bound parses a bound in a tag. It panics on an invalid one, which is a programming
// error.
func bound(t reflect.Type, s string) float64 {
	if t == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(s)
		if err != nil {
			panic(err)
		}
		return float64(d)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return f
}
