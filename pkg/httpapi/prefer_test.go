package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPreferencesMayBeQuoted tests RFC 7240, section 2.
func TestPreferencesMayBeQuoted(t *testing.T) {
	for sent, minimal := range map[string]bool{
		`return=minimal`:                                  true,
		`return="minimal"`:                                true,
		`return="mini\mal"`:                               true,
		`foo="a, b", Return = minimal;x="y, z"`:           true,
		`foo="a;b", return=minimal`:                       true,
		`foo="a\", b", return=minimal`:                    true,
		`foo="\\", return=minimal`:                        true,
		`foo;x="a, return=representation",return=minimal`: true,
		`foo="a, return=minimal, b"`:                      false,
		`foo="a\", return=minimal, b"`:                    false,
		`foo;x="a, return=minimal"`:                       false,
		`foo="a, return=minimal`:                          false,
		`return="a, return=minimal"`:                      false,
		`return="minimal\"`:                               false,
		`return="minimal`:                                 false,
		`return="`:                                        false,
		`return="\`:                                       false,
		`return="minimal, x"`:                             false,
		``:                                                false,
	} {
		require.Equal(t, minimal, prefersMinimal([]string{sent}), sent)
	}
	require.True(t, prefersMinimal([]string{`foo="a, b"`, "return=minimal"}))
}
