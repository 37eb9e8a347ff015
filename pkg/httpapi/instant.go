package httpapi

import (
	"errors"
	"regexp"
	"strings"
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

// rfc3339 is its form: time.Parse also takes an hour of one digit, a comma, and an offset
// of a day.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

var errInstant = errors.New("must be an instant such as 2026-01-02T03:04:05Z (RFC 3339), with a + written as %2B")

// parseInstant reads RFC 3339, whose letters may be small ones (section 5.6). There are no
// leap seconds here.
func parseInstant(s string) (time.Time, error) {
	s = strings.ToUpper(s)
	if !rfc3339.MatchString(s) {
		return time.Time{}, errInstant
	}
	return time.Parse(time.RFC3339Nano, s)
}

// UnmarshalText reads RFC 3339, as exactly as it is written. It refuses what is in no year
// of four digits in UTC, and so can't be written again.
func (i *Instant) UnmarshalText(b []byte) error {
	t, err := parseInstant(string(b))
	if t = t.UTC(); err != nil || t.Year() < 0 || t.Year() > 9999 {
		return errInstant
	}
	*i = Instant(t)
	return nil
}

// Schema describes an instant.
func (Instant) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-01-02T03:04:05.678Z"}}
}
