package auth

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

// claims are the claims read from a token (RFC 9068, section 2.2). Some issuers use scp
// instead of scope.
type claims struct {
	jwt.Claims
	Scope    string          `json:"scope"`
	SCP      scopes          `json:"scp"`
	ClientID json.RawMessage `json:"client_id"`

	// These distinguish an issuer's other JWTs from its access tokens. They are kept raw,
	// because other profiles ignore them.
	Nonce    json.RawMessage `json:"nonce"`
	AtHash   json.RawMessage `json:"at_hash"`
	CHash    json.RawMessage `json:"c_hash"`
	Events   json.RawMessage `json:"events"`
	TokenUse json.RawMessage `json:"token_use"`
	Type     json.RawMessage `json:"typ"`

	// all has every claim, for an issuer with a SubjectClaim.
	all map[string]json.RawMessage
}

// scopes is a text of scopes separated by spaces (Microsoft Entra ID), or a list (Okta).
type scopes []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *scopes) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*s = strings.Split(text, " ")
		return nil
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// scopes returns the token's own scopes.
func (c *claims) scopes() []string {
	all := strings.Split(c.Scope, " ") // spaces only (RFC 6749, section 3.3)
	if c.Scope == "" {
		all = c.SCP
	}
	var named []string
	for _, scope := range all {
		if scope != "" {
			named = append(named, scope)
		}
	}
	return named
}

// otherThanAccess reports whether the claims belong to another JWT than an access token:
// an ID token (nonce, at_hash or c_hash; OpenID Connect Core 1.0, sections 2 and
// 3.3.2.11), a logout token (events; OpenID Connect Back-Channel Logout 1.0, section
// 2.4), one marked by Amazon Cognito (token_use) or Keycloak (typ), or one without a
// scope.
func (c *claims) otherThanAccess() bool {
	marked := c.Nonce != nil || c.AtHash != nil || c.CHash != nil || c.Events != nil ||
		c.TokenUse != nil && string(c.TokenUse) != `"access"` || c.Type != nil && string(c.Type) != `"Bearer"`
	return marked || len(c.scopes()) == 0
}

// caller validates the claims of a token whose signature is valid.
func (t *trusted) caller(c *claims, now time.Time) (Caller, error) {
	if t.Profile == JWT && c.otherThanAccess() {
		return Caller{}, invalid(badType, "the token must be an access token with a scope, not another kind of JWT")
	}
	if c.Expiry == nil {
		return Caller{}, invalid(expired, "the token must have an expiry (exp)")
	}
	// An aud claim takes precedence (RFC 7519, section 4.1.3).
	var client string
	if t.AudienceClaim == ClientID && len(c.Audience) == 0 && json.Unmarshal(c.ClientID, &client) == nil {
		c.Audience = jwt.Audience{client}
	}
	err := c.ValidateWithLeeway(jwt.Expected{Issuer: t.URL, AnyAudience: jwt.Audience{t.Audience}, Time: now}, leeway)
	switch {
	case errors.Is(err, jwt.ErrExpired):
		return Caller{}, invalid(expired, "the token has expired")
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return Caller{}, invalid(notYetValid, "the token is not valid yet")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return Caller{}, invalid(badAudience, "the token is for another audience (aud)")
	case err != nil:
		return Caller{}, invalid(badIssuer, "the token's issuer is not trusted")
	}
	from := now
	if c.IssuedAt != nil {
		from = c.IssuedAt.Time()
	}
	if c.Expiry.Time().Sub(from) > t.MaxLife {
		return Caller{}, invalid(tooLong, "the token's lifetime is longer than this service allows (exp)")
	}
	if t.SubjectClaim != "" {
		c.Subject = ""
		_ = json.Unmarshal(c.all[t.SubjectClaim], &c.Subject) // another type leaves it empty
	}
	if c.Subject == "" || len(c.Subject) > maxSubject || !utf8.ValidString(c.Subject) || strings.ContainsFunc(c.Subject, unicode.IsControl) {
		return Caller{}, invalid(badSubject, "the token must have a valid subject")
	}
	granted := c.scopes()
	if t.Grants != nil {
		granted = t.Grants[c.Subject]
	}
	var counted []string
	for _, scope := range granted {
		if t.mayGrant(scope) {
			counted = append(counted, scope)
		}
	}
	return newCaller(t.URL, c.Subject, slices.Clone(counted)), nil // without unused capacity, because it is cached
}
