// Package events tells other services what happens in one, as CloudEvents 1.0 in a feed
// that they pull, and follows such a feed so that each event has its effect exactly once.
//
// The events of a database are written by its triggers, in the transaction of the change
// that they tell of (docs/events.md). This package reads, serves, follows and purges them.
package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The types of events, as databases keep them.
const (
	Created = "created"
	Updated = "updated"
	Deleted = "deleted"
)

// typePrefix begins the type of every event on the wire (CloudEvents 1.0, section
// "type": a reversed DNS name of who defines it).
const typePrefix = "com.example."

// Event is what happened to one resource.
type Event struct {
	Cursor  Cursor
	Subject uuid.UUID
	Type    string
	// Version is the one that the resource has since, or would have had, had it not been
	// deleted.
	Version int64
	Time    time.Time
	// Data is a JSON object. It has nothing personal but ids.
	Data []byte
}

// Cursor is a place in a feed: behind an event. The zero value is the beginning.
type Cursor struct{ Turn, Position int64 }

// ErrAhead says that a cursor is of what has not happened, as where the database was
// restored from a backup: what its reader has read is not what is there.
var ErrAhead = errors.New("the cursor is ahead of all events")

var errCursor = errors.New("is not a cursor of this feed; use that of the last event, unchanged")

// String returns what ParseCursor reads: "" for the beginning.
func (c Cursor) String() string {
	if c == (Cursor{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d", c.Turn, c.Position)
}

// ParseCursor reads a cursor. Its error is fit to be shown to whoever sent s.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	turn, position, _ := strings.Cut(s, "-")
	c := Cursor{Turn: number(turn), Position: number(position)}
	if c.Turn < 0 || c.Position < 0 || fmt.Sprintf("%d-%d", c.Turn, c.Position) != s { // one form only
		return Cursor{}, errCursor
	}
	return c, nil
}

// number reads a whole number that isn't negative, or returns -1, which no cursor has.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Compare returns -1, 0 or +1: a is before b, the same, or after it.
func (c Cursor) Compare(b Cursor) int {
	switch {
	case c == b:
		return 0
	case c.Turn < b.Turn, c.Turn == b.Turn && c.Position < b.Position:
		return -1
	}
	return 1
}

// Store is the events of a database.
type Store interface {
	// EventsAfter returns the events after a cursor, in the order in which readers get
	// them, at most limit: those of one resource in the order of its versions. An event
	// that it returned none of is never committed later with a smaller cursor. It returns
	// ErrAhead.
	EventsAfter(ctx context.Context, c Cursor, limit int) ([]Event, error)
	// EventsOf returns the events of a resource, newest first, whose versions are below
	// one, at most limit.
	EventsOf(ctx context.Context, subject uuid.UUID, below int64, limit int) ([]Event, error)
	// PurgeEvents deletes at most limit events of before a time, and returns how many it
	// was. Those of deleted users stay: a reader that was away for long must not miss one.
	PurgeEvents(ctx context.Context, before time.Time, limit int) (int, error)
}
