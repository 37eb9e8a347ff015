package user_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/services/user-service/internal/user"
)

func TestParseEmail(t *testing.T) {
	long := strings.Repeat("a", 63)
	for in, key := range map[string]string{
		"ada@example.com":                 "ada@example.com",
		"Ada.Lovelace+Tag@Example.COM":    "ada.lovelace+tag@example.com",
		" ada@example.com ":               "ada@example.com",
		"!#$%&'*+-/=?^_`{|}~@example.com": "!#$%&'*+-/=?^_`{|}~@example.com",
		"1@2.example":                     "1@2.example",
		"a@xn--bcher-kva.example":         "a@xn--bcher-kva.example",
		"a@Bücher.example":                "a@xn--bcher-kva.example",
		"a@例え.テスト":                        "a@xn--r8jz45g.xn--zckzah",
		strings.Repeat("a", 64) + "@b.co": strings.Repeat("a", 64) + "@b.co",
		"a@" + long + ".com":              "a@" + long + ".com",
		"a@" + long + "." + long + "." + long + "." + strings.Repeat("a", 57) + ".co": "a@" + long + "." + long + "." + long + "." + strings.Repeat("a", 57) + ".co", // 254
	} {
		t.Run(in, func(t *testing.T) {
			e, err := user.ParseEmail(in)
			require.NoError(t, err)
			require.Equal(t, strings.TrimSpace(in), e.String())
			require.Equal(t, key, e.Key())
		})
	}
}

func TestParseEmailRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing": "", "blank": " ", "no at": "ada.example.com", "two ats": "a@b@example.com", "no local": "@example.com", "no domain": "ada@",
		"no dot": "bob@localhost", "a display name": "Bob <bob@example.com>", "angle brackets": "<bob@example.com>", "a comment": "bob(x)@example.com",
		"quoted": `"bob"@example.com`, "quoted with space": `"bob smith"@example.com`, "an IP literal": "bob@[127.0.0.1]", "an IP address": "bob@127.0.0.1",
		"a dot first": ".bob@example.com", "a dot last": "bob.@example.com", "two dots": "bo..b@example.com", "a space": "bo b@example.com",
		"a local part too long": strings.Repeat("a", 65) + "@example.com", "a label too long": "a@" + strings.Repeat("a", 64) + ".com",
		"an empty label": "a@example..com", "a dot at the end": "a@example.com.", "a dot after the at": "a@.example.com",
		"a hyphen first": "a@-example.com", "a hyphen last": "a@example-.com", "an underscore": "a@exa_mple.com",
		"a domain of digits": "a@example.123", "a line break": "a@example.com\n", "NUL": "a\x00@example.com", "a letter that isn't ASCII": "é@example.com",
		"too long": "a@" + strings.Repeat(strings.Repeat("a", 62)+".", 4) + "com", "bad punycode": "a@xn--a.example", "a comma": "a,b@example.com", "two addresses": "a@example.com,b@example.com",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := user.ParseEmail(in)
			require.Error(t, err)
		})
	}
}

// FuzzParseEmail: an accepted address is within the limits and parses again; its key is a
// valid address, and the same for upper and lower case.
func FuzzParseEmail(f *testing.F) {
	for _, seed := range []string{"ada@example.com", "A+b@Bücher.example", "a@xn--bcher-kva.example", "\"q\"@x.y", "a@b@c.d", "a@127.0.0.1", " a@b.co", "a@ß.example", "a@example.com."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		e, err := user.ParseEmail(in)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(e.String()), user.MaxEmail)
		require.LessOrEqual(t, len(e.Key()), user.MaxEmail)
		again, err := user.ParseEmail(e.String())
		require.NoError(t, err)
		require.Equal(t, e, again)
		ofKey, err := user.ParseEmail(e.Key())
		require.NoError(t, err)
		require.Equal(t, e.Key(), ofKey.Key())
		upper, err := user.ParseEmail(strings.ToUpper(e.Key()))
		require.NoError(t, err)
		require.Equal(t, e.Key(), upper.Key())
		local, _, _ := strings.Cut(e.Key(), "@")
		require.LessOrEqual(t, len(local), 64)
	})
}
