package apitest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
)

// Issuers are the issuers trusted by a service under test.
type Issuers struct {
	// Audience is the service's name in tokens.
	Audience string
	// People issues the tokens of users. Services issues those of other services, like a
	// Kubernetes cluster.
	People, Services *issuer.Issuer
	// Setting is the value of AUTH_ISSUERS.
	Setting string

	peopleKeys, servicesKeys string
	// stranger is an untrusted issuer.
	stranger *issuer.Issuer
}

// ServiceSubject is the subject of the other service.
const ServiceSubject = "system:serviceaccount:shop:order-service"

// NewIssuers returns issuers for a service. granted are the scopes granted to the other
// service.
func NewIssuers(t testing.TB, audience, granted string) *Issuers {
	t.Helper()
	stranger, err := issuer.New()
	require.NoError(t, err)
	is := &Issuers{Audience: audience, stranger: stranger}
	is.People, is.peopleKeys = newIssuer(t, issuer.URL)
	is.Services, is.servicesKeys = newIssuer(t, "https://cluster.invalid")
	is.Setting = is.SettingOf(audience, granted)
	return is
}

func newIssuer(t testing.TB, url string) (*issuer.Issuer, string) {
	t.Helper()
	dir := t.TempDir()
	i, err := issuer.Folder(dir)
	require.NoError(t, err)
	i.URL = url
	keys, err := issuer.KeysURL(dir)
	require.NoError(t, err)
	return i, keys
}

// SettingOf returns the AUTH_ISSUERS of a service named audience, which grants scopes
// (separated by spaces) to the other service.
func (is *Issuers) SettingOf(audience, granted string) string {
	people := is.People.Setting(audience, is.peopleKeys)
	services := is.Services.Setting(audience, is.servicesKeys, `"profile":"kubernetes"`, `"grants":[{"subject":"`+ServiceSubject+`","scopes":["`+strings.Join(strings.Fields(granted), `","`)+`"]}]`)
	return people[:len(people)-1] + "," + services[1:]
}

// Token returns an Authorization header for a user.
func (is *Issuers) Token(t testing.TB, subject, scopes string, changes ...func(*issuer.Token)) string {
	t.Helper()
	token, err := is.People.Token([]string{is.Audience, "another"}, subject, scopes, changes...)
	require.NoError(t, err)
	return "Bearer " + token
}

// Service returns an Authorization header for another service.
func (is *Issuers) Service(t testing.TB, subject string) string {
	t.Helper()
	return "Bearer " + is.ServiceToken(t, is.Audience, subject)
}

// ServiceToken returns another service's token for audience, as a cluster issues it (a
// projected ServiceAccount token).
func (is *Issuers) ServiceToken(t testing.TB, audience, subject string, changes ...func(*issuer.Token)) string {
	t.Helper()
	account := func(t *issuer.Token) { delete(t.Header, "typ") }
	token, err := is.Services.Token([]string{audience}, subject, "admin", append([]func(*issuer.Token){account}, changes...)...)
	require.NoError(t, err)
	return token
}

// Refused returns invalid Authorization headers by name, for a subject with the scope
// admin.
func (is *Issuers) Refused(t testing.TB, subject string) map[string]string {
	t.Helper()
	token := func(changes ...func(*issuer.Token)) string { return is.Token(t, subject, "admin", changes...) }
	header := func(name string, value any) func(*issuer.Token) {
		return func(t *issuer.Token) { t.Header[name] = value }
	}
	good, strange := token(), is.stranger.Key()
	return map[string]string{
		"expired":                      token(issuer.ValidFor(-2 * time.Minute)),
		"without an expiry":            token(issuer.Set(map[string]any{"exp": nil})),
		"not yet valid":                token(issuer.Set(map[string]any{"nbf": time.Now().Add(2 * time.Minute).Unix()})),
		"issued in the future":         token(issuer.Set(map[string]any{"iat": time.Now().Add(2 * time.Minute).Unix()})),
		"wrong audience":               token(issuer.Set(map[string]any{"aud": "another"})),
		"without an audience":          token(issuer.Set(map[string]any{"aud": nil})),
		"wrong issuer":                 token(issuer.Set(map[string]any{"iss": "https://other.invalid"})),
		"another trusted issuer's iss": token(issuer.Set(map[string]any{"iss": is.Services.URL})),
		"without a subject":            token(issuer.Set(map[string]any{"sub": nil})),
		"wrong typ":                    token(header("typ", "JWT")),
		"without typ":                  token(func(t *issuer.Token) { delete(t.Header, "typ") }),
		"a key of its own":             token(header("jwk", strange.Public()), func(t *issuer.Token) { t.Key = strange }),
		"a key from a URL":             token(header("jku", "https://other.invalid/keys")),
		"an unknown key":               token(func(t *issuer.Token) { t.Key = strange }),
		"another's signature":          token(func(t *issuer.Token) { t.Key.Key = strange.Key }),
		"none":                         forge(good, `{"alg":"none","typ":"at+jwt"}`, func(string) []byte { return nil }),
		"HS256 with the public key":    forgeHS256(t, good, is.People.Key(), `,"typ":"at+jwt"`),
		"changed claims":               tamper(good),
		"no token":                     "Bearer",
		"too large":                    token(issuer.Set(map[string]any{"more": strings.Repeat("x", 8<<10)})),
	}
}

// RefusedServices returns invalid Authorization headers by name, for the other service.
func (is *Issuers) RefusedServices(t testing.TB) map[string]string {
	t.Helper()
	token := func(changes ...func(*issuer.Token)) string {
		return "Bearer " + is.ServiceToken(t, is.Audience, ServiceSubject, changes...)
	}
	good, strange := token(), is.stranger.Key()
	return map[string]string{
		"a service's, expired":               token(issuer.ValidFor(-2 * time.Minute)),
		"a service's without an expiry":      token(issuer.Set(map[string]any{"exp": nil})),
		"a service's, not yet valid":         token(issuer.Set(map[string]any{"nbf": time.Now().Add(2 * time.Minute).Unix()})),
		"a service's for another":            token(issuer.Set(map[string]any{"aud": []string{"another"}})),
		"a service's for the API server":     token(issuer.Set(map[string]any{"aud": []string{is.Services.URL, "k3s"}})),
		"a service's without an audience":    token(issuer.Set(map[string]any{"aud": nil})),
		"a service's without a subject":      token(issuer.Set(map[string]any{"sub": nil})),
		"a service's of another cluster":     token(issuer.Set(map[string]any{"iss": "https://other.invalid"})),
		"a service's with a person's issuer": token(issuer.Set(map[string]any{"iss": is.People.URL}), func(t *issuer.Token) { t.Header["typ"], t.Key.KeyID = "at+jwt", is.People.Key().KeyID }),
		"a service's with a person's key":    token(func(t *issuer.Token) { t.Key.Key = is.People.Key().Key }),
		"a service's with an unknown key":    token(func(t *issuer.Token) { t.Key = strange }),
		"a service's with a person's typ":    token(func(t *issuer.Token) { t.Header["typ"] = "at+jwt" }),
		"a service's with none":              forge(good, `{"alg":"none"}`, func(string) []byte { return nil }),
		"a service's with HS256":             forgeHS256(t, good, is.Services.Key(), ""),
		"a service's with changed claims":    tamper(good),
	}
}

// forge replaces the header and the signature of a token.
func forge(token, header string, sign func(signed string) []byte) string {
	claims := strings.Split(token, ".")[1]
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + claims
	return "Bearer " + signed + "." + base64.RawURLEncoding.EncodeToString(sign(signed))
}

func forgeHS256(t testing.TB, token string, key jose.JSONWebKey, more string) string {
	t.Helper()
	public := key.Public()
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	require.NoError(t, err)
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return forge(token, `{"alg":"HS256","kid":"`+key.KeyID+`"`+more+`}`, func(signed string) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	})
}

// tamper changes the claims without the signature.
func tamper(token string) string {
	parts := strings.Split(token, ".")
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	changed := strings.Replace(string(claims), `"client_id":"development"`, `"client_id":"production"`, 1)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + parts[2]
}
