// Package page is keyset pagination, newest first: a page ends with the id of
// its last row, and the next one starts below that id. However deep the page,
// it costs the same; rows that come and go between two pages neither repeat
// nor hide a row that was there all along.
package page

import (
	"encoding/base64"
	"errors"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
)

const (
	// DefaultLimit is the size of a page when none is asked for.
	DefaultLimit = 20
	// MaxLimit is the size of the largest page.
	MaxLimit = 100

	// version is the first byte of a cursor, so that its form may change.
	version     = 1
	cursorBytes = 1 + len(uuid.UUID{})
)

var (
	errCursor = errors.New("is not a cursor; use next_cursor of the page before, unchanged")
	encoding  = base64.RawURLEncoding.Strict()
)

// Request is the page that is asked for.
type Request struct {
	// Before is the id that every row of the page is below.
	Before uuid.UUID
	// Limit is the largest number of rows, 1 to MaxLimit.
	Limit int
}

// First returns a request for the first page.
func First(limit int) Request { return Request{Before: ids.Max, Limit: limit} }

// After returns the request for the page that cursor stands for: the first one
// when it is "". Its error is fit to be shown to whoever sent the cursor.
func After(cursor string, limit int) (Request, error) {
	if cursor == "" {
		return First(limit), nil
	}
	if len(cursor) != encoding.EncodedLen(cursorBytes) { // DecodeString skips line breaks
		return Request{}, errCursor
	}
	b, err := encoding.DecodeString(cursor)
	if err != nil || len(b) != cursorBytes || b[0] != version {
		return Request{}, errCursor
	}
	return Request{Before: uuid.UUID(b[1:]), Limit: limit}, nil
}

// Page is some rows, and where the rows after them start.
type Page[T any] struct {
	Items []T
	// Next is the cursor of the page after this one, or "" when this is the
	// last.
	Next string
}

// Fetch returns the number of rows to ask the store for: one more than the
// page holds, which tells whether there is another page.
func (r Request) Fetch() int { return r.Limit + 1 }

// Cut makes a page of the rows that a store returned for r.Fetch().
func Cut[T any](r Request, rows []T, id func(T) uuid.UUID) Page[T] {
	if len(rows) <= r.Limit {
		return Page[T]{Items: rows}
	}
	rows = rows[:r.Limit]
	return Page[T]{Items: rows, Next: cursor(id(rows[len(rows)-1]))}
}

func cursor(last uuid.UUID) string {
	return encoding.EncodeToString(append([]byte{version}, last[:]...))
}
