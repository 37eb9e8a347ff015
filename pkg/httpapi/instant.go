package httpapi

import (
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Instant is a point in time on the wire: RFC 3339 in UTC, always with three decimals,
// as JavaScript's Date keeps it. Whoever keeps more must cut it off first.
type Instant time.Time

// InstantUnit is how exact an Instant is.
const InstantUnit = time.Millisecond

const instantLayout = "2006-01-02T15:04:05.000Z"

// MarshalText is part of encoding.TextMarshaler.
func (i Instant) MarshalText() ([]byte, error) {
	return time.Time(i).UTC().AppendFormat(nil, instantLayout), nil
}

// Schema describes an instant.
func (Instant) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-01-02T03:04:05.678Z"}}
}
