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

// MarshalJSONTo implements json.MarshalerTo. time.AppendFormat would take three times as
// long.
func (i Instant) MarshalJSONTo(enc *jsontext.Encoder) error {
	t := time.Time(i).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b := append(enc.AvailableBuffer(), `"0000-00-00T00:00:00.000Z"`...)
	putDigits(b[1:5], year)
	putDigits(b[6:8], int(month))
	putDigits(b[9:11], day)
	putDigits(b[12:14], hour)
	putDigits(b[15:17], minute)
	putDigits(b[18:20], second)
	putDigits(b[21:24], t.Nanosecond()/int(InstantUnit))
	return enc.WriteValue(b)
}

// putDigits writes n, which is not negative, in decimal, with leading zeros.
func putDigits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
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
