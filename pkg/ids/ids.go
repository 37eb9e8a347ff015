// Package ids creates and parses the ids of resources: UUIDs of version 7 (RFC 9562,
// section 5.7), which sort by creation time.
package ids

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

var (
	// Max sorts after every id: a newest-first list starts below it.
	Max = uuid.Max

	errMalformed = errors.New("must be a UUID of 36 characters, such as 01920000-0000-7000-8000-000000000000")
)

// New returns a new id. The ids of one process are strictly increasing; those of several
// are ordered as accurately as their clocks.
func New() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// Time returns when New created an id, to the millisecond.
func Time(id uuid.UUID) time.Time {
	var milli [8]byte
	copy(milli[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(milli[:]))).UTC() //nolint:gosec // 48 bits
}

// At returns a bound for ids by time: it sorts after the ids created in milliseconds
// before t's, and before all others.
func At(t time.Time) (id uuid.UUID) {
	var milli [8]byte
	binary.BigEndian.PutUint64(milli[:], uint64(min(max(t.UnixMilli(), 0), 1<<48-1)))
	copy(id[:6], milli[2:])
	return id
}

// Parse parses an id: 36 characters with hyphens, in either case (RFC 9562, section 4).
// It accepts a UUID of any version. Its error may be shown to the client.
func Parse(s string) (uuid.UUID, error) {
	if len(s) != 36 {
		return uuid.Nil, errMalformed
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, errMalformed
	}
	return id, nil
}
