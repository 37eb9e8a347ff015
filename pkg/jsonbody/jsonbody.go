// Package jsonbody reads the JSON body of a request strictly (RFC 8259, with
// the rules of I-JSON, RFC 7493): a member that is unknown, missing, given
// twice or of the wrong type is refused and located, as are trailing data,
// invalid UTF-8 and lone surrogates. It reports every problem of a body, not
// just the first.
//
// It knows the shape of a body. What its values may be is the domain's to say.
package jsonbody

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/example/microservices/pkg/invalid"
)

const (
	// MaxDepth is how deep arrays and objects may be nested.
	MaxDepth = 32
	// maxProblems is how many problems of one body are reported.
	maxProblems = 50
	// maxName is how much of an unknown member's name is given back, in bytes.
	maxName = 64
	// maxNumber is the size of the longest number whose value is computed, in bytes.
	maxNumber = 64
	// maxPath is about how long a path that is given back may get, in bytes.
	maxPath = 128
)

// SyntaxError says that a body is not one JSON text.
type SyntaxError struct {
	// Path is where the text stops to be JSON, such as "items[1]", or "".
	Path string
	// Message says what is wrong there.
	Message string
	// Offset counts the bytes before that place.
	Offset int64
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s (at byte %d)", e.Message, e.Offset)
}

// Decode reads data into the struct that dst points to. Members are named by
// their json tags. A member is required unless its type is Optional or
// Nullable. Whole numbers are read by value: 2.0 and 2e0 are 2. A type that
// implements json.Unmarshaler reads its own value, and the text of its error
// is shown to whoever sent the body.
//
// The error is a *SyntaxError, or invalid.Fields with the path of each member
// ("items[1].quantity"; "" for the body itself).
func Decode(data []byte, dst any) error {
	return (&decoder{dec: jsontext.NewDecoder(bytes.NewBuffer(data))}).decode(dst)
}

// DecodeSetting is Decode for what may hold a secret in any place: no name is given
// back that isn't a member's.
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
	// discreet says that no unknown name is given back.
	discreet bool
}

// full says that no more problems are reported: the rest is read for its syntax only.
func (d *decoder) full() bool { return len(d.problems) >= maxProblems }

func (d *decoder) problem(path, message string) {
	if !d.full() {
		d.problems.Add(path, message)
	}
}

// value reads the next value into v, which is a list of most elements at most, or of
// any number if that is 0. Its error is one of syntax; what is wrong with the value
// becomes a problem.
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
			return d.refuse(path, "must be a text")
		}
		token, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		v.SetString(token.String())
		return nil
	case reflect.Int, reflect.Int32, reflect.Int64:
		return d.integer(path, v)
	}
	panic(fmt.Sprintf("jsonbody: %s can't be read into a %s", path, v.Type()))
}

// own reads a value of a type that knows how to read itself.
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

// wholeNumber returns the value of a JSON number that is whole.
func wholeNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil {
		return n, nil
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exponent, err := strconv.Atoi(s[i+1:])
		switch {
		case err != nil || exponent > len(s)+20 || exponent < -len(s)-20:
			// Too far from the point to matter: zero, too large, or a
			// fraction. Computing it would cost what the sender likes.
			if strings.Trim(s[:i], "-0.") == "" {
				return 0, nil
			}
			if s[i+1] == '-' {
				return 0, errFraction
			}
			return 0, errRange
		}
	}
	if len(s) > maxNumber {
		return 0, errRange
	}
	r, ok := new(big.Rat).SetString(s)
	switch {
	case !ok || !r.IsInt():
		return 0, errFraction
	case !r.Num().IsInt64():
		return 0, errRange
	}
	return r.Num().Int64(), nil
}

// array reads a list. Of one that is too long it reads as many elements as show that,
// and no more.
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
		if d.full() { // a name, or its value
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

// refuse reads past the next value, and reports it.
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
			// The tokenizer's own limit, far beyond ours.
			return invalid.Fields{{Path: path, Message: tooDeep}}
		}
		return &SyntaxError{Path: path, Message: syntaxMessage(syntax.Err), Offset: syntax.ByteOffset}
	case errors.Is(err, io.EOF):
		return &SyntaxError{Message: "the body is empty", Offset: d.dec.InputOffset()}
	}
	return &SyntaxError{Message: "the body is not valid JSON", Offset: d.dec.InputOffset()}
}

var tooDeep = fmt.Sprintf("is nested more than %d levels deep", MaxDepth)

// syntaxMessage says in our own words what the tokenizer found: its own quote
// the body.
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

// pointerPath writes a JSON Pointer (RFC 6901) as a path: /items/1 is items[1].
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

// Shorten cuts a name that someone sent to what is fit to be given back.
func Shorten(name string) string {
	if len(name) > maxName {
		return strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return name
}
