// Package page provides keyset pagination, newest first. A page ends with the id of its
// last row, and the next page starts below it. A list whose ids don't sort by creation
// can be sorted by time and then id instead. The cost doesn't depend on the depth of a
// page. Rows inserted or deleted between two pages neither repeat nor hide other rows.
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
	// DefaultLimit is the default page size.
	DefaultLimit = 20
	// MaxLimit is the maximum page size.
	MaxLimit = 100
	// MaxBytes is the approximate maximum size of a page, in bytes. A page of large rows
	// has fewer rows than requested.
	MaxBytes = 512 << 10

	// The first byte of a cursor is its version: an id, or a time and an id.
	versionID   = 1
	versionTime = 2
	timeBytes   = 8
)

var (
	errCursor = errors.New("is not a cursor; use the next_cursor of the previous page, unchanged")
	// ErrOtherList means that a cursor belongs to a list with another order. Its text may
	// be shown to the client.
	ErrOtherList = errors.New("belongs to another list, or to this list with other filters; send it with the filters of its page, or omit it for the first page")

	// endOfTime is later than the time of any row.
	endOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

	encoding = base64.RawURLEncoding.Strict()
)

// Request is a request for a page.
type Request struct {
	// Before is an id above all rows of the page.
	Before uuid.UUID
	// At is zero if the list is sorted by id. Otherwise every row of the page is earlier
	// than At, or at the same time with an id below Before.
	At time.Time
	// Limit is the maximum number of rows, 1 to MaxLimit.
	Limit int
}

// First returns a request for the first page of a list sorted by id.
func First(limit int) Request { return Request{Before: ids.Max, Limit: limit} }

// FirstByTime returns a request for the first page of a list sorted by time.
func FirstByTime(limit int) Request {
	return Request{Before: ids.Max, At: endOfTime, Limit: limit}
}

// After returns the request for the page at cursor, or first if cursor is "". The error
// may be shown to the client. It is ErrOtherList if cursor belongs to a list with another
// order than first.
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

// Includes reports whether a row is on the page or a later one.
func (r Request) Includes(at time.Time, id uuid.UUID) bool {
	if r.At.IsZero() || at.Equal(r.At) {
		return bytes.Compare(id[:], r.Before[:]) < 0
	}
	return at.Before(r.At)
}

// Period is the time between two instants, both exclusive; nil is unbounded.
type Period struct{ After, Before *time.Time }

// IsBound reports whether the period has a bound.
func (p Period) IsBound() bool { return p.After != nil || p.Before != nil }

// Bounds returns the instants at the precision of the databases, rounded such that the
// same rows are included.
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

// Page is some rows, and the position after them.
type Page[T any] struct {
	Items []T
	// Next is the cursor of the next page, or "" on the last.
	Next string
	// Read is how many bytes were read for the page, if Rows has Size.
	Read int
}

// Rows are the rows of a store.
type Rows[T any] struct {
	// Below returns the newest rows that a request includes, newest first.
	Below func(Request) ([]T, error)
	// ID returns a row's id, Time its time if the list is sorted by time, and Size its size
	// in bytes. Size is nil if no row is large.
	ID   func(T) uuid.UUID
	Time func(T) time.Time
	Size func(T) int
}

// Collect reads a page. If rows have a Size, it reads in steps of at most DefaultLimit+1
// rows, as many as probably fit, so that it never holds much more than the page. The
// errors are those of Below.
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

// first returns how many rows to read first: one more than the page has, to find out
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

// Cursor returns the cursor from which After makes this request, except its limit.
func (r Request) Cursor() string {
	b := []byte{versionID}
	if !r.At.IsZero() {
		b = binary.BigEndian.AppendUint64([]byte{versionTime}, uint64(r.At.UnixMicro()))
	}
	return encoding.EncodeToString(append(b, r.Before[:]...))
}
