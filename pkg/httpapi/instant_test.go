package httpapi

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAnInstantIsWrittenWithThreeDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := time.Unix(rapid.Int64Range(-62_167_219_200, 253_402_300_799).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanosecond"))
		got, err := json.Marshal(Instant(i))
		require.NoError(t, err)
		require.Equal(t, i.UTC().Format(`"2006-01-02T15:04:05.000Z"`), string(got))
	})
}

// TestAnInstantIsRFC3339 tests section 5.6.
func TestAnInstantIsRFC3339(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, right := range map[string]bool{
		"2026-01-02T03:04:05Z":        true,
		"2026-01-02t03:04:05z":        true,
		"2026-01-02T03:04:05.000Z":    true,
		"2026-01-02t04:04:05.0+01:00": true,
		"2026-01-02T03:04:05-00:00":   true,
		"2026-01-03T03:03:05+23:59":   true,
		"2026-01-02T3:04:05Z":         false,
		"2026-01-02T03:04:05,0Z":      false,
		"2026-01-02T03:04:05.Z":       false,
		"2026-01-03T03:04:05+24:00":   false,
		"2026-01-02T04:04:05+00:60":   false,
		"2026-01-02T03:04:05+0000":    false,
		"2026-01-02T03:04:05":         false,
		"2026-01-02 03:04:05Z":        false,
		"2026-02-30T03:04:05Z":        false,
		"2026-01-02T03:04:05Z\n":      false,
		" 2026-01-02T03:04:05Z":       false,
		"":                            false,
	} {
		var i Instant
		err := i.UnmarshalText([]byte(text))
		require.Equal(t, right, err == nil, text)
		if right {
			require.Equal(t, want, time.Time(i), text)
		}
	}
}
