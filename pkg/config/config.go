// Package config fills a struct from the environment, with envconfig, and says
// everything that is wrong with it at once: each message names the variable
// and what it should be, and none repeats a value, which may be a secret.
//
// A field is described by its tags:
//
//	envconfig  the variable's name
//	default    its value when the variable is not set; without the tag, that is
//	           the value that the field has already
//	desc       what it means, for people
//	required   "true" when there must be a value
//	min, max   the range of a number or a duration, both included
//	oneof      the values allowed, separated by commas
//	empty      "refused" when the variable must not be set to nothing
//
// An embedded struct is a group of fields. A field without a variable is the
// program's to set. White space around a value, such as the
// line break at a file's end, isn't a part of it. A variable that is set to nothing
// counts as not set, as "FOO=" in an env file or a manifest is meant to be, unless
// its default would then take the place of what somebody meant to set.
package config

import (
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

// Load fills the struct that dst points to from the environment. When the
// struct has a method Validate() error, it is called last, for the rules that
// concern several fields. The error joins everything that is wrong.
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

// Describe writes a table of every variable that Load reads into dst.
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
		preset, tagged := field.Tag.Lookup("default")
		if !tagged && !v.IsZero() {
			preset = fmt.Sprint(v)
		}
		_, err = fmt.Fprintf(table, "%s\t%s\t%s\n", name(field), preset, meaning(field))
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

// loadField hands one field at a time to envconfig, which stops at its first
// error.
func loadField(field reflect.StructField, v reflect.Value) error {
	variable := name(field)
	value, set, err := lookup(variable)
	if err != nil {
		return err
	}
	if set && value == "" {
		if field.Tag.Get("empty") == "refused" {
			return fmt.Errorf("%s is set to nothing; leave it out for its default, %s", variable, field.Tag.Get("default"))
		}
		err := os.Unsetenv(variable)
		if err != nil {
			return fmt.Errorf("%s: %w", variable, err)
		}
		set = false
	}
	if set && isInteger(field.Type) && !digits.MatchString(value) { // strconv takes 010 for 8
		return fmt.Errorf("%s must be %s", variable, expected(field))
	}
	if !set && field.Tag.Get("required") == "true" && field.Tag.Get("default") == "" {
		return fmt.Errorf("%s must be set: %s", variable, field.Tag.Get("desc"))
	}
	single := reflect.New(reflect.StructOf([]reflect.StructField{field}))
	single.Elem().Field(0).Set(v)
	err = envconfig.Process("", single.Interface())
	if err != nil {
		return fmt.Errorf("%s must be %s", variable, expected(field))
	}
	v.Set(single.Elem().Field(0))
	return checkRange(field, v)
}

// lookup returns a variable without the white space around it, and takes that off
// for envconfig.
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

// isInteger says that a field is a number and not a duration.
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
		return "a whole number, in digits alone"
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

// bound reads a bound from a tag. One that can't be read is a mistake in the
// program.
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
