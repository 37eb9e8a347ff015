// Package issuer issues tokens for development and tests. The services don't use it.
package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// URL is the default iss of tokens. Nobody can own the name (RFC 6761, section 6.4).
const URL = "https://issuer.invalid"

// Issuer issues tokens. It is safe for concurrent use.
type Issuer struct {
	URL string

	mu sync.Mutex
	// keys are the private keys of the JWK set. The last one signs.
	keys []jose.JSONWebKey
}

// New returns an issuer with a new key.
func New() (*Issuer, error) {
	i := &Issuer{URL: URL}
	return i, i.Rotate(1)
}

// Rotate creates a new signing key. Of the older keys the newest stay in the JWK set,
// which then has at most keep keys.
func (i *Issuer) Rotate(keep int) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := withID(jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"})
	if err != nil {
		return err
	}
	i.Add(key, keep)
	return nil
}

// Add makes a private key the signing key; see Rotate.
func (i *Issuer) Add(key jose.JSONWebKey, keep int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
	i.keys = i.keys[max(0, len(i.keys)-keep):]
}

// withID sets a key's id to its thumbprint (RFC 7638).
func withID(key jose.JSONWebKey) (jose.JSONWebKey, error) {
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return key, err
}

// Key returns the signing key.
func (i *Issuer) Key() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// JWKS returns the public keys, as a JWK set.
func (i *Issuer) JWKS() ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, key := range i.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return json.Marshal(set)
}

// ServeHTTP serves the OpenID configuration at its path, and the JWK set at any other.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, err := i.JWKS()
	if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
		content, err = json.Marshal(map[string]string{"issuer": i.URL, "jwks_uri": "http://" + r.Host + "/keys"})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(content)
}

// Token is a token before it is signed. Its fields are used unchecked.
type Token struct {
	Header    map[string]any
	Claims    map[string]any
	Key       jose.JSONWebKey
	Algorithm jose.SignatureAlgorithm
}

// Token returns a token for a subject with scopes (separated by spaces) and an audience,
// valid for an hour. changes are applied before it is signed.
func (i *Issuer) Token(audience []string, subject, scopes string, changes ...func(*Token)) (string, error) {
	now := time.Now()
	t := &Token{
		Header: map[string]any{"typ": "at+jwt"},
		Claims: map[string]any{
			"iss": i.URL, "aud": audience, "sub": subject, "scope": scopes, "client_id": "development",
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": uuid.NewString(),
		},
		Key: i.Key(), Algorithm: jose.ES256,
	}
	for _, change := range changes {
		change(t)
	}
	return t.sign()
}

func (t *Token) sign() (string, error) {
	options := (&jose.SignerOptions{}).WithHeader("kid", t.Key.KeyID)
	for name, value := range t.Header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: t.Algorithm, Key: t.Key.Key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(t.Claims).Serialize()
}

// Set changes claims. It removes claims set to nil.
func Set(claims map[string]any) func(*Token) {
	return func(t *Token) {
		maps.Copy(t.Claims, claims)
		maps.DeleteFunc(t.Claims, func(_ string, v any) bool { return v == nil })
	}
}

// ValidFor makes a token expire after life. With a negative life it has expired.
func ValidFor(life time.Duration) func(*Token) {
	now := time.Now()
	return Set(map[string]any{"exp": now.Add(life).Unix(), "iat": min(now.Unix(), now.Add(life).Unix())})
}

// Setting returns the AUTH_ISSUERS of a service that trusts the issuer, under the name
// audience. keys is the URL of the keys; "" means that the OpenID configuration has it.
// more adds JSON members, such as `"profile":"kubernetes"`.
func (i *Issuer) Setting(audience, keys string, more ...string) string {
	members := append([]string{fmt.Sprintf(`"issuer":%q,"audience":%q`, i.URL, audience)}, more...)
	if keys != "" {
		members = append(members, fmt.Sprintf(`"jwks":%q`, keys))
	}
	return "[{" + strings.Join(members, ",") + "}]"
}
