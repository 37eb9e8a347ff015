package userclient

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Config describes a Client. NewConfig has the defaults.
type Config struct {
	// URL is http or https, a host, perhaps a port and a path prefix. No user information,
	// query or fragment.
	URL string `envconfig:"USER_SERVICE_URL" default:"http://localhost:8000" empty:"refused" desc:"where user-service is"`
	// Timeout bounds one Verify in all: every try and the waits between them.
	Timeout time.Duration `envconfig:"USER_CLIENT_TIMEOUT" min:"1ms" desc:"timeout of a user lookup, retries included"`
	// TryTimeout bounds one try, from dialling to the answer's last byte, and the probe
	// that Ready makes.
	TryTimeout time.Duration `envconfig:"USER_CLIENT_TRY_TIMEOUT" min:"1ms" desc:"timeout of one attempt"`
	CacheTTL   time.Duration `envconfig:"USER_CLIENT_CACHE_TTL" min:"0s" desc:"how long a verified user is cached; 0s turns the cache off"`
	// MaxConcurrent is the number of tries under way at once, over all callers.
	MaxConcurrent int           `envconfig:"USER_CLIENT_MAX_CONCURRENT" min:"1" desc:"maximum number of concurrent lookups"`
	TokenFile     string        `envconfig:"USER_CLIENT_TOKEN_FILE" desc:"file with the bearer token for user-service, read for each request; empty: no token is sent"`
	BreakerOpen   time.Duration `envconfig:"USER_CLIENT_BREAKER_OPEN" min:"1ms" desc:"how long the circuit breaker stays open before it tries again"`

	// MaxTries is the number of tries in one Verify; 1 turns retries off. A retry starts
	// only when a whole TryTimeout is left.
	MaxTries int
	// CacheSize is the number of users remembered.
	CacheSize int
	// The breaker trips when BreakerRatio of at least BreakerMinimum tries within
	// BreakerWindow have failed.
	BreakerWindow  time.Duration
	BreakerMinimum int
	BreakerRatio   float64
	// RetryRatio is the number of retries that one request to user-service earns, and
	// RetryReserve the number that can be made before any is earned, and saved up at most.
	RetryRatio   float64
	RetryReserve int

	// Jitter is that of the waits between tries (resilience.Backoff); nil is the usual one.
	Jitter func(time.Duration) time.Duration
	// WrapTransport, when set, is put around the connection pool. The result must end when
	// the request's context does, or a hung probe keeps the breaker half-open.
	WrapTransport func(http.RoundTripper) http.RoundTripper
}

// NewConfig returns the defaults of all but the URL.
func NewConfig() Config {
	return Config{
		Timeout: 2 * time.Second, TryTimeout: 800 * time.Millisecond, MaxTries: 3, MaxConcurrent: 64,
		CacheTTL: 5 * time.Second, CacheSize: 10_000,
		BreakerOpen: 10 * time.Second, BreakerWindow: 10 * time.Second, BreakerMinimum: 10, BreakerRatio: 0.5,
		RetryRatio: 0.2, RetryReserve: 10,
	}
}

// Validate checks what concerns more than the form of a value. Its errors name variables
// and hold no values: a URL may have a password.
func (c *Config) Validate() error {
	var problems []error
	if c.TryTimeout > c.Timeout {
		problems = append(problems, errors.New("USER_CLIENT_TRY_TIMEOUT must be at most USER_CLIENT_TIMEOUT"))
	}
	_, err := parseURL(c.URL)
	if err != nil {
		problems = append(problems, fmt.Errorf("USER_SERVICE_URL %w", err))
	}
	return errors.Join(problems...)
}

// parseURL accepts an absolute http or https URL (RFC 3986 section 4.3) to
// which a path can be appended.
func parseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("is missing")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// Not wrapped: the error of url.Parse quotes its input.
		return nil, errors.New("is not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must start with http:// or https://")
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case !validPort(u):
		return nil, errors.New("has a port that is not in 1-65535")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("must not have a query")
	case u.Fragment != "":
		return nil, errors.New("must not have a fragment")
	}
	return u, nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return true
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}
