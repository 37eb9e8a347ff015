package text_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/text"
)

func TestLine(t *testing.T) {
	for name, c := range map[string]struct{ in, want, err string }{
		"a plain text":                       {in: "Ada Lovelace", want: "Ada Lovelace"},
		"surrounding white space is removed": {in: " \u00a0Ada\u2003", want: "Ada"},
		"the longest, of wide characters":    {in: strings.Repeat("𝒜", 100), want: strings.Repeat("𝒜", 100)},
		"the longest, before trimming":       {in: "  " + strings.Repeat("a", 100) + "  ", want: strings.Repeat("a", 100)},
		"one too long":                       {in: strings.Repeat("é", 101), err: "must be at most 100 characters long, but has 101"},
		"empty":                              {in: "", err: "must not be blank"},
		"only zero-width spaces":             {in: "\u200b\u200b", err: "must not be blank"},
		"blank":                              {in: " \u2003 ", err: "must not be blank"},
		"NUL":                                {in: "a\x00b", err: "control characters"},
		"a line break at the end":            {in: "Ada\n", err: "control characters"},
		"a tab":                              {in: "a\tb", err: "control characters"},
		"delete":                             {in: "a\x7fb", err: "control characters"},
		"a C1 control":                       {in: "a\u0085b", err: "control characters"},
		"a Unicode line separator":           {in: "a\u2028b", err: "control characters"},
		"invalid UTF-8":                      {in: "a\xffb", err: "valid UTF-8"},

		"only Hangul fillers":         {in: "\u3164\u3164", err: "must not be blank"},
		"only half-width fillers":     {in: "\uffa0", err: "must not be blank"},
		"only blank Braille":          {in: "\u2800\u2800", err: "must not be blank"},
		"only variation selectors":    {in: "\ufe0f\U000e0100", err: "must not be blank"},
		"only a soft hyphen":          {in: "\u00ad", err: "must not be blank"},
		"only a joiner of graphemes":  {in: "\u034f", err: "must not be blank"},
		"only tags":                   {in: "\U000e0041", err: "must not be blank"},
		"only marks of direction":     {in: "\u200e\u200f\u061c", err: "must not be blank"},
		"an override":                 {in: "Ada\u202e.exe", err: "hidden text"},
		"an embedding":                {in: "\u202bAda\u202c", err: "hidden text"},
		"an isolate":                  {in: "\u2066Ada\u2069", err: "hidden text"},
		"text in tags":                {in: "Ada\U000e0068\U000e0069", err: "hidden text"},
		"text in variation selectors": {in: "A\U000e0158\U000e0155\U000e015c", err: "hidden text"},
		"text in tags after a flag":   {in: "Ann 🏴\U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065\U000e0020\U000e0061", err: "hidden text"},
		"zero-width spaces in a row":  {in: "Ada\u200b\u200b\u200bL", err: "hidden text"},

		"only a null notehead":        {in: "\U0001d159", err: "must not be blank"},
		"only a filler of Khitan":     {in: "\U00016fe4", err: "must not be blank"},
		"only a blank hieroglyph":     {in: "\U00013441", err: "must not be blank"},
		"a noncharacter":              {in: "Ada\ufffe", err: "noncharacters"},
		"a noncharacter of a plane":   {in: "Ada\U0001ffff", err: "noncharacters"},
		"an Arabic noncharacter":      {in: "Ada\ufdd0", err: "noncharacters"},
		"annotations in a row":        {in: "Ada\ufff9\ufffa\ufffb", err: "hidden text"},
		"joined hieroglyphs in a row": {in: "Ada\U00013430\U00013430\U00013430", err: "hidden text"},
		"blanks in a row":             {in: "Ada\u2800\u2800\u2800L", err: "hidden text"},

		"a byte order mark goes": {in: "\ufeff" + strings.Repeat("a", 100), want: strings.Repeat("a", 100)},
		"an emoji of several":    {in: "👩🏽‍❤️‍💋‍👨🏿", want: "👩🏽‍❤️‍💋‍👨🏿"},
		"a flag in tags":         {in: "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f!", want: "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f!"},
		"Persian":                {in: "می\u200cخواهم", want: "می\u200cخواهم"},
		"Hangul":                 {in: "김철수 \u1112\u1161\u11ab", want: "김철수 \u1112\u1161\u11ab"},
		"Hebrew with a mark":     {in: "עדה\u200f (Ada)", want: "עדה\u200f (Ada)"},
		"Han with a variant":     {in: "葛\U000e0100城", want: "葛\U000e0100城"},
		"Thai":                   {in: "กรุง\u200bเทพ", want: "กรุง\u200bเทพ"},
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
