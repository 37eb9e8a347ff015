package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/jellydator/ttlcache/v3"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/example/microservices/pkg/health"
)

const (
	// maxToken is the maximum size of a token, in bytes.
	maxToken = 8 << 10
	// maxSubject is the maximum size of a subject, in bytes (OpenID Connect Core 1.0,
	// section 2).
	maxSubject = 255
	// maxKeyID is the maximum size of a key id, in bytes.
	maxKeyID = 255
	// leeway is the accepted clock difference of issuers.
	leeway = 60 * time.Second
	// cacheSize is the approximate size of the cache of verified tokens, in bytes: several
	// thousand tokens.
	cacheSize = 8 << 20
	// entrySize is the size of a cache entry without its texts, and scopeSize that of a
	// reference to a scope.
	entrySize, scopeSize = 512, 16
)

// algorithms are the accepted signature algorithms.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256}

// refusedHeaders bring their own keys, or need more than a signature check. Access tokens
// don't need them, and each has been used in attacks.
var refusedHeaders = []string{"jwk", "jku", "x5u", "x5c", "crit", "b64", "cty", "zip", "enc"}

// Verifier authenticates requests. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*trusted
	metrics *metrics
	now     func() time.Time
	cache   *ttlcache.Cache[[sha256.Size]byte, verified]
}

// trusted is an issuer with its keys.
type trusted struct {
	Issuer
	keys   *keySet
	source *source
}

// verified is a cached, verified token.
type verified struct {
	caller  Caller
	issuer  *trusted
	set     *byte // the set of the keys, not the keys: these would keep all else about them in memory
	expires time.Time
	// size is the maximum memory of the entry, in bytes.
	size uint64
}

// Option changes a Verifier, for tests.
type Option func(*Verifier)

// Clock replaces the clock.
func Clock(now func() time.Time) Option { return func(v *Verifier) { v.now = now } }

// Refresh sets the age at which keys are fetched again, and the minimum time between two
// fetches.
func Refresh(age, cooldown time.Duration) Option {
	return func(v *Verifier) {
		for _, t := range v.issuers {
			t.keys.refresh, t.keys.cooldown = age, cooldown
		}
	}
}

// Remember sets the size of the cache of verified tokens, in bytes.
func Remember(size uint64) Option { return func(v *Verifier) { v.cache = newCache(size) } }

// newCache returns an LRU cache of the given size. It isn't started, so it has no
// goroutine.
func newCache(size uint64) *ttlcache.Cache[[sha256.Size]byte, verified] {
	return ttlcache.New(
		ttlcache.WithMaxCost(size, func(item ttlcache.CostItem[[sha256.Size]byte, verified]) uint64 {
			return item.Value.size
		}),
		ttlcache.WithDisableTouchOnHit[[sha256.Size]byte, verified](),
	)
}

// New returns a Verifier with the configured issuers. Without issuers it is Open(). It
// doesn't fetch the issuers' keys: see Check. Call Close when done.
func New(c IssuerConfig, log *slog.Logger, registerer prometheus.Registerer, options ...Option) (*Verifier, error) {
	issuers, err := c.parse()
	if err != nil {
		return nil, err
	}
	if len(issuers) == 0 {
		return Open(), nil
	}
	v := &Verifier{
		issuers: map[string]*trusted{},
		metrics: newMetrics(registerer),
		now:     time.Now,
		cache:   newCache(cacheSize),
	}
	for _, issuer := range issuers {
		if issuer.inTheOpen() {
			log.Warn("the keys of an issuer are fetched over http: an attacker on the network can replace them; use https", slog.String("issuer", issuer.URL))
		}
		if issuer.grantsAdminUnasked() {
			log.Warn("an issuer may grant admin, which permits everything: list the scopes that it may grant in its scopes (AUTH_ISSUERS)", slog.String("issuer", issuer.URL))
		}
		s, err := newSource(issuer)
		if err != nil {
			v.Close()
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		v.issuers[issuer.URL] = &trusted{Issuer: issuer, source: s, keys: &keySet{
			fetch: s.fetch, fetched: v.metrics.fetched(issuer.URL), log: log.With(slog.String("issuer", issuer.URL)),
			now: func() time.Time { return v.now() }, refresh: defaultRefresh, cooldown: defaultCooldown,
			ctx: ctx, cancel: cancel,
		}}
	}
	for _, option := range options {
		option(v)
	}
	return v, nil
}

// Open returns a Verifier that requires no token: every caller is Anyone.
func Open() *Verifier { return &Verifier{} }

// IsOpen reports whether no token is required.
func (v *Verifier) IsOpen() bool { return v.issuers == nil }

// Check returns an error until there are keys of every issuer. It also refreshes them, so
// call it regularly.
func (v *Verifier) Check(ctx context.Context) error {
	var g errgroup.Group
	for _, t := range v.issuers {
		g.Go(func() error { return t.keys.check(ctx) })
	}
	return g.Wait()
}

// Dependencies returns the keys for the readiness check. The service isn't ready without
// them.
func (v *Verifier) Dependencies() []health.Dependency {
	if v.IsOpen() {
		return nil
	}
	return []health.Dependency{{Name: "token-keys", Required: true, Check: v.Check}}
}

// Close cancels running fetches.
func (v *Verifier) Close() {
	for _, t := range v.issuers {
		t.keys.close()
		t.source.close()
	}
}

// Authenticate returns the caller for the Authorization headers of a request. The errors
// are *InvalidError and *UnavailableError.
func (v *Verifier) Authenticate(ctx context.Context, authorization []string) (Caller, error) {
	if v.IsOpen() {
		return Anyone(), nil
	}
	caller, err := v.authenticate(ctx, authorization)
	v.metrics.tokens[resultOf(err)].Inc()
	return caller, err
}

// Recall returns the caller if the token was verified before and is still valid. The
// result and the metric are those of Authenticate, without the cost of a signature check.
// It returns false for every other token, and Anyone if none is required. Use it to
// recognise callers before a request is admitted.
func (v *Verifier) Recall(authorization []string) (Caller, bool) {
	if v.IsOpen() {
		return Anyone(), true
	}
	token, err := bearer(authorization)
	if err != nil || len(token) > maxToken {
		return Caller{}, false
	}
	caller, known := v.recall(sha256.Sum256([]byte(token)))
	if known {
		v.metrics.tokens[accepted].Inc()
	}
	return caller, known
}

// Denied counts a caller without the required scope.
func (v *Verifier) Denied() {
	if !v.IsOpen() {
		v.metrics.tokens[lacksScope].Inc()
	}
}

func resultOf(err error) result {
	var wrong *InvalidError
	switch {
	case err == nil:
		return accepted
	case errors.As(err, &wrong):
		return wrong.result
	}
	return notJudged
}

func (v *Verifier) authenticate(ctx context.Context, authorization []string) (Caller, error) {
	token, err := bearer(authorization)
	if err != nil {
		return Caller{}, err
	}
	return v.verify(ctx, token)
}

// MissingToken is the description of the error if a request has no token.
const MissingToken = "this needs a token: send Authorization: Bearer and the token"

// bearer returns the token of a request (RFC 6750, section 2.1). Credentials of another
// scheme count as no token, so the client gets no error code (section 3.1).
func bearer(authorization []string) (string, error) {
	if len(authorization) == 0 {
		return "", &InvalidError{result: missing, Description: MissingToken, Missing: true}
	}
	if len(authorization) > 1 {
		return "", invalid(malformed, "there is more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", &InvalidError{result: malformed, Description: "the Authorization header must be Bearer and a token", Missing: true}
	}
	return strings.TrimLeft(token, " "), nil
}

// recall returns the caller of a cached token by its hash.
func (v *Verifier) recall(hash [sha256.Size]byte) (Caller, bool) {
	known := v.cache.Get(hash)
	if known == nil {
		return Caller{}, false
	}
	seen := known.Value()
	// Tokens are valid only as long as the issuer's keys stay the same.
	if seen.set != seen.issuer.keys.current.Load().set || !v.now().Before(seen.expires) {
		return Caller{}, false
	}
	return seen.caller, true
}

// verify returns the caller of a token.
func (v *Verifier) verify(ctx context.Context, token string) (Caller, error) {
	if len(token) > maxToken {
		return Caller{}, invalid(tooLarge, "the token is too large")
	}
	hash := sha256.Sum256([]byte(token))
	caller, known := v.recall(hash)
	if known {
		return caller, nil
	}
	seen, err := v.judge(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	// The texts of the entry share the token's memory.
	seen.size = uint64(entrySize + len(token) + scopeSize*len(seen.caller.scopes))
	life := seen.expires.Sub(v.now())
	if life > 0 { // not within the leeway
		v.cache.Set(hash, seen, life)
	}
	return seen.caller, nil
}

var errMalformed = invalid(malformed, "the token is malformed")

// judge verifies a token (RFC 9068, section 4).
func (v *Verifier) judge(ctx context.Context, token string) (verified, error) {
	parsed, err := jwt.ParseSigned(token, algorithms)
	var algorithm *jose.ErrUnexpectedSignatureAlgorithm
	if errors.As(err, &algorithm) {
		return verified{}, invalid(badAlgorithm, "the token must be signed with ES256, EdDSA or RS256")
	}
	if err != nil {
		return verified{}, errMalformed
	}
	var unverified struct {
		Issuer string `json:"iss"`
	}
	if parsed.UnsafeClaimsWithoutVerification(&unverified) != nil {
		return verified{}, errMalformed
	}
	issuer := v.issuers[unverified.Issuer]
	if issuer == nil {
		return verified{}, invalid(badIssuer, "the token's issuer is not trusted")
	}
	header := parsed.Headers[0] // a compact JWS has one signature
	err = issuer.checkHeader(token, header)
	if err != nil {
		return verified{}, err
	}
	k, current, err := issuer.keys.find(ctx, header.KeyID)
	if err != nil {
		return verified{}, err
	}
	if header.Algorithm != string(k.algorithm) {
		return verified{}, invalid(badAlgorithm, "the token's algorithm does not match its key")
	}
	var c claims
	into := []any{&c}
	if issuer.SubjectClaim != "" {
		into = append(into, &c.all)
	}
	err = parsed.Claims(k.public, into...)
	if errors.Is(err, jose.ErrCryptoFailure) {
		return verified{}, costly(invalid(badSignature, "the token's signature is wrong"))
	}
	if err != nil {
		return verified{}, costly(errMalformed)
	}
	caller, err := issuer.caller(&c, v.now())
	if err != nil {
		return verified{}, costly(err)
	}
	return verified{caller: caller, issuer: issuer, set: current.set, expires: c.Expiry.Time()}, nil
}

// checkHeader checks the header, which needs no signature check.
func (t *trusted) checkHeader(token string, header jose.Header) error {
	encoded, _, _ := strings.Cut(token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return errMalformed
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(decoded, &all) != nil {
		return errMalformed
	}
	for _, name := range refusedHeaders {
		_, there := all[name]
		if there {
			return invalid(badHeader, "the token's header must not have "+name)
		}
	}
	if header.KeyID == "" || len(header.KeyID) > maxKeyID {
		return invalid(badHeader, "the token's header must name its key (kid)")
	}
	return t.checkType(header.ExtraHeaders[jose.HeaderType])
}

// checkType rejects other JWTs of the issuer (RFC 9068, section 4; RFC 8725, section
// 3.11).
func (t *trusted) checkType(header any) error {
	name, _ := header.(string)
	name = strings.TrimPrefix(strings.ToLower(name), "application/")
	untyped := header == nil || name == "jwt"
	switch {
	case untyped && t.Profile != RFC9068, name == "at+jwt" && t.Profile != Kubernetes:
		return nil
	}
	return invalid(badType, "the token's type (typ) must be that of the issuer's access tokens, such as at+jwt")
}
