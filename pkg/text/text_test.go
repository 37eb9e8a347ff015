package text_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/text"
)

func TestLine(t *testing.T) {
	for name, c := range map[string]struct{ in, want, err string }{
		"a plain text":                    {in: "Ada Lovelace", want: "Ada Lovelace"},
		"white space around it goes":      {in: " \u00a0Ada\u2003", want: "Ada"},
		"the longest, of wide characters": {in: strings.Repeat("𝒜", 100), want: strings.Repeat("𝒜", 100)},
		"the longest, before trimming":    {in: "  " + strings.Repeat("a", 100) + "  ", want: strings.Repeat("a", 100)},
		"one too long":                    {in: strings.Repeat("é", 101), err: "must be at most 100 characters long, and has 101"},
		"empty":                           {in: "", err: "must not be blank"},
		"only zero-width spaces":          {in: "\u200b\u200b", err: "must not be blank"},
		"blank":                           {in: " \u2003 ", err: "must not be blank"},
		"NUL":                             {in: "a\x00b", err: "control characters"},
		"a line break at the end":         {in: "Ada\n", err: "control characters"},
		"a tab":                           {in: "a\tb", err: "control characters"},
		"delete":                          {in: "a\x7fb", err: "control characters"},
		"a C1 control":                    {in: "a\u0085b", err: "control characters"},
		"a Unicode line separator":        {in: "a\u2028b", err: "control characters"},
		"invalid UTF-8":                   {in: "a\xffb", err: "valid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := text.Line(c.in, 100)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestBlock(t *testing.T) {
	got, err := text.Block("\n1 Main St\r\n\tSpringfield\n", 500)
	require.NoError(t, err)
	require.Equal(t, "1 Main St\r\n\tSpringfield", got)

	for name, in := range map[string]string{"NUL": "a\x00", "escape": "a\x1b[0m", "vertical tab": "a\vb", "C1": "a\u0085b"} {
		t.Run(name, func(t *testing.T) {
			_, err := text.Block(in, 500)
			require.ErrorContains(t, err, "control characters")
		})
	}
}
