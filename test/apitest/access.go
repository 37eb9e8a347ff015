package apitest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/test/issuer"
)

// Access is what callers of an operation are answered.
type Access struct {
	// Prepare makes what the operation is about, which belongs to the subject
	// owner, and returns the path and the body of the request.
	Prepare func(t *testing.T, owner string) (path string, body any)
	// Owner, Other, Admin and Service are the status that each is answered: the
	// owner, another subject with the same scopes, one with the scope admin, and
	// the other service with what it is granted.
	Owner, Other, Admin, Service int
	// Check, if any, looks at an answer that is a success.
	Check func(t *testing.T, who, subject, owner string, a *Answer)
}

// Issuers are those that a service under test trusts.
type Issuers struct {
	// Audience is what the service is called.
	Audience string
	// People issues the tokens of users, Services those of other services, as a
	// cluster does.
	People, Services *issuer.Issuer
	// Setting is AUTH_ISSUERS.
	Setting string

	peopleKeys, servicesKeys string
	// stranger is trusted by nobody.
	stranger *issuer.Issuer
}

// ServiceSubject is the other service's subject.
const ServiceSubject = "system:serviceaccount:shop:order-service"

// NewIssuers returns issuers that a service trusts. The other service is granted
// a scope.
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

// SettingOf returns the AUTH_ISSUERS of a service that is called audience and
// grants a scope to the other service.
func (is *Issuers) SettingOf(audience, granted string) string {
	people := is.People.Setting(audience, is.peopleKeys)
	services := is.Services.Setting(audience, is.servicesKeys, `"profile":"kubernetes"`, `"grants":[{"subject":"`+ServiceSubject+`","scopes":["`+granted+`"]}]`)
	return people[:len(people)-1] + "," + services[1:]
}

// Token returns the value of the Authorization header for a subject.
func (is *Issuers) Token(t testing.TB, subject, scopes string, changes ...func(*issuer.Token)) string {
	t.Helper()
	token, err := is.People.Token([]string{is.Audience, "another"}, subject, scopes, changes...)
	require.NoError(t, err)
	return "Bearer " + token
}

// Service returns the value of the header for another service.
func (is *Issuers) Service(t testing.TB, subject string) string {
	t.Helper()
	return "Bearer " + is.ServiceToken(t, is.Audience, subject)
}

// ServiceToken returns the token of another service for the one called audience.
func (is *Issuers) ServiceToken(t testing.TB, audience, subject string) string {
	t.Helper()
	token, err := is.Services.Token([]string{audience}, subject, "admin", func(t *issuer.Token) { delete(t.Header, "typ") })
	require.NoError(t, err)
	return token
}

// Refused are values of the Authorization header that prove nothing, for a
// subject that could do everything.
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
		"HS256 with the public key":    forgeHS256(t, good, is.People.Key()),
		"changed claims":               tamper(good),
		"no token":                     "Bearer",
		"too large":                    token(issuer.Set(map[string]any{"more": strings.Repeat("x", 8<<10)})),
	}
}

// forge gives the claims of a token another header and another signature.
func forge(token, header string, sign func(signed string) []byte) string {
	claims := strings.Split(token, ".")[1]
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + claims
	return "Bearer " + signed + "." + base64.RawURLEncoding.EncodeToString(sign(signed))
}

func forgeHS256(t testing.TB, token string, key jose.JSONWebKey) string {
	t.Helper()
	public := key.Public()
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	require.NoError(t, err)
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return forge(token, `{"alg":"HS256","kid":"`+key.KeyID+`","typ":"at+jwt"}`, func(signed string) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	})
}

// tamper changes the claims and leaves the signature as it was.
func tamper(token string) string {
	parts := strings.Split(token, ".")
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	changed := strings.Replace(string(claims), `"client_id":"development"`, `"client_id":"production"`, 1)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + parts[2]
}

// TestAccess asks for every operation of the document with every kind of token.
// An operation that the document says is open must be in open; any other must
// have its row in table.
func (c *Client) TestAccess(t *testing.T, is *Issuers, open []string, table map[string]Access) {
	// Whether a key is unknown can't be told right after the keys were fetched.
	unknown := is.Refused(t, uuid.NewString())["an unknown key"]
	Eventually(t, "an unknown key is told from a new one", func() bool {
		return c.For(t).Do(http.MethodGet, c.protected(), nil, "Authorization", unknown).Status == http.StatusUnauthorized
	})
	operations := c.document.ByID()
	for id := range table {
		require.Contains(t, operations, id)
	}
	for _, id := range slices.Sorted(maps.Keys(operations)) {
		t.Run(id, func(t *testing.T) {
			op, client := operations[id], c.For(t)
			scopes := op.Scopes()
			if len(scopes) == 0 {
				require.Contains(t, open, id, "the document has no security for it")
				client.Do(op.Method, op.Path, nil).Want(http.StatusOK)
				return
			}
			row, found := table[id]
			require.True(t, found, "say in the table who may use it")
			client.testRefused(t, is, op, row)
			client.testScopes(t, is, op, row, scopes)
			client.testOwnership(t, is, op, row, scopes[0])
		})
	}
}

// protected returns the path of a GET that needs a token, and no parameter.
func (c *Client) protected() string {
	for _, op := range c.document.ByID() {
		if op.Method == http.MethodGet && len(op.Security) > 0 && !strings.Contains(op.Path, "{") {
			return op.Path
		}
	}
	panic("there is none")
}

func (c *Client) testRefused(t *testing.T, is *Issuers, op Operation, row Access) {
	owner := uuid.NewString()
	path, body := row.Prepare(t, owner)
	none := c.Do(op.Method, path, body).Want(http.StatusUnauthorized)
	require.Equal(t, "Bearer", none.Header.Get("WWW-Authenticate"), "no token is no error (RFC 6750, section 3.1)")
	for name, header := range is.Refused(t, owner) {
		got := c.Do(op.Method, path, body, "Authorization", header)
		require.Equal(t, http.StatusUnauthorized, got.Status, "%s: %s", name, got.Body)
		require.Regexp(t, `^Bearer error="invalid_token", error_description="[^"\\]+"$`, got.Header.Get("WWW-Authenticate"), name)
	}
}

// allScopes are all there are, but for admin.
const allScopes = "users:read users:write users:lookup orders:read orders:write"

func (c *Client) testScopes(t *testing.T, is *Issuers, op Operation, row Access, scopes []string) {
	owner := uuid.NewString()
	path, body := row.Prepare(t, owner)
	others := slices.DeleteFunc(strings.Fields(allScopes), func(s string) bool { return slices.Contains(scopes, s) })
	for name, header := range map[string]string{
		"no scope":                 is.Token(t, owner, ""),
		"all other scopes":         is.Token(t, owner, strings.Join(others, " ")),
		"a scope that looks alike": is.Token(t, owner, scopes[0]+"x administrator Admin"),
		"another ServiceAccount":   is.Service(t, "system:serviceaccount:other:order-service"),
	} {
		got := c.Do(op.Method, path, body, "Authorization", header)
		require.Equal(t, http.StatusForbidden, got.Status, "%s: %s", name, got.Body)
		require.Contains(t, got.Header.Get("WWW-Authenticate"), `Bearer error="insufficient_scope"`)
		require.Contains(t, got.Header.Get("WWW-Authenticate"), `scope="`+scopes[0]+`"`)
	}
}

func (c *Client) testOwnership(t *testing.T, is *Issuers, op Operation, row Access, scope string) {
	for _, who := range []struct {
		name   string
		status int
	}{{"owner", row.Owner}, {"other", row.Other}, {"admin", row.Admin}, {"service", row.Service}} {
		owner := uuid.NewString()
		path, body := row.Prepare(t, owner)
		subject, header := owner, ""
		switch who.name {
		case "owner":
			header = is.Token(t, subject, scope)
		case "other":
			subject = uuid.NewString()
			header = is.Token(t, subject, scope)
		case "admin":
			subject = uuid.NewString()
			header = is.Token(t, subject, "admin")
		case "service":
			subject = ServiceSubject
			header = is.Service(t, subject)
		}
		got := c.Do(op.Method, path, body, "Authorization", header)
		require.Equal(t, who.status, got.Status, "%s: %s", who.name, got.Body)
		if row.Check != nil && got.Status < http.StatusBadRequest {
			row.Check(t, who.name, subject, owner, got)
		}
	}
}
