// Package ids makes and reads the identifiers of resources: UUIDs of version 7
// (RFC 9562, section 5.7), whose order is the order of their creation.
package ids

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

var (
	// Max sorts after every id: the place to start a newest-first list from.
	Max = uuid.Max

	errMalformed = errors.New("must be a UUID of 36 characters, such as 01920000-0000-7000-8000-000000000000")
)

// New returns a new id. Ids made by one process are strictly increasing; the
// ids of several processes interleave to the accuracy of their clocks.
func New() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// Time returns when New made an id, to the millisecond.
func Time(id uuid.UUID) time.Time {
	var milli [8]byte
	copy(milli[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(milli[:]))).UTC() //nolint:gosec // 48 bits
}

// At returns what sorts after every id that New makes in a millisecond before that of t,
// and before every other.
func At(t time.Time) (id uuid.UUID) {
	var milli [8]byte
	binary.BigEndian.PutUint64(milli[:], uint64(min(max(t.UnixMilli(), 0), 1<<48-1)))
	copy(id[:6], milli[2:])
	return id
}

// Parse reads an id in the one form that is written (RFC 9562, section 4:
// 36 characters with hyphens, in either case). A UUID of any version is taken.
// Its error is fit to be shown to whoever sent s.
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
