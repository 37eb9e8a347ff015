// Package page is keyset pagination, newest first: a page ends with the id of
// its last row, and the next one starts below that id. A list whose ids don't sort by
// creation may be sorted by time instead, and by id where times are the same. However deep the page,
// it costs the same; rows that come and go between two pages neither repeat
// nor hide a row that was there all along.
package page

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

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

	// The first byte of a cursor says its form: an id, or a time and an id.
	versionID   = 1
	versionTime = 2
	timeBytes   = 8
)

var (
	errCursor = errors.New("is not a cursor; use next_cursor of the page before, unchanged")
	// ErrOtherList says that a cursor is of a list that is sorted in another way. Its text
	// is fit to be shown to whoever sent the cursor.
	ErrOtherList = errors.New("is of another list, or of this one with other filters; send it where it is from, with the same filters, or begin with the first page")

	// endOfTime is after every row's time.
	endOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

	encoding = base64.RawURLEncoding.Strict()
)

// Request is the page that is asked for.
type Request struct {
	// Before is the id that every row of the page is below.
	Before uuid.UUID
	// At is zero unless the list is sorted by time. Then every row of the page is earlier,
	// or of the same time and below Before.
	At time.Time
	// Limit is the largest number of rows, 1 to MaxLimit.
	Limit int
}

// First returns a request for the first page of a list that is sorted by id.
func First(limit int) Request { return Request{Before: ids.Max, Limit: limit} }

// FirstByTime returns a request for the first page of a list that is sorted by time.
func FirstByTime(limit int) Request {
	return Request{Before: ids.Max, At: endOfTime, Limit: limit}
}

// After returns the request for the page that cursor stands for: first when it is "".
// Its error is fit to be shown to whoever sent the cursor. It is ErrOtherList if the
// cursor's list is sorted in another way than that of first.
func After(cursor string, first Request) (Request, error) {
	if cursor == "" {
		return first, nil
	}
	b, err := encoding.DecodeString(cursor)
	if err != nil || len(cursor) != encoding.EncodedLen(len(b)) { // DecodeString skips line breaks
		return Request{}, errCursor
	}
	r := Request{Limit: first.Limit}
	switch {
	case len(b) == 1+len(r.Before) && b[0] == versionID:
		r.Before = uuid.UUID(b[1:])
	case len(b) == 1+timeBytes+len(r.Before) && b[0] == versionTime:
		r.At = time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC() //nolint:gosec // any 64 bits are a time
		r.Before = uuid.UUID(b[1+timeBytes:])
		if !r.At.After(time.Time{}) || r.At.After(endOfTime) {
			return Request{}, errCursor
		}
	default:
		return Request{}, errCursor
	}
	if r.At.IsZero() != first.At.IsZero() {
		return Request{}, ErrOtherList
	}
	return r, nil
}

// Includes reports whether a row is on the page, or after it.
func (r Request) Includes(at time.Time, id uuid.UUID) bool {
	if r.At.IsZero() || at.Equal(r.At) {
		return bytes.Compare(id[:], r.Before[:]) < 0
	}
	return at.Before(r.At)
}

// Period is the time between two instants, neither of them included. nil is no bound.
type Period struct{ After, Before *time.Time }

// IsBound reports whether the period has a bound.
func (p Period) IsBound() bool { return p.After != nil || p.Before != nil }

// Bounds returns the instants as exactly as databases keep them: no time of a row is on
// another side of one for that.
func (p Period) Bounds() (after, before time.Time) {
	before = endOfTime
	if p.After != nil {
		after = p.After.UTC().Truncate(time.Microsecond)
	}
	if p.Before != nil {
		before = p.Before.UTC().Add(time.Microsecond - 1).Truncate(time.Microsecond)
	}
	return after, before
}

// Includes reports whether an instant is in the period.
func (p Period) Includes(t time.Time) bool {
	return (p.After == nil || t.After(*p.After)) && (p.Before == nil || t.Before(*p.Before))
}

// Page is some rows, and where the rows after them start.
type Page[T any] struct {
	Items []T
	// Next is the cursor of the page after this one, or "" when this is the
	// last.
	Next string
	// Read is how much was read for it, in bytes, where rows have a Size.
	Read int
}

// Rows are the rows of a store.
type Rows[T any] struct {
	// Below returns the newest rows that a request includes, newest first.
	Below func(Request) ([]T, error)
	// ID is a row's, Time its time in a list that is sorted by time, and Size how much of
	// a page it takes, in bytes. Without Size no row is large.
	ID   func(T) uuid.UUID
	Time func(T) time.Time
	Size func(T) int
}

// Collect reads a page from a store. Of rows that may be large it reads some at first,
// and then as many as there seems to be room for, but never more at a time than those
// of a usual page, so that it never holds many more than the page. The errors are those of Below.
func (rows Rows[T]) Collect(r Request) (Page[T], error) {
	var page Page[T]
	size, next := 0, r
	for next.Limit = rows.first(r); ; {
		got, err := rows.Below(next)
		if err != nil {
			return Page[T]{}, err
		}
		for _, row := range got {
			page.Read += rows.size(row)
		}
		for _, row := range got {
			size += rows.size(row)
			if len(page.Items) > 0 && (len(page.Items) == r.Limit || size > MaxBytes) {
				page.Next = next.Cursor()
				return page, nil
			}
			page.Items, next.Before = append(page.Items, row), rows.ID(row)
			if rows.Time != nil {
				next.At = rows.Time(row)
			}
		}
		if len(got) < next.Limit {
			return page, nil
		}
		usual := max(1, size/len(page.Items))
		next.Limit = min(r.Limit+1-len(page.Items), 1+max(0, MaxBytes-size)/usual, DefaultLimit+1)
	}
}

// first is how many rows to read at first: one more than the page holds, which tells
// whether there is another page.
func (rows Rows[T]) first(r Request) int {
	if rows.Size == nil {
		return r.Limit + 1
	}
	return min(r.Limit, DefaultLimit) + 1
}

func (rows Rows[T]) size(row T) int {
	if rows.Size == nil {
		return 0
	}
	return rows.Size(row)
}

// Cursor returns the cursor that After makes the request of, but for its limit.
func (r Request) Cursor() string {
	b := []byte{versionID}
	if !r.At.IsZero() {
		b = binary.BigEndian.AppendUint64([]byte{versionTime}, uint64(r.At.UnixMicro()))
	}
	return encoding.EncodeToString(append(b, r.Before[:]...))
}
