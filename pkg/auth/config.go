// Package auth authenticates requests. It verifies bearer tokens (RFC 6750) that are JWTs
// (RFC 9068, hardened by RFC 8725), with the keys of the configured issuers.
package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/example/microservices/pkg/jsonbody"
)

// IssuerConfig configures the trusted token issuers.
type IssuerConfig struct {
	AuthIssuers  string `envconfig:"AUTH_ISSUERS" desc:"accepted token issuers, a JSON list: see docs/auth.md; empty: no token is needed"`
	AuthRequired bool   `envconfig:"AUTH_REQUIRED" default:"false" desc:"refuse to start without AUTH_ISSUERS"`
	// AuthMaxTokenLife is the MaxLife of issuers without their own. Zero means the default.
	AuthMaxTokenLife time.Duration `envconfig:"AUTH_MAX_TOKEN_LIFE" default:"24h" min:"1m" desc:"maximum lifetime of a token, exp minus iat; an issuer's max_life overrides it"`
}

const (
	defaultMaxLife = 24 * time.Hour
	// minMaxLife is the shortest accepted MaxLife: a shorter one is a mistake.
	minMaxLife = time.Minute
)

// Profile is the kind of an issuer's tokens.
type Profile string

const (
	// RFC9068 is for access tokens by RFC 9068. Their type is at+jwt, which no other JWT of
	// the issuer has, such as an ID token.
	RFC9068 Profile = "rfc9068"
	// Kubernetes is for ServiceAccount tokens, which have no type. Their audience and the
	// list of granted subjects keep other tokens out.
	Kubernetes Profile = "kubernetes"
	// JWT is for access tokens of issuers that don't follow RFC 9068: their type is JWT or
	// missing. Tokens with claims of an ID token, or without scopes, are rejected; see
	// claims.otherThanAccess.
	JWT Profile = "jwt"
)

// ClientID is the AudienceClaim of issuers whose access tokens have no aud.
const ClientID = "client_id"

// Issuer is a trusted token issuer.
type Issuer struct {
	// URL is the iss claim of its tokens.
	URL string
	// Audience must be in a token's aud claim.
	Audience string
	// AudienceClaim is the claim to use if a token has no aud: ClientID, or "" for none.
	AudienceClaim string
	// SubjectClaim is the claim that identifies the caller; "" means sub. Users must not be
	// able to change it themselves.
	SubjectClaim string
	// JWKS is the URL of the keys: http://, https://, or file:// with an absolute path. If
	// it is "", the issuer's OpenID configuration has it.
	JWKS    string
	Profile Profile
	// Grants are scopes by subject. If there are any, the tokens' own scopes are ignored.
	Grants map[string][]string
	// Scopes are the scopes that the issuer may grant; others are ignored. nil means all.
	Scopes []string
	// MaxLife is the maximum time from iat to exp, or from now to exp if the token has no
	// iat.
	MaxLife time.Duration
	// CAFile has the certificates (PEM) to verify the keys' server with, instead of the
	// system's. TokenFile has the bearer token to send to it. The API server of a
	// Kubernetes cluster needs both.
	CAFile, TokenFile string
}

// Validate returns everything that is wrong with the configuration.
func (c *IssuerConfig) Validate() error {
	_, err := c.parse()
	return err
}

// issuerJSON is an element of AUTH_ISSUERS.
type issuerJSON struct {
	Issuer        string                         `json:"issuer"`
	Audience      string                         `json:"audience"`
	AudienceClaim jsonbody.Optional[string]      `json:"audience_claim"`
	SubjectClaim  jsonbody.Optional[string]      `json:"subject_claim"`
	JWKS          jsonbody.Optional[string]      `json:"jwks"`
	Profile       jsonbody.Optional[string]      `json:"profile"`
	Grants        jsonbody.Optional[[]grantJSON] `json:"grants"`
	Scopes        jsonbody.Optional[[]string]    `json:"scopes"`
	MaxLife       jsonbody.Optional[string]      `json:"max_life"`
	CAFile        jsonbody.Optional[string]      `json:"ca_file"`
	TokenFile     jsonbody.Optional[string]      `json:"token_file"`
}

type grantJSON struct {
	Subject string   `json:"subject"`
	Scopes  []string `json:"scopes"`
}

func (c *IssuerConfig) parse() ([]Issuer, error) {
	if c.AuthIssuers == "" {
		if c.AuthRequired {
			return nil, errors.New("AUTH_ISSUERS must be set, since AUTH_REQUIRED is true: a JSON list such as " + example)
		}
		return nil, nil
	}
	// Wrapped in an object, because jsonbody decodes objects.
	var list struct {
		Issuers []issuerJSON `json:"AUTH_ISSUERS"`
	}
	const before = `{"AUTH_ISSUERS":`
	err := jsonbody.DecodeSetting([]byte(before+c.AuthIssuers+`}`), &list)
	if syntax, ok := errors.AsType[*jsonbody.SyntaxError](err); ok {
		err = fmt.Errorf("%s (at byte %d)", strings.Replace(syntax.Message, "the body", "it", 1), syntax.Offset-int64(len(before)))
	}
	if err != nil {
		return nil, fmt.Errorf("AUTH_ISSUERS must be a JSON list such as %s: %w", example, err)
	}
	if len(list.Issuers) == 0 {
		return nil, errors.New("AUTH_ISSUERS is an empty list; leave it out for a service that needs no token")
	}
	var problems []error
	seen := map[string]bool{}
	issuers := make([]Issuer, len(list.Issuers))
	for i, in := range list.Issuers {
		wrong := func(field, message string) {
			problems = append(problems, fmt.Errorf("AUTH_ISSUERS[%d].%s %s", i, field, message))
		}
		issuers[i] = in.issuer(wrong)
		if issuers[i].MaxLife == 0 {
			issuers[i].MaxLife = cmp.Or(c.AuthMaxTokenLife, defaultMaxLife)
		}
		if seen[in.Issuer] {
			wrong("issuer", "is listed more than once")
		}
		seen[in.Issuer] = true
	}
	return issuers, errors.Join(problems...)
}

const example = `[{"issuer":"https://id.example.com","audience":"user-service"}]`

// unstable are claims that users can change, or that may pass to another user: they
// identify nobody (OpenID Connect Core 1.0, section 5.7).
var unstable = []string{"email", "name", "nickname", "phone_number", "preferred_username", "unique_name", "upn"}

// issuer converts and checks an element. It reports problems by field, without values.
func (in *issuerJSON) issuer(wrong func(field, message string)) Issuer {
	out := Issuer{
		URL: in.Issuer, Audience: in.Audience, AudienceClaim: in.AudienceClaim.Value, JWKS: in.JWKS.Value,
		Profile: RFC9068, SubjectClaim: in.SubjectClaim.Value, Scopes: in.Scopes.Value,
		CAFile: in.CAFile.Value, TokenFile: in.TokenFile.Value,
	}
	if !validURL(in.Issuer, "http", "https") {
		wrong("issuer", "must be a URL that starts with https:// or http://, as it is in the tokens")
	}
	if in.Audience == "" {
		wrong("audience", "must be this service's name in tokens (aud)")
	}
	if in.JWKS.Set && !validURL(in.JWKS.Value, "http", "https", "file") {
		wrong("jwks", "must be a URL that starts with https://, http:// or, with an absolute path, file:///")
	}
	if in.TokenFile.Value != "" && !validURL(in.JWKS.Value, "https") {
		wrong("token_file", "needs a jwks that starts with https://, because the token is sent there")
	}
	if in.Profile.Set {
		out.Profile = Profile(in.Profile.Value)
	}
	if out.Profile != RFC9068 && out.Profile != Kubernetes && out.Profile != JWT {
		wrong("profile", "must be rfc9068, jwt or kubernetes")
	}
	if in.AudienceClaim.Set && (out.AudienceClaim != ClientID || out.Profile != JWT) {
		wrong("audience_claim", "must be client_id, with the profile jwt")
	}
	if in.SubjectClaim.Set && (out.SubjectClaim == "" || out.Profile == Kubernetes) {
		wrong("subject_claim", "must name a claim, with a profile other than kubernetes")
	}
	if slices.Contains(unstable, out.SubjectClaim) {
		wrong("subject_claim", "must name a claim that users can't change, such as oid")
	}
	if in.Scopes.Set && (len(out.Scopes) == 0 || slices.Contains(out.Scopes, "")) {
		wrong("scopes", "must list the scopes that this issuer may grant, or be left out")
	}
	if in.MaxLife.Set {
		var err error
		out.MaxLife, err = time.ParseDuration(in.MaxLife.Value)
		if err != nil || out.MaxLife < minMaxLife {
			wrong("max_life", "must be a duration of at least 1m, such as 1h")
		}
	}
	if out.Profile == Kubernetes && len(in.Grants.Value) == 0 {
		wrong("grants", "must list subjects with their scopes: kubernetes tokens have no scopes")
	}
	if in.Grants.Set && len(in.Grants.Value) == 0 {
		wrong("grants", "must list subjects with their scopes, or be left out")
	}
	if len(in.Grants.Value) > 0 {
		out.Grants = map[string][]string{}
	}
	for i, g := range in.Grants.Value {
		if g.Subject == "" || len(g.Scopes) == 0 || slices.Contains(g.Scopes, "") {
			wrong(fmt.Sprintf("grants[%d]", i), "must have a subject and scopes")
		}
		if slices.ContainsFunc(g.Scopes, func(scope string) bool { return !out.mayGrant(scope) }) {
			wrong(fmt.Sprintf("grants[%d]", i), "must have only scopes that are listed in scopes")
		}
		out.Grants[g.Subject] = append(out.Grants[g.Subject], g.Scopes...)
	}
	return out
}

// mayGrant reports whether the issuer may grant a scope.
func (i Issuer) mayGrant(scope string) bool {
	return i.Scopes == nil || slices.Contains(i.Scopes, scope)
}

// grantsAdminUnasked reports whether the issuer may grant Admin although the
// configuration doesn't name it.
func (i Issuer) grantsAdminUnasked() bool { return i.Scopes == nil && i.Grants == nil }

// inTheOpen reports whether the keys are fetched over plain HTTP from another host, so
// that somebody in between could replace them.
func (i Issuer) inTheOpen() bool {
	from := i.JWKS
	if from == "" {
		from = i.URL
	}
	u, err := url.Parse(from)
	if err != nil || u.Scheme != "http" {
		return false
	}
	address, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !address.IsLoopback())
}

func validURL(raw string, schemes ...string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Fragment != "" {
		return false
	}
	for _, scheme := range schemes {
		if u.Scheme != scheme {
			continue
		}
		if scheme == "file" {
			return u.Host == "" && strings.HasPrefix(u.Path, "/")
		}
		return u.Hostname() != ""
	}
	return false
}
