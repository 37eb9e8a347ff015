package httpapi

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/jsonbody"
)

// ReadOnly compares a body's read-only members with the stored values. They may be sent
// if they are equal, so that a client can send back a resource as it read it.
type ReadOnly struct{ problems invalid.Fields }

// ID compares an id.
func (r *ReadOnly) ID(field string, got jsonbody.Optional[string], stored uuid.UUID) {
	if !got.Set {
		return
	}
	id, err := ids.Parse(got.Value)
	r.Same(field, err == nil && id == stored)
}

// Time compares an RFC 3339 time at the precision sent, but at most that of an Instant:
// some clients keep whole seconds only.
func (r *ReadOnly) Time(field string, got jsonbody.Optional[string], stored time.Time) {
	if !got.Set {
		return
	}
	t, err := parseInstant(got.Value)
	unit := max(InstantUnit, writtenUnit(got.Value))
	r.Same(field, err == nil && t.Truncate(unit).Equal(stored.Truncate(unit)))
}

// writtenUnit returns the unit of the last digit of an RFC 3339 time, such as 10ms for
// two decimals.
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

// Same records a problem for a member that differs.
func (r *ReadOnly) Same(field string, same bool) {
	if !same {
		r.problems.Add(field, "is read-only; omit it, or send it unchanged")
	}
}

// Err returns the differing members as invalid.Fields, or nil.
func (r *ReadOnly) Err() error { return r.problems.Err() }
