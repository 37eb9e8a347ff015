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
	// maxToken is the size of the largest token that is looked at, in bytes.
	maxToken = 8 << 10
	// maxSubject is the size of the largest subject (OpenID Connect Core 1.0,
	// section 2), in bytes.
	maxSubject = 255
	// maxKeyID is the size of the largest key id, in bytes.
	maxKeyID = 255
	// leeway is how far the clocks of issuers may be off.
	leeway = 60 * time.Second
	// cacheSize is how much of verified tokens is remembered, in bytes, about:
	// several thousand.
	cacheSize = 8 << 20
	// entrySize is what one takes besides its texts, and scopeSize what refers to
	// the text of a scope.
	entrySize, scopeSize = 512, 16
)

// algorithms are all that a token may be signed with.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256}

// refusedHeaders bring keys along or want more than a signature checked. None is
// of use in an access token, and each has been an attack.
var refusedHeaders = []string{"jwk", "jku", "x5u", "x5c", "crit", "b64", "cty", "zip", "enc"}

// Verifier tells who sends a request.
type Verifier struct {
	issuers map[string]*trusted
	metrics *metrics
	now     func() time.Time
	cache   *ttlcache.Cache[[sha256.Size]byte, verified]
}

// trusted is an issuer, and its keys.
type trusted struct {
	Issuer
	keys   *keySet
	source *source
}

// verified is a token that was verified.
type verified struct {
	caller  Caller
	issuer  *trusted
	set     *byte // of keys, which would keep all else that is known of them
	expires time.Time
	// size is how much is remembered with it, in bytes, at most.
	size uint64
}

// Option changes a Verifier, for tests.
type Option func(*Verifier)

// Clock makes now the time.
func Clock(now func() time.Time) Option { return func(v *Verifier) { v.now = now } }

// Refresh sets how old keys get before they are fetched again, and the least
// time between two fetches.
func Refresh(age, cooldown time.Duration) Option {
	return func(v *Verifier) {
		for _, t := range v.issuers {
			t.keys.refresh, t.keys.cooldown = age, cooldown
		}
	}
}

// Remember sets how much of verified tokens is remembered, in bytes.
func Remember(size uint64) Option { return func(v *Verifier) { v.cache = newCache(size) } }

// newCache returns a cache that isn't started, so it has no goroutine: what was
// looked at longest ago makes room when the size is reached.
func newCache(size uint64) *ttlcache.Cache[[sha256.Size]byte, verified] {
	return ttlcache.New(
		ttlcache.WithMaxCost(size, func(item ttlcache.CostItem[[sha256.Size]byte, verified]) uint64 {
			return item.Value.size
		}),
		ttlcache.WithDisableTouchOnHit[[sha256.Size]byte, verified](),
	)
}

// New returns what a configuration asks for. Without issuers that is a Verifier
// to which everybody is Anyone. The issuers' keys are fetched later: see Check.
// Call Close when done.
func New(c IssuerConfig, log *slog.Logger, registerer prometheus.Registerer, options ...Option) (*Verifier, error) {
	issuers, err := c.parse()
	if err != nil {
		return nil, err
	}
	if len(issuers) == 0 {
		log.Warn("open: whoever reaches this service may do everything; AUTH_ISSUERS says whose tokens to ask for")
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
			log.Warn("the keys of an issuer come over http: whoever is on the way can put in others; https would keep them out", slog.String("issuer", issuer.URL))
		}
		if issuer.grantsAdminUnasked() {
			log.Warn("an issuer may grant admin, which is every right: list what it may grant in its scopes (AUTH_ISSUERS)", slog.String("issuer", issuer.URL))
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

// Open returns a Verifier to which everybody is Anyone.
func Open() *Verifier { return &Verifier{} }

// IsOpen reports whether no token is needed.
func (v *Verifier) IsOpen() bool { return v.issuers == nil }

// Check returns an error until there are keys of every issuer. It also keeps
// them fresh, so it is to be called again and again.
func (v *Verifier) Check(ctx context.Context) error {
	var g errgroup.Group
	for _, t := range v.issuers {
		g.Go(func() error { return t.keys.check(ctx) })
	}
	return g.Wait()
}

// Dependencies returns what the service can't do without, for its readiness.
func (v *Verifier) Dependencies() []health.Dependency {
	if v.IsOpen() {
		return nil
	}
	return []health.Dependency{{Name: "token-keys", Required: true, Check: v.Check}}
}

// Close ends what is under way.
func (v *Verifier) Close() {
	for _, t := range v.issuers {
		t.keys.close()
		t.source.close()
	}
}

// Authenticate returns who sends a request with these Authorization headers. The
// errors are *InvalidError and *UnavailableError.
func (v *Verifier) Authenticate(ctx context.Context, authorization []string) (Caller, error) {
	if v.IsOpen() {
		return Anyone(), nil
	}
	caller, err := v.authenticate(ctx, authorization)
	v.metrics.tokens[resultOf(err)].Inc()
	return caller, err
}

// Recall returns the caller of a request with these Authorization headers if its
// token was verified before and is good still: what Authenticate would return, and
// counted as that is, without the work of a public key. It returns false for every
// other token, and Anyone where none is needed. It is for telling a caller from a
// stranger before a request has been let in.
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

// Denied counts a caller who lacks a scope.
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

// bearer returns the token of a request (RFC 6750, section 2.1). A request with
// credentials of another kind has none, and is told of no error (section 3.1).
func bearer(authorization []string) (string, error) {
	if len(authorization) == 0 {
		return "", &InvalidError{result: missing, Description: "this needs a token: send Authorization: Bearer and the token", Missing: true}
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

// recall returns the caller of a token that was verified, by the token's hash.
func (v *Verifier) recall(hash [sha256.Size]byte) (Caller, bool) {
	known := v.cache.Get(hash)
	if known == nil {
		return Caller{}, false
	}
	seen := known.Value()
	// Keys that are gone take their tokens with them.
	if seen.set != seen.issuer.keys.current.Load().set || !v.now().Before(seen.expires) {
		return Caller{}, false
	}
	return seen.caller, true
}

// verify returns whom a token is of.
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
	// Its texts are parts of the token's.
	seen.size = uint64(entrySize + len(token) + scopeSize*len(seen.caller.scopes))
	life := seen.expires.Sub(v.now())
	if life > 0 { // not within the leeway
		v.cache.Set(hash, seen, life)
	}
	return seen.caller, nil
}

var errMalformed = invalid(malformed, "the token is malformed")

// judge verifies a token, by RFC 9068, section 4.
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
		return verified{}, invalid(badAlgorithm, "the token is signed with another algorithm than its key is for")
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

// checkHeader judges what isn't signed for the sake of a claim.
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

// checkType keeps other JWTs of the issuer from passing for access tokens (RFC
// 9068, section 4; RFC 8725, section 3.11).
func (t *trusted) checkType(header any) error {
	name, _ := header.(string)
	name = strings.TrimPrefix(strings.ToLower(name), "application/")
	untyped := header == nil || name == "jwt"
	switch {
	case untyped && t.Profile != RFC9068, name == "at+jwt" && t.Profile != Kubernetes:
		return nil
	}
	return invalid(badType, "the token's type (typ) must be that of an access token: at+jwt")
}
