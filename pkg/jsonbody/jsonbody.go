// Package jsonbody decodes JSON request bodies strictly (RFC 8259, with the rules of
// I-JSON, RFC 7493). It rejects and locates unknown, missing, repeated and mistyped
// members, trailing data, invalid UTF-8 and lone surrogates. It reports all problems of a
// body, not just the first.
//
// It checks the structure of a body. The domain checks the values.
package jsonbody

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/example/microservices/pkg/invalid"
)

const (
	// MaxDepth is the maximum nesting of arrays and objects.
	MaxDepth = 32
	// maxProblems limits the problems reported for a body.
	maxProblems = 50
	// maxName limits how many bytes of an unknown member's name are echoed.
	maxName = 64
	// maxDigits is the number of digits of the largest int64. maxExponent is far above the
	// length of any body.
	maxDigits, maxExponent = 19, 1 << 30
	// maxPath is the approximate maximum length of an echoed path, in bytes.
	maxPath = 128
)

// SyntaxError means that a body is not one valid JSON text.
type SyntaxError struct {
	// Path is the location of the error, such as "items[1]", or "".
	Path string
	// Message says what is wrong.
	Message string
	// Offset is the location in bytes.
	Offset int64
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s (at byte %d)", e.Message, e.Offset)
}

// Decode decodes data into the struct that dst points to. Members are named by json tags.
// A member is required unless its type is Optional or Nullable. Whole numbers are read by
// value: 2.0 and 2e0 are 2. A type that implements json.Unmarshaler decodes its own
// value; clients see the text of its error.
//
// The error is a *SyntaxError, or invalid.Fields with the path of each member
// ("items[1].quantity"; "" for the body itself).
func Decode(data []byte, dst any) error {
	return (&decoder{dec: jsontext.NewDecoder(bytes.NewBuffer(data))}).decode(dst)
}

// DecodeSetting is Decode for data that may contain a secret anywhere: errors echo no
// unknown name.
func DecodeSetting(data []byte, dst any) error {
	return (&decoder{dec: jsontext.NewDecoder(bytes.NewBuffer(data)), discreet: true}).decode(dst)
}

func (d *decoder) decode(dst any) error {
	err := d.value("", reflect.ValueOf(dst).Elem(), 0)
	if err != nil {
		return d.syntaxError(err)
	}
	_, err = d.dec.ReadToken()
	switch {
	case err == nil:
		return &SyntaxError{Message: "there is more than one JSON value", Offset: d.dec.InputOffset()}
	case !errors.Is(err, io.EOF):
		return d.syntaxError(err)
	}
	return d.problems.Err()
}

type decoder struct {
	dec      *jsontext.Decoder
	problems invalid.Fields
	// discreet: errors echo no unknown name.
	discreet bool
}

// full reports whether maxProblems is reached. The rest is then checked for its syntax
// only.
func (d *decoder) full() bool { return len(d.problems) >= maxProblems }

func (d *decoder) problem(path, message string) {
	if !d.full() {
		d.problems.Add(path, message)
	}
}

// value decodes the next value into v. most is the maximum number of list elements; 0 is
// unlimited. It returns syntax errors only; an invalid value is recorded as a problem.
func (d *decoder) value(path string, v reflect.Value, most int) error {
	if d.full() {
		return d.dec.SkipValue()
	}
	switch dst := v.Addr().Interface().(type) {
	case optional:
		target := dst.present(d.dec.PeekKind() == 'n')
		if target == nil {
			return d.dec.SkipValue()
		}
		return d.value(path, reflect.ValueOf(target).Elem(), most)
	case json.Unmarshaler:
		return d.own(path, dst)
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.object(path, v)
	case reflect.Slice:
		return d.array(path, v, most)
	case reflect.String:
		if d.dec.PeekKind() != '"' {
			return d.refuse(path, "must be a string")
		}
		token, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		v.SetString(token.String())
		return nil
	case reflect.Bool:
		kind := d.dec.PeekKind()
		if kind != 't' && kind != 'f' {
			return d.refuse(path, "must be true or false")
		}
		v.SetBool(kind == 't')
		return d.dec.SkipValue()
	case reflect.Int, reflect.Int32, reflect.Int64:
		return d.integer(path, v)
	}
	panic(fmt.Sprintf("jsonbody: %s can't be read into a %s", path, v.Type()))
}

// own decodes a value of a type that implements json.Unmarshaler.
func (d *decoder) own(path string, dst json.Unmarshaler) error {
	switch d.dec.PeekKind() {
	case '{', '[':
		return d.refuse(path, "must not be an object or an array")
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		return err
	}
	err = dst.UnmarshalJSON(raw)
	if err != nil {
		d.problem(path, err.Error())
	}
	return nil
}

func (d *decoder) integer(path string, v reflect.Value) error {
	if d.dec.PeekKind() != '0' {
		return d.refuse(path, "must be a whole number")
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		return err
	}
	n, err := wholeNumber(string(raw))
	switch {
	case errors.Is(err, errFraction):
		d.problem(path, "must be a whole number")
	case err != nil || v.OverflowInt(n):
		d.problem(path, "is too large a number")
	default:
		v.SetInt(n)
	}
	return nil
}

var (
	errFraction = errors.New("not a whole number")
	errRange    = errors.New("out of range")
)

// wholeNumber returns the value of a JSON number that is whole, however it is written.
func wholeNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil {
		return n, nil
	}
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		exponent, _ = strconv.Atoi(s[i+1:]) // the closest int, if it is out of range
		exponent = max(-maxExponent, min(exponent, maxExponent))
	}
	sign := mantissa[:len(mantissa)-len(strings.TrimPrefix(mantissa, "-"))]
	whole, fraction, _ := strings.Cut(mantissa[len(sign):], ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed) - len(fraction)
	switch {
	case trimmed == "":
		return 0, nil
	case exponent < 0:
		return 0, errFraction
	case len(trimmed)+exponent > maxDigits:
		return 0, errRange
	}
	n, err = strconv.ParseInt(sign+trimmed+strings.Repeat("0", exponent), 10, 64)
	if err != nil {
		return 0, errRange
	}
	return n, nil
}

// array decodes a list. It decodes at most one element more than allowed, which is enough
// to report the list as too long.
func (d *decoder) array(path string, v reflect.Value, most int) error {
	if d.dec.PeekKind() != '[' {
		return d.refuse(path, "must be a list")
	}
	_, err := d.dec.ReadToken()
	if err != nil {
		return err
	}
	v.SetLen(0)
	for i := 0; d.dec.PeekKind() != ']'; i++ {
		if d.full() || most > 0 && i > most {
			err := d.dec.SkipValue()
			if err != nil {
				return err
			}
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		err := d.value(path+"["+strconv.Itoa(i)+"]", element, 0)
		if err != nil {
			return err
		}
		v.Set(reflect.Append(v, element))
	}
	_, err = d.dec.ReadToken()
	return err
}

func (d *decoder) object(path string, v reflect.Value) error {
	if d.dec.PeekKind() != '{' {
		return d.refuse(path, "must be an object")
	}
	_, err := d.dec.ReadToken()
	if err != nil {
		return err
	}
	s := shapeOf(v.Type())
	seen := make([]bool, len(s.members))
	for d.dec.PeekKind() != '}' {
		if d.full() { // a name or its value
			err := d.dec.SkipValue()
			if err != nil {
				return err
			}
			continue
		}
		name, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		member := name.String()
		i, known := s.index[member]
		switch {
		case known:
			seen[i] = true
			err = d.value(join(path, member), v.Field(s.members[i].field), s.members[i].most)
		case d.discreet:
			err = d.refuse(path, "has a field that is not known; known are "+s.known)
		default:
			err = d.refuse(join(path, Shorten(member)), "is not a known field; known are "+s.known)
		}
		if err != nil {
			return err
		}
	}
	for i, member := range s.members {
		if member.required && !seen[i] {
			d.problem(join(path, member.name), "is required")
		}
	}
	_, err = d.dec.ReadToken()
	return err
}

// refuse skips the next value, and records a problem.
func (d *decoder) refuse(path, message string) error {
	if d.full() {
		return d.dec.SkipValue()
	}
	depth := d.dec.StackDepth()
	deepest := depth
	for {
		_, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		deepest = max(deepest, d.dec.StackDepth())
		if d.dec.StackDepth() == depth {
			break
		}
	}
	if deepest > MaxDepth {
		message = tooDeep
	}
	d.problem(path, message)
	return nil
}

func (d *decoder) syntaxError(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		path := ""
		if !d.discreet {
			path = pointerPath(syntax.JSONPointer)
		}
		if strings.Contains(syntax.Err.Error(), "max depth") {
			// The tokenizer's limit, which is far above MaxDepth.
			return invalid.Fields{{Path: path, Message: tooDeep}}
		}
		return &SyntaxError{Path: path, Message: syntaxMessage(syntax.Err), Offset: syntax.ByteOffset}
	case errors.Is(err, io.EOF):
		return &SyntaxError{Message: "the body is empty", Offset: d.dec.InputOffset()}
	}
	return &SyntaxError{Message: "the body is not valid JSON", Offset: d.dec.InputOffset()}
}

var tooDeep = fmt.Sprintf("is nested more than %d levels deep", MaxDepth)

// syntaxMessage translates the tokenizer's error, which quotes the body.
func syntaxMessage(err error) string {
	said := err.Error()
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "the body has the same field twice"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the body is not valid JSON: it ends too early"
	case strings.Contains(said, "surrogate"):
		return "the body is not valid JSON: a surrogate stands alone"
	case strings.Contains(said, "UTF-8"):
		return "the body is not valid UTF-8"
	case strings.Contains(said, "escape"):
		return "the body is not valid JSON: there is no such escape sequence"
	}
	return "the body is not valid JSON: there is an unexpected character"
}

// pointerPath converts a JSON Pointer (RFC 6901) to a path: /items/1 is items[1].
func pointerPath(p jsontext.Pointer) string {
	path := ""
	for token := range p.Tokens() {
		if len(path) > maxPath {
			return path + "…"
		}
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			path += "[" + token + "]"
			continue
		}
		path = join(path, Shorten(token))
	}
	return path
}

func join(path, member string) string {
	if path == "" {
		return member
	}
	return path + "." + member
}

// Shorten truncates a name from a request, and replaces what isn't UTF-8, so that it can be
// echoed.
func Shorten(name string) string {
	if len(name) > maxName {
		return strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return strings.ToValidUTF8(name, "\ufffd")
}
