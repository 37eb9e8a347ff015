package userclient

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Config configures a Client. NewConfig returns the defaults.
type Config struct {
	// URL has scheme http or https, a host, and optionally a port and a path prefix. User
	// information, a query and a fragment are rejected.
	URL string `envconfig:"USER_SERVICE_URL" default:"http://localhost:8000" empty:"refused" desc:"URL of user-service"`
	// Timeout bounds one Verify, including all attempts and waits.
	Timeout time.Duration `envconfig:"USER_CLIENT_TIMEOUT" min:"1ms" desc:"timeout of a user lookup, retries included"`
	// TryTimeout bounds one attempt, from dialling to the last byte of the response, and
	// Ready.
	TryTimeout time.Duration `envconfig:"USER_CLIENT_TRY_TIMEOUT" min:"1ms" desc:"timeout of one attempt"`
	CacheTTL   time.Duration `envconfig:"USER_CLIENT_CACHE_TTL" min:"0s" desc:"how long a verified user is cached; 0s turns the cache off"`
	// MaxConcurrent limits the attempts in flight, over all callers.
	MaxConcurrent int           `envconfig:"USER_CLIENT_MAX_CONCURRENT" min:"1" desc:"maximum number of concurrent lookups"`
	TokenFile     string        `envconfig:"USER_CLIENT_TOKEN_FILE" desc:"file with the bearer token for user-service, read for each request; empty: no token is sent"`
	BreakerOpen   time.Duration `envconfig:"USER_CLIENT_BREAKER_OPEN" min:"1ms" desc:"how long the circuit breaker stays open before it tries again"`

	// MaxTries limits the attempts in one Verify; 1 disables retries. A retry starts only
	// if a whole TryTimeout is left.
	MaxTries int
	// CacheSize is the maximum number of cached users.
	CacheSize int
	// The breaker opens when BreakerRatio of at least BreakerMinimum attempts within
	// BreakerWindow have failed.
	BreakerWindow  time.Duration
	BreakerMinimum int
	BreakerRatio   float64
	// RetryRatio is the number of retries that each request adds to the retry budget, such
	// as 0.2. RetryReserve is the budget's initial and maximum size.
	RetryRatio   float64
	RetryReserve int

	// Jitter randomizes the waits between attempts (resilience.Backoff); nil: the default.
	Jitter func(time.Duration) time.Duration
	// WrapTransport, if set, wraps the connection pool. A request must end with its context,
	// or a hung probe would keep the breaker half-open.
	WrapTransport func(http.RoundTripper) http.RoundTripper
}

// NewConfig returns the defaults of everything except the URL.
func NewConfig() Config {
	return Config{
		Timeout: 2 * time.Second, TryTimeout: 800 * time.Millisecond, MaxTries: 3, MaxConcurrent: 64,
		CacheTTL: 5 * time.Second, CacheSize: 10_000,
		BreakerOpen: 10 * time.Second, BreakerWindow: 10 * time.Second, BreakerMinimum: 10, BreakerRatio: 0.5,
		RetryRatio: 0.2, RetryReserve: 10,
	}
}

// Validate checks the URL and rules between values. Its errors name variables but contain no
// values, because a URL may contain a password.
func (c *Config) Validate() error {
	var problems []error
	if c.TryTimeout > c.Timeout {
		problems = append(problems, errors.New("USER_CLIENT_TRY_TIMEOUT must be at most USER_CLIENT_TIMEOUT"))
	}
	_, err := parseURL(c.URL)
	if err != nil && c.URL != "" { // which is reported already
		problems = append(problems, fmt.Errorf("USER_SERVICE_URL %w", err))
	}
	return errors.Join(problems...)
}

// parseURL parses an absolute http or https URL (RFC 3986 section 4.3) to which a path can
// be appended.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// Not wrapped: the error of url.Parse quotes its input.
		return nil, errors.New("is not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must start with http:// or https://")
	case u.User != nil:
		return nil, errors.New("must not contain a user name or password")
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
