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
	// MaxBytes is about how much a page may hold, in bytes: one of large rows ends
	// before it has as many as were asked for.
	MaxBytes = 512 << 10

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

// Rows are the rows of a store, as it reads and converts them.
type Rows[R, T any] struct {
	// Below returns the newest rows below an id, n at most, newest first.
	Below func(before uuid.UUID, n int) ([]R, error)
	// ID is a row's, and Size how much of a page it takes, in bytes. Without Size no
	// row is large.
	ID   func(R) uuid.UUID
	Size func(R) int
	// Convert makes a row what the page holds.
	Convert func(R) (T, error)
}

// Collect reads a page from a store. Of rows that may be large it reads some at first,
// and then as many as there seems to be room for, but never more at a time than those
// of a usual page, so that it never holds many more than the page. The errors are those of Below and Convert.
func (rows Rows[R, T]) Collect(r Request) (Page[T], error) {
	var page Page[T]
	bytes, before := 0, r.Before
	for wanted := rows.first(r); ; {
		got, err := rows.Below(before, wanted)
		if err != nil {
			return Page[T]{}, err
		}
		for _, row := range got {
			if rows.Size != nil {
				bytes += rows.Size(row)
			}
			if len(page.Items) > 0 && (len(page.Items) == r.Limit || bytes > MaxBytes) {
				page.Next = Cursor(before)
				return page, nil
			}
			item, err := rows.Convert(row)
			if err != nil {
				return Page[T]{}, err
			}
			page.Items, before = append(page.Items, item), rows.ID(row)
		}
		if len(got) < wanted {
			return page, nil
		}
		usual := max(1, bytes/len(page.Items))
		wanted = min(r.Limit+1-len(page.Items), 1+max(0, MaxBytes-bytes)/usual, DefaultLimit+1)
	}
}

// first is how many rows to read at first: one more than the page holds, which tells
// whether there is another page.
func (rows Rows[R, T]) first(r Request) int {
	if rows.Size == nil {
		return r.Limit + 1
	}
	return min(r.Limit, DefaultLimit) + 1
}

// Cursor returns the cursor of the page that starts below an id.
func Cursor(last uuid.UUID) string {
	return encoding.EncodeToString(append([]byte{version}, last[:]...))
}
