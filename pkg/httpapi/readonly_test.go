package httpapi

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/jsonbody"
)

// TestATimeIsComparedInTheClientsPrecision has the formats in which generated clients send back
// times: ogen's keep whole seconds, Python's write microseconds.
func TestATimeIsComparedInTheClientsPrecision(t *testing.T) {
	stored := time.Date(2026, 1, 2, 3, 4, 5, 670_891_234, time.UTC)
	for text, same := range map[string]bool{
		"2026-01-02T03:04:05.670Z":              true,
		"2026-01-02T03:04:05.67Z":               true,
		"2026-01-02T03:04:05.670000+00:00":      true,
		"2026-01-02T03:04:05.670891234Z":        true,
		"2026-01-02T03:04:05.6708912345678901Z": true,
		"2026-01-02T03:04:05Z":                  true,
		"2026-01-02T05:04:05+02:00":             true,
		"2026-01-02T03:04:05.671Z":              false,
		"2026-01-02T03:04:05.6Z":                true,
		"2026-01-02T03:04:05.7Z":                false,
		"2026-01-02T03:04:05.0Z":                false,
		"2026-01-02t03:04:05.670z":              true,
		"2026-01-02T03:04:05,670Z":              false,
		"2026-01-02T3:04:05Z":                   false,
		"2026-01-02T03:04:06Z":                  false,
		"2026-01-02T03:04:04Z":                  false,
		"2026-01-02T03:04:05":                   false,
		"2026-01-02":                            false,
		"":                                      false,
		".":                                     false,
	} {
		var r ReadOnly
		r.Time("created_at", jsonbody.Optional[string]{Value: text, Set: true}, stored)
		require.Equal(t, same, r.Err() == nil, text)
	}
}
