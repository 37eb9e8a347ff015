// Package invalid reports which fields of an input break which rules. Domains return it.
// It knows nothing of HTTP or JSON.
package invalid

import (
	"errors"
	"strings"
)

// Field is one broken rule.
type Field struct {
	// Path is the field, such as "items[1].quantity".
	Path string
	// Message says what is valid, such as "must be at least 1".
	Message string
}

// Fields are all broken rules of one input. As an error it is never empty.
type Fields []Field

func (f Fields) Error() string {
	parts := make([]string, len(f))
	for i, field := range f {
		parts[i] = field.Path + " " + field.Message
	}
	return strings.Join(parts, "; ")
}

// Add records that the field at path breaks the rule in message.
func (f *Fields) Add(path, message string) {
	*f = append(*f, Field{Path: path, Message: message})
}

// Check records err, unless it is nil, as a broken rule of the field at path. If err is
// Fields, it records each field below path.
func (f *Fields) Check(path string, err error) {
	if err == nil {
		return
	}
	var nested Fields
	if errors.As(err, &nested) {
		for _, field := range nested {
			f.Add(path+"."+field.Path, field.Message)
		}
		return
	}
	f.Add(path, err.Error())
}

// Err returns f as an error, or nil if it is empty.
func (f Fields) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
