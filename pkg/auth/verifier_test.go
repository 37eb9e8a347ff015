package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
)

func TestAValidToken(t *testing.T) {
	w := newWorld(t)
	user := uuid.New()
	token, err := w.issuer.Token([]string{"another", audience}, user.String(), "users:read  orders:write")
	require.NoError(t, err)
	for range 2 { // verified, then cached
		c, err := w.authenticate(token)
		require.NoError(t, err)
		require.Equal(t, user, c.User())
		require.True(t, c.Has("users:read"))
		require.True(t, c.Has("users:write", "orders:write"))
		require.False(t, c.Has("users:write"))
		require.False(t, c.Admin())
		require.False(t, c.Reach().Includes(uuid.New()))
		require.True(t, c.Reach().Includes(user))
		require.True(t, c.Reach("users:read").Includes(uuid.New()), "a scope that reaches everyone")
	}
	require.Equal(t, 2, w.counted(accepted))
	require.EqualValues(t, 1, w.fetches.Load())
}

func TestTheSchemeIsInAnyCase(t *testing.T) {
	w := newWorld(t)
	for _, scheme := range []string{"bearer ", "BEARER ", "Bearer  "} {
		_, err := w.verifier.Authenticate(t.Context(), []string{scheme + w.token()})
		require.NoError(t, err, scheme)
	}
}

func TestAdminHasEveryScope(t *testing.T) {
	c := newCaller("i", "s", []string{Admin})
	require.True(t, c.Has("anything"))
	require.True(t, c.Admin())
	require.True(t, c.Reach().Includes(uuid.New()))
}

func TestTheZeroCallerHasNoRights(t *testing.T) {
	nobody := From(t.Context())
	require.False(t, nobody.Has("users:read"))
	require.False(t, nobody.Admin())
	require.False(t, nobody.Reach().Includes(uuid.Nil))
	require.True(t, Anyone().Admin())
	require.False(t, newCaller("i", "s", []string{""}).Granted(""), "no rule has this scope")
	require.Empty(t, Anyone().Key())
	require.Equal(t, newCaller("a", "019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d", nil).Key(), newCaller("a", "019DD1A2-6A5F-7CC3-9D3A-0C8A3F1B2C4D", nil).Key(), "one user is one caller")
	require.NotEqual(t, newCaller("a", "s", nil).Key(), newCaller("b", "s", nil).Key(), "two issuers may have the same subject")
}

func TestAlgorithms(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	for name, row := range map[string]struct {
		key       any
		algorithm jose.SignatureAlgorithm
		says      string // the key's alg
		want      result
	}{
		"RS256":                  {rsaKey, jose.RS256, "RS256", accepted},
		"ES256":                  {p256, jose.ES256, "", accepted},
		"EdDSA":                  {edKey, jose.EdDSA, "EdDSA", accepted},
		"EdDSA by its new name":  {edKey, jose.EdDSA, "Ed25519", accepted},
		"RS384":                  {rsaKey, jose.RS384, "", badAlgorithm},
		"PS256":                  {rsaKey, jose.PS256, "", badAlgorithm},
		"ES384":                  {p384, jose.ES384, "", badAlgorithm},
		"a secret":               {[]byte(strings.Repeat("x", 32)), jose.HS256, "", badAlgorithm},
		"a key for another":      {rsaKey, jose.RS256, "PS256", unknownKey},
		"an RSA key that's weak": {weak, jose.RS256, "RS256", unknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.issuer.Add(jose.JSONWebKey{Key: row.key, KeyID: "k", Algorithm: row.says}, 2)
			_, err := w.authenticate(w.token(func(t *issuer.Token) { t.Algorithm = row.algorithm }))
			require.Equal(t, row.want, resultOf(err))
			if row.want == badAlgorithm {
				require.ErrorContains(t, err, "must be signed with", "the key's algorithm doesn't matter")
			}
		})
	}
}

// TestAKeyVerifiesOneAlgorithm tests RFC 8725, section 3.1.
func TestAKeyVerifiesOneAlgorithm(t *testing.T) {
	w := newWorld(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, err = w.authenticate(w.token(func(t *issuer.Token) { t.Key.Key, t.Algorithm = private, jose.RS256 }))
	require.ErrorContains(t, err, "algorithm does not match its key")
	require.Equal(t, badAlgorithm, resultOf(err))
}

func TestAPrivateKeyIsNotUsed(t *testing.T) {
	_, err := parseKeys([]byte(`{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}`))
	require.ErrorIs(t, err, errNoKeys)
	i, err := issuer.New()
	require.NoError(t, err)
	private, err := i.Key().MarshalJSON()
	require.NoError(t, err)
	_, err = parseKeys([]byte(`{"keys":[` + string(private) + `]}`))
	require.ErrorIs(t, err, errNoKeys, "a published private key is not used")
}

func TestRSAKeysThatAreTooWeak(t *testing.T) {
	for name, row := range map[string]struct {
		bits, exponent int
		taken          bool
	}{"2048 bits": {2048, 65537, true}, "2047 bits": {2047, 65537, false}, "without an exponent": {2048, 0, false}} {
		private, err := rsa.GenerateKey(rand.Reader, row.bits)
		require.NoError(t, err)
		raw := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k","n":%q,"e":%q}]}`, base64.RawURLEncoding.EncodeToString(private.N.Bytes()),
			base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, uint32(row.exponent))))
		_, err = parseKeys([]byte(raw))
		require.Equal(t, row.taken, err == nil, "%s: %v", name, err)
	}
}

func TestKeysOfOtherCurves(t *testing.T) {
	for curve, taken := range map[elliptic.Curve]bool{elliptic.P256(): true, elliptic.P384(): false, elliptic.P521(): false} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		key, err := json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: "k"})
		require.NoError(t, err)
		_, err = parseKeys([]byte(`{"keys":[` + string(key) + `]}`))
		require.Equal(t, taken, err == nil, curve.Params().Name)
	}
}

func TestAnUnusableKeyDoesNotAffectOthers(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	set, err := i.JWKS()
	require.NoError(t, err)
	more := strings.Replace(string(set), `[`, `[{"kty":"AKP","kid":"new","alg":"ML-DSA-44","pub":"AA"},7,{"kty":"EC"},`, 1)
	found, err := parseKeys([]byte(more))
	require.NoError(t, err)
	require.Len(t, found, 1)
	_, err = parseKeys([]byte(strings.Replace(string(set), `"sig"`, `"enc"`, 1)))
	require.ErrorIs(t, err, errNoKeys, "an encryption key")
}

func TestTime(t *testing.T) {
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, row := range map[string]struct {
		claims map[string]any
		want   result
	}{
		"expired within the leeway":     {map[string]any{"exp": at(-50 * time.Second)}, accepted},
		"expired beyond it":             {map[string]any{"exp": at(-70 * time.Second)}, expired},
		"no exp":                        {map[string]any{"exp": nil}, expired},
		"exp 0":                         {map[string]any{"exp": 0}, expired},
		"not yet valid, by the leeway":  {map[string]any{"nbf": at(50 * time.Second)}, accepted},
		"not yet valid, by more":        {map[string]any{"nbf": at(70 * time.Second)}, notYetValid},
		"issued in the future":          {map[string]any{"iat": at(70 * time.Second)}, notYetValid},
		"exp as a text":                 {map[string]any{"exp": "tomorrow"}, malformed},
		"exp with a fraction":           {map[string]any{"exp": float64(at(time.Hour)) + 0.5}, accepted},
		"exp too large for any integer": {map[string]any{"exp": 1e300}, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.Equal(t, row.want, w.result(w.token(issuer.Set(row.claims))))
		})
	}
}

func TestACachedTokenExpires(t *testing.T) {
	w := newWorld(t)
	token := w.token(issuer.ValidFor(time.Minute))
	require.Equal(t, accepted, w.result(token))
	w.clock.pass(time.Minute + leeway - 2*time.Second)
	require.Equal(t, accepted, w.result(token), "within the leeway")
	w.clock.pass(4 * time.Second)
	require.Equal(t, expired, w.result(token))

	require.Equal(t, 1, w.verifier.cache.Len())
	require.Equal(t, accepted, w.result(w.token(issuer.Set(map[string]any{"exp": w.clock.Now().Add(-30 * time.Second).Unix()}))))
	require.Equal(t, 1, w.verifier.cache.Len(), "a token within the leeway is not cached")
}

func TestTheTokenCacheIsBounded(t *testing.T) {
	named := func() string { return newWorld(t).token(issuer.Set(map[string]any{"jti": uuid.NewString()})) }
	w := newWorld(t, Remember(3*uint64(entrySize+len(named())+scopeSize)))
	for range 10 {
		require.Equal(t, accepted, w.result(w.token(issuer.Set(map[string]any{"jti": uuid.NewString()}))))
	}
	require.Equal(t, 3, w.verifier.cache.Len())
	for range 50 {
		require.Equal(t, badAudience, w.result(w.token(issuer.Set(map[string]any{"aud": "other", "jti": uuid.NewString()}))))
	}
	require.Equal(t, 3, w.verifier.cache.Len(), "only valid tokens are cached")
	require.Equal(t, accepted, w.result(w.token(issuer.Set(map[string]any{"scope": strings.Repeat("x ", 60)}))))
	require.Equal(t, 1, w.verifier.cache.Len(), "a token with many scopes takes the space of several")
}

func TestClaims(t *testing.T) {
	for name, row := range map[string]struct {
		claims map[string]any
		want   result
	}{
		"audience as a text":     {map[string]any{"aud": audience}, accepted},
		"audience among others":  {map[string]any{"aud": []string{"a", audience}}, accepted},
		"another audience":       {map[string]any{"aud": audience + "x"}, badAudience},
		"no audience":            {map[string]any{"aud": []string{}}, badAudience},
		"audience as a number":   {map[string]any{"aud": 1}, malformed},
		"no subject":             {map[string]any{"sub": ""}, badSubject},
		"an endless subject":     {map[string]any{"sub": strings.Repeat("x", 256)}, badSubject},
		"a subject with a NUL":   {map[string]any{"sub": "a\x00b"}, badSubject},
		"issuer with a slash":    {map[string]any{"iss": issuer.URL + "/"}, badIssuer},
		"no issuer":              {map[string]any{"iss": nil}, badIssuer},
		"issuer as a list":       {map[string]any{"iss": []string{issuer.URL}}, malformed},
		"scopes as a list":       {map[string]any{"scope": []string{"a"}}, malformed},
		"scp as a list of texts": {map[string]any{"scope": nil, "scp": []string{"a"}}, accepted},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.want, func() result { w := newWorld(t); return w.result(w.token(issuer.Set(row.claims))) }())
		})
	}
}

// TestASubjectIsValidText checks parsed claims: JSON parsers differ in whether they repair
// invalid UTF-8.
func TestASubjectIsValidText(t *testing.T) {
	now := time.Now()
	i := &trusted{Issuer: Issuer{URL: issuer.URL, Audience: audience, MaxLife: time.Hour}}
	for subject, want := range map[string]result{"ada": accepted, "a\xff": badSubject} {
		_, err := i.caller(&claims{Claims: jwt.Claims{
			Issuer: issuer.URL, Audience: jwt.Audience{audience}, Subject: subject, Expiry: jwt.NewNumericDate(now.Add(time.Minute)),
		}}, now)
		require.Equal(t, want, resultOf(err), "%q", subject)
	}
}

// TestTheSyntaxOfScopes: only spaces separate scopes, and "" is none.
func TestTheSyntaxOfScopes(t *testing.T) {
	w := newWorld(t)
	for _, scope := range []string{"x\u00a0admin", "x\tadmin", "x\nadmin"} {
		c, err := w.authenticate(w.token(issuer.Set(map[string]any{"scope": scope})))
		require.NoError(t, err)
		require.False(t, c.Admin(), "%q", scope)
	}
	c, err := w.authenticate(w.token(issuer.Set(map[string]any{"scope": nil, "scp": []string{""}})))
	require.NoError(t, err)
	require.False(t, c.Granted(""))
}

func TestSCP(t *testing.T) {
	w := newWorld(t)
	for _, scp := range []any{[]string{"orders:read", "users:lookup"}, "orders:read  users:lookup"} {
		c, err := w.authenticate(w.token(issuer.Set(map[string]any{"scope": nil, "scp": scp})))
		require.NoError(t, err)
		require.True(t, c.Granted("orders:read"))
		require.True(t, c.Granted("users:lookup"))
		require.False(t, c.Has("users:read"))
	}
	c, err := w.authenticate(w.token(issuer.Set(map[string]any{"scp": "orders:read"})))
	require.NoError(t, err)
	require.False(t, c.Has("orders:read"), "the standard claim scope takes precedence over scp")
}

func TestAnIssuerGrantsNoMoreThanItMay(t *testing.T) {
	w := newWorldOf(t, []string{`"scopes":["users:read","orders:read"]`})
	for _, claims := range []map[string]any{
		{"scope": "admin users:read users:write"},
		{"scope": nil, "scp": "admin users:read users:write"},
		{"scope": nil, "scp": []string{"admin", "users:read", "users:write"}},
	} {
		for range 2 { // verified, then cached
			c, err := w.authenticate(w.token(issuer.Set(claims)))
			require.NoError(t, err)
			require.True(t, c.Has("users:read"))
			require.False(t, c.Has("users:write"))
			require.False(t, c.Admin())
			require.False(t, c.Has("orders:read"), "the issuer may grant it, but the token doesn't have it")
		}
	}
	c, err := w.authenticate(w.token(issuer.Set(map[string]any{"scope": strings.Repeat("x ", 1500)})))
	require.NoError(t, err)
	require.Zero(t, cap(c.scopes), "ignored scopes are not stored")

	granting := newWorldOf(t, []string{`"scopes":["users:lookup"]`, `"grants":[{"subject":"subject","scopes":["users:lookup"]}]`})
	c, err = granting.authenticate(granting.token())
	require.NoError(t, err)
	require.True(t, c.Granted("users:lookup"))
	require.False(t, c.Has("users:read"), "the token's own scopes don't count")
}

// TestATokensLifetimeIsLimited: a stolen token must not be valid for a year, for
// example.
func TestATokensLifetimeIsLimited(t *testing.T) {
	now := time.Now().Unix()
	day := int64(24 * 60 * 60)
	for name, row := range map[string]struct {
		member string
		claims map[string]any
		want   result
	}{
		"a day":                          {"", map[string]any{"iat": now, "exp": now + day}, accepted},
		"a second more":                  {"", map[string]any{"iat": now, "exp": now + day + 1}, tooLong},
		"a year, that ends soon":         {"", map[string]any{"iat": now - 365*day, "exp": now + 60}, tooLong},
		"no iat, a day left":             {"", map[string]any{"iat": nil, "exp": now + day - 60}, accepted},
		"no iat, more left":              {"", map[string]any{"iat": nil, "exp": now + day + 60}, tooLong},
		"for ever":                       {"", map[string]any{"iat": 0, "exp": int64(1) << 40}, tooLong},
		"the issuer's own, an hour":      {`"max_life":"1h"`, map[string]any{"iat": now, "exp": now + 3600}, accepted},
		"the issuer's own, by a second":  {`"max_life":"1h"`, map[string]any{"iat": now, "exp": now + 3601}, tooLong},
		"the issuer's own may be longer": {`"max_life":"720h"`, map[string]any{"iat": now, "exp": now + 30*day}, accepted},
	} {
		t.Run(name, func(t *testing.T) {
			var members []string
			if row.member != "" {
				members = append(members, row.member)
			}
			w := newWorldOf(t, members)
			token := w.token(issuer.Set(row.claims))
			require.Equal(t, row.want, w.result(token))
			require.Equal(t, 1, w.counted(row.want))
			_, err := w.authenticate(token)
			if row.want == tooLong {
				require.ErrorContains(t, err, "lifetime is longer than this service allows")
			}
		})
	}
}

// TestSpecialUUIDsAreNoUsers: lists begin below the Max UUID, so a user with that id would
// be in none. The Nil UUID means no user.
func TestSpecialUUIDsAreNoUsers(t *testing.T) {
	for _, subject := range []string{uuid.Nil.String(), uuid.Max.String(), strings.ToUpper(uuid.Max.String()), "no UUID"} {
		c := newCaller("i", subject, nil)
		require.Equal(t, uuid.Nil, c.User(), subject)
		require.False(t, c.Reach().Includes(uuid.Max), subject)
		require.False(t, c.Reach().Includes(uuid.Nil), subject)
	}
}

// TestCostlyRejections: only rejections after a signature check are Costly.
func TestCostlyRejections(t *testing.T) {
	w := newWorld(t)
	stranger, err := issuer.New()
	require.NoError(t, err)
	strange := stranger.Key()
	require.Equal(t, accepted, w.result(w.token()))
	w.clock.pass(defaultCooldown)
	for name, row := range map[string]struct {
		token  string
		costly bool
		want   result
	}{
		"nonsense":             {"a.b.c", false, malformed},
		"too large":            {strings.Repeat("a", maxToken+1), false, tooLarge},
		"another issuer":       {w.token(issuer.Set(map[string]any{"iss": "https://other.invalid"})), false, badIssuer},
		"another type":         {w.token(func(t *issuer.Token) { t.Header["typ"] = "JWT" }), false, badType},
		"an unknown key":       {w.token(func(t *issuer.Token) { t.Key = strange }), false, unknownKey},
		"forged":               {w.token(func(t *issuer.Token) { t.Key.Key = strange.Key }), true, badSignature},
		"expired":              {w.token(issuer.ValidFor(-time.Hour)), true, expired},
		"for another audience": {w.token(issuer.Set(map[string]any{"aud": "other"})), true, badAudience},
		"signed nonsense":      {w.token(issuer.Set(map[string]any{"exp": "never"})), true, malformed},
	} {
		_, err := w.authenticate(row.token)
		var wrong *InvalidError
		require.ErrorAs(t, err, &wrong, name)
		require.Equal(t, row.want, wrong.result, name)
		require.Equal(t, row.costly, wrong.Costly, name)
	}
	require.NotErrorIs(t, costly(errMalformed), errMalformed, "the shared error must not change")
}

func TestHeaders(t *testing.T) {
	for name, row := range map[string]struct {
		header, value string
		want          result
	}{
		"at+jwt":               {"typ", "at+jwt", accepted},
		"with application":     {"typ", "application/AT+JWT", accepted},
		"JWT":                  {"typ", "JWT", badType},
		"an ID token's":        {"typ", "", badType},
		"a thumbprint":         {"x5t", "AAAA", accepted},
		"jku":                  {"jku", "https://example.com", badHeader},
		"x5u":                  {"x5u", "https://example.com", badHeader},
		"a nested token":       {"cty", "JWT", badHeader},
		"something private":    {"org", "x", accepted},
		"an endless key id":    {"kid", strings.Repeat("x", 256), badHeader},
		"an unknown key":       {"kid", "../../key", unknownKey},
		"an empty key id":      {"kid", "", badHeader},
		"a compressed payload": {"zip", "DEF", badHeader},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.Equal(t, row.want, w.result(w.token(func(t *issuer.Token) { t.Header[row.header] = row.value })))
		})
	}
}

// TestRejectedHeaders tests the raw header: the JWT library rejects some of these
// itself, but only in this version and form.
func TestRejectedHeaders(t *testing.T) {
	i := &trusted{Issuer: Issuer{Profile: RFC9068}}
	parsed := jose.Header{KeyID: "k", ExtraHeaders: map[jose.HeaderKey]any{jose.HeaderType: "at+jwt"}}
	check := func(header string) error {
		return i.checkHeader(base64.RawURLEncoding.EncodeToString([]byte(header))+".e30.AA", parsed)
	}
	require.NoError(t, check(`{"alg":"ES256","kid":"k","typ":"at+jwt"}`))
	for _, name := range []string{"jwk", "jku", "x5u", "x5c", "crit", "b64", "cty", "zip", "enc"} {
		for _, value := range []string{`null`, `""`, `[]`, `{}`, `true`} {
			err := check(`{"alg":"ES256","kid":"k","typ":"at+jwt","` + name + `":` + value + `}`)
			require.Equal(t, badHeader, resultOf(err), "%s: %s", name, value)
		}
	}
	require.Equal(t, malformed, resultOf(check(`nonsense`)))
}

func TestMalformedAuthorizationHeaders(t *testing.T) {
	w := newWorld(t)
	good := w.token()
	for _, authorization := range [][]string{
		{""}, {"Bearer"}, {"Bearer "}, {good}, {"Basic YTpi"}, {"Digest username=a"}, {"DPoP " + good}, {"Bearerx " + good}, {"Basic"}, {"BearerToken"}, {"Bearer a b"}, {"Bearer ."}, {"Bearer .."}, {"Bearer " + good + "."},
		{"Bearer " + good + "=="}, {"Bearer " + good, "Bearer " + good}, {"Bearer " + strings.Repeat("A", 8193)},
		{"Bearer " + good[:len(good)-2]}, {`Bearer {"payload":"","signatures":[]}`}, {"Bearer a.b.c.d.e"},
	} {
		_, err := w.verifier.Authenticate(t.Context(), authorization)
		var wrong *InvalidError
		require.ErrorAs(t, err, &wrong, "%q", authorization)
		require.NotContains(t, wrong.Description, `"`)
		isBearer := authorization[0] == "Bearer" || strings.HasPrefix(authorization[0], "Bearer ")
		require.Equal(t, !isBearer, wrong.Missing, "RFC 6750, section 3.1: another scheme gets no error code")
	}
	_, err := w.verifier.Authenticate(t.Context(), nil)
	var wrong *InvalidError
	require.ErrorAs(t, err, &wrong)
	require.True(t, wrong.Missing)
}

func TestATokensSizeIsLimited(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, malformed, w.result(strings.Repeat("A", 8192)), "a token of the maximum size is parsed")
	tooMuch := strings.Repeat("A", 8193)
	require.Equal(t, tooLarge, w.result(tooMuch))
	require.Equal(t, accepted, w.result(w.token()))
	w.verifier.cache.Set(sha256.Sum256([]byte(tooMuch)), verified{}, time.Hour)
	_, known := w.verifier.Recall([]string{"Bearer " + tooMuch})
	require.False(t, known, "a token that is too large isn't looked up")
}

func TestKubernetesTokens(t *testing.T) {
	dir := t.TempDir()
	i, err := issuer.Folder(dir)
	require.NoError(t, err)
	keys, err := issuer.KeysURL(dir)
	require.NoError(t, err)
	setting := i.Setting(audience, keys, `"profile":"kubernetes"`, `"grants":[{"subject":"system:serviceaccount:shop:order-service","scopes":["users:lookup"]}]`)
	v, err := New(IssuerConfig{AuthIssuers: setting}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(v.Close)
	send := func(subject string, typ any) (Caller, error) {
		token, err := i.Token([]string{audience}, subject, "admin", func(t *issuer.Token) {
			delete(t.Header, "typ")
			if typ != nil {
				t.Header["typ"] = typ
			}
		})
		require.NoError(t, err)
		return v.Authenticate(context.Background(), []string{"Bearer " + token})
	}
	for _, typ := range []any{nil, "JWT"} {
		c, err := send("system:serviceaccount:shop:order-service", typ)
		require.NoError(t, err)
		require.True(t, c.Has("users:lookup"))
		require.False(t, c.Admin(), "the token's own scopes don't count")
		c, err = send("system:serviceaccount:shop:other", typ)
		require.NoError(t, err)
		require.False(t, c.Has("users:lookup"))
	}
	_, err = send("system:serviceaccount:shop:order-service", "at+jwt")
	require.Equal(t, badType, resultOf(err))
}

func TestAnOpenServiceRequiresNoToken(t *testing.T) {
	v, err := New(IssuerConfig{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	require.True(t, v.IsOpen())
	require.Empty(t, v.Dependencies())
	c, err := v.Authenticate(t.Context(), []string{"Bearer nonsense"})
	require.NoError(t, err)
	require.Equal(t, Anyone(), c)
	v.Denied()
	v.Close()
}
