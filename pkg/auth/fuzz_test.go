package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// fuzzKeys is a JWK set. Its private key was thrown away after it had signed the only
// valid token in testdata.
const fuzzKeys = "testdata/jwks.json"

// FuzzVerify: only the token that was signed is accepted. Other input gets an error that
// is safe in a header.
func FuzzVerify(f *testing.F) {
	content, err := os.ReadFile("testdata/token")
	require.NoError(f, err)
	good := strings.TrimSpace(string(content))
	path, err := filepath.Abs(fuzzKeys)
	require.NoError(f, err)
	setting := `[{"issuer":"https://issuer.invalid","audience":"user-service","jwks":"file://` + path + `"}]`
	v, err := New(IssuerConfig{AuthIssuers: setting, AuthMaxTokenLife: math.MaxInt64}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(f, err)
	f.Cleanup(v.Close)
	require.NoError(f, v.Check(context.Background()))
	_, err = v.verify(context.Background(), good)
	require.NoError(f, err)

	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	for _, seed := range []string{
		good, "", ".", "..", good + ".", " " + good, parts[0] + ".." + parts[2], parts[1] + "." + parts[0] + "." + parts[2],
		encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		encode([]byte(`{"alg":"HS256","kid":"fuzz","typ":"at+jwt"}`)) + "." + parts[1] + "." + parts[2],
		encode([]byte(`{"alg":"ES256","kid":"fuzz","typ":"at+jwt","crit":["b64"],"b64":false}`)) + "." + parts[1] + "." + parts[2],
		encode([]byte(`{"alg":"ES256","alg":"none","kid":"fuzz"}`)) + "." + parts[1] + "." + parts[2],
		parts[0] + "." + encode([]byte(`{"iss":"https://issuer.invalid"}`)) + "." + parts[2],
		parts[0] + "." + parts[1] + "." + encode(make([]byte, 64)),
		`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		caller, err := v.verify(context.Background(), token)
		if err == nil {
			require.Equal(t, signedPart(good), signedPart(token), "an unsigned token was accepted")
			require.Equal(t, "https://issuer.invalid fuzz", caller.Key())
			return
		}
		require.Equal(t, Caller{}, caller)
		var wrong *InvalidError
		var unavailable *UnavailableError
		require.True(t, errors.As(err, &wrong) || errors.As(err, &unavailable), "%v", err)
		if wrong != nil {
			for _, c := range wrong.Description { // RFC 6750, section 3
				require.True(t, c >= ' ' && c <= '~' && c != '"' && c != '\\', wrong.Description)
			}
		}
	})
}

// signedPart returns the part of a token that is signed.
func signedPart(token string) string {
	i := strings.LastIndexByte(token, '.')
	return token[:max(i, 0)]
}

// FuzzParseKeys: whatever the input, the keys are public and of a supported algorithm.
func FuzzParseKeys(f *testing.F) {
	content, err := os.ReadFile(fuzzKeys)
	require.NoError(f, err)
	for _, seed := range []string{
		string(content), "", "{}", `{"keys":null}`, `{"keys":[{}]}`, `{"keys":[{"kty":"oct","kid":"k","k":"AA"}]}`,
		`{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":"AA","y":"AA"}]}`, `{"keys":[{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"}]}`,
		`{"keys":[{"kty":"OKP","kid":"k","crv":"Ed25519","x":""}]}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := parseKeys(content)
		if err != nil {
			require.Empty(t, found)
			return
		}
		for id, k := range found {
			require.NotEmpty(t, id)
			require.Contains(t, algorithms, k.algorithm)
		}
	})
}
