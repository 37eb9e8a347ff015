package httpapi

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/jsonbody"
)

// ReadOnly compares the members of a body that can't be changed with what is
// stored: a resource that was read may be sent back whole.
type ReadOnly struct{ problems invalid.Fields }

// ID compares an id.
func (r *ReadOnly) ID(field string, got jsonbody.Optional[string], stored uuid.UUID) {
	if !got.Set {
		return
	}
	id, err := ids.Parse(got.Value)
	r.Same(field, err == nil && id == stored)
}

// Time compares a time, given as RFC 3339, as exactly as it was written, and at most as
// exactly as an Instant is: there are clients that keep whole seconds.
func (r *ReadOnly) Time(field string, got jsonbody.Optional[string], stored time.Time) {
	if !got.Set {
		return
	}
	t, err := parseInstant(got.Value)
	unit := max(InstantUnit, writtenUnit(got.Value))
	r.Same(field, err == nil && t.Truncate(unit).Equal(stored.Truncate(unit)))
}

// writtenUnit is that of the last digit of a time, given as RFC 3339.
func writtenUnit(t string) time.Duration {
	unit := time.Second
	if point := strings.IndexByte(t, '.'); point >= 0 {
		digits := strings.IndexFunc(t[point+1:], func(r rune) bool { return r < '0' || r > '9' })
		for range digits {
			unit /= 10
		}
	}
	return unit
}

// Same takes note of whether a member is what is stored.
func (r *ReadOnly) Same(field string, same bool) {
	if !same {
		r.problems.Add(field, "can't be changed; leave it out, or send it as it was read")
	}
}

// Err returns invalid.Fields with what differs, or nil.
func (r *ReadOnly) Err() error { return r.problems.Err() }
