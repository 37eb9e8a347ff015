package httpapi

import (
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// Instant is a point in time on the wire: RFC 3339 in UTC, always with three decimals,
// as JavaScript's Date keeps it. Whoever keeps more must cut it off first.
type Instant time.Time

// InstantUnit is how exact an Instant is.
const InstantUnit = time.Millisecond

const instantLayout = `"2006-01-02T15:04:05.000Z"`

// MarshalJSONTo is part of json.MarshalerTo.
func (i Instant) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(time.Time(i).UTC().AppendFormat(enc.AvailableBuffer(), instantLayout))
}

// Schema describes an instant.
func (Instant) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-01-02T03:04:05.678Z"}}
}
