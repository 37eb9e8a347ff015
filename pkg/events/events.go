// Package events publishes the changes of a service's resources as CloudEvents 1.0, in a
// feed that other services pull. A Follower reads such a feed and applies each event
// exactly once.
//
// Triggers of the database write the events, in the transaction of the change
// (docs/events.md). This package reads, serves, follows and purges them.
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

// Event types, as stored.
const (
	Created = "created"
	Updated = "updated"
	Deleted = "deleted"
)

// typePrefix begins the type of every event on the wire. CloudEvents 1.0, section "type",
// recommends a reversed DNS name.
const typePrefix = "com.example."

// Event is a change of one resource.
type Event struct {
	Cursor  Cursor
	Subject uuid.UUID
	Type    string
	// Version is the resource's version after the change. A deletion has the version that
	// would have come next.
	Version int64
	Time    time.Time
	// Data is a JSON object without personal data, except ids.
	Data []byte
}

// Cursor is a position in a feed, after an event. The zero value is the beginning.
type Cursor struct{ Turn, Position int64 }

// ErrGone means that there is no event with a cursor: it has expired, or its reader read it
// in a database that has since been restored from a backup, or replaced by a standby that
// lacked it. The reader may have missed events, and must begin again.
var ErrGone = errors.New("the cursor's event no longer exists")

var errCursor = errors.New("is not a cursor of this feed; use the cursor of the last event, unchanged")

// String returns the form that ParseCursor parses; "" for the beginning.
func (c Cursor) String() string {
	if c == (Cursor{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d", c.Turn, c.Position)
}

// ParseCursor parses a cursor. Its error may be shown to the client.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	turn, position, _ := strings.Cut(s, "-")
	c := Cursor{Turn: number(turn), Position: number(position)}
	if c.Turn < 0 || c.Position < 0 || fmt.Sprintf("%d-%d", c.Turn, c.Position) != s { // one spelling only
		return Cursor{}, errCursor
	}
	return c, nil
}

// maxNumber has the 18 digits that CursorPattern allows.
const maxNumber = 1e18 - 1

// number parses a whole number of a cursor, or returns -1.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxNumber {
		return -1
	}
	return n
}

// Compare returns -1, 0 or +1 if c is before, at or after b.
func (c Cursor) Compare(b Cursor) int {
	switch {
	case c == b:
		return 0
	case c.Turn < b.Turn, c.Turn == b.Turn && c.Position < b.Position:
		return -1
	}
	return 1
}

// Store reads and purges the events of a database.
type Store interface {
	// EventsAfter returns at most limit events after a cursor, in the order of the feed;
	// those of one resource are in the order of its versions. No event is committed later
	// with a cursor below one that was returned, so a reader misses none. It returns
	// ErrGone if no event has the cursor.
	EventsAfter(ctx context.Context, c Cursor, limit int) ([]Event, error)
	// EventsOf returns at most limit events of a resource with versions below the given
	// one, newest first.
	EventsOf(ctx context.Context, subject uuid.UUID, below int64, limit int) ([]Event, error)
	// PurgeEvents deletes at most limit events from before a time, and returns how many it
	// deleted. It keeps the last event, whose cursor readers have. A store may keep
	// deletions for ever, so that a consumer that was stopped for long doesn't miss one.
	PurgeEvents(ctx context.Context, before time.Time, limit int) (int, error)
}
