package httpapi

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// Instant is a point in time in JSON: RFC 3339 in UTC, always with three decimals, like
// JavaScript's Date. MarshalJSONTo cuts off further digits, so truncate a time to
// InstantUnit before you compare it with one.
type Instant time.Time

// InstantUnit is the precision of an Instant.
const InstantUnit = time.Millisecond

const instantLayout = `"2006-01-02T15:04:05.000Z"`

// MarshalJSONTo implements json.MarshalerTo.
func (i Instant) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(time.Time(i).UTC().AppendFormat(enc.AvailableBuffer(), instantLayout))
}

// rfc3339 is stricter than time.Parse, which also accepts a one-digit hour, a decimal
// comma, and an offset of a day.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

var errInstant = errors.New("must be an instant such as 2026-01-02T03:04:05Z (RFC 3339), with a + written as %2B")

// parseInstant parses RFC 3339. Lower-case t and z are allowed (section 5.6), leap
// seconds are not.
func parseInstant(s string) (time.Time, error) {
	s = strings.ToUpper(s)
	if !rfc3339.MatchString(s) {
		return time.Time{}, errInstant
	}
	return time.Parse(time.RFC3339Nano, s)
}

// UnmarshalText parses RFC 3339 at the precision sent. It rejects times outside the years
// 0 to 9999 in UTC, which can't be formatted again.
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
