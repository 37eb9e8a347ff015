package userclient

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Config describes a Client. BaseURL is required; the zero value of every other
// field stands for its default.
type Config struct {
	// BaseURL is where user-service is: http or https, a host, perhaps a port
	// and a path prefix. No user information, query or fragment.
	BaseURL string

	// Timeout bounds one Verify in all: every try and the waits between them.
	// Default 2s.
	Timeout time.Duration
	// TryTimeout bounds one try, from dialling to the answer's last byte, and
	// the probe that Ready makes. At most Timeout. Default 800ms, or Timeout if
	// that is shorter.
	TryTimeout time.Duration
	// MaxTries is the number of tries in one Verify; 1 turns retries off.
	// Default 3. A retry starts only when a whole TryTimeout is left.
	MaxTries int
	// MaxConcurrent is the number of tries under way at once, over all callers.
	// Default 64.
	MaxConcurrent int

	// CacheTTL is how long a user seen counts as existing without asking again,
	// and so how long a deleted user may still get orders. Default 5s; negative
	// turns the cache off.
	CacheTTL time.Duration
	// CacheSize is the number of users remembered. Default 10,000.
	CacheSize int

	// BreakerOpen is how long an open breaker refuses before it lets a probe
	// through. Default 10s.
	BreakerOpen time.Duration
	// BreakerWindow is the time over which the breaker counts. Default 10s.
	BreakerWindow time.Duration
	// BreakerMinimum is the number of tries within the window below which the
	// breaker never trips. Default 10.
	BreakerMinimum int
	// BreakerRatio is the share of failed tries, in (0, 1], that trips the
	// breaker. Default 0.5.
	BreakerRatio float64

	// RetryRatio is the number of retries that one request to user-service
	// earns, in (0, 1]. Default 0.2: one for five.
	RetryRatio float64
	// RetryReserve is the number of retries that can be made before any is
	// earned, and the most that can be saved up. Default 10.
	RetryReserve int

	// Jitter is that of the waits between tries (resilience.Backoff); nil is the usual one.
	Jitter func(time.Duration) time.Duration

	// WrapTransport, when set, is put around the connection pool. It is the one
	// place for what every outgoing request needs: tracing, or a token that
	// proves this service's identity. The result must end when the request's
	// context does, or a hung probe keeps the breaker half-open.
	WrapTransport func(http.RoundTripper) http.RoundTripper
}

// withDefaults fills the zero fields and reports everything that is wrong with
// the others. The errors name fields, never values: a base URL may hold a
// password.
func (c Config) withDefaults() (Config, *url.URL, error) {
	base, err := parseBaseURL(c.BaseURL)
	errs := []error{err}

	c.Timeout = orDefault(c.Timeout, 2*time.Second)
	c.TryTimeout = orDefault(c.TryTimeout, min(800*time.Millisecond, c.Timeout))
	c.MaxTries = orDefault(c.MaxTries, 3)
	c.MaxConcurrent = orDefault(c.MaxConcurrent, 64)
	c.CacheTTL = orDefault(c.CacheTTL, 5*time.Second)
	c.CacheSize = orDefault(c.CacheSize, 10_000)
	c.BreakerOpen = orDefault(c.BreakerOpen, 10*time.Second)
	c.BreakerWindow = orDefault(c.BreakerWindow, 10*time.Second)
	c.BreakerMinimum = orDefault(c.BreakerMinimum, 10)
	c.BreakerRatio = orDefault(c.BreakerRatio, 0.5)
	c.RetryRatio = orDefault(c.RetryRatio, 0.2)
	c.RetryReserve = orDefault(c.RetryReserve, 10)

	for _, f := range []struct {
		name string
		ok   bool
	}{
		{"Timeout", c.Timeout > 0},
		{"TryTimeout", c.TryTimeout > 0},
		{"MaxTries", c.MaxTries > 0},
		{"MaxConcurrent", c.MaxConcurrent > 0},
		{"CacheSize", c.CacheSize > 0},
		{"BreakerOpen", c.BreakerOpen > 0},
		{"BreakerWindow", c.BreakerWindow > 0},
		{"BreakerMinimum", c.BreakerMinimum > 0},
		{"RetryReserve", c.RetryReserve > 0},
	} {
		if !f.ok {
			errs = append(errs, fmt.Errorf("%s must be positive", f.name))
		}
	}
	// Written so that NaN fails too.
	if !(c.BreakerRatio > 0 && c.BreakerRatio <= 1) {
		errs = append(errs, errors.New("BreakerRatio must be above 0 and at most 1"))
	}
	if !(c.RetryRatio > 0 && c.RetryRatio <= 1) {
		errs = append(errs, errors.New("RetryRatio must be above 0 and at most 1"))
	}
	if c.TryTimeout > c.Timeout {
		errs = append(errs, errors.New("TryTimeout must be at most Timeout"))
	}
	return c, base, errors.Join(errs...)
}

func orDefault[T comparable](value, def T) T {
	var zero T
	if value == zero {
		return def
	}
	return value
}

// CheckBaseURL returns an error unless raw is fit to be Config.BaseURL.
func CheckBaseURL(raw string) error {
	_, err := parseBaseURL(raw)
	return err
}

// parseBaseURL accepts an absolute http or https URL (RFC 3986 section 4.3) to
// which a path can be appended.
func parseBaseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("BaseURL is missing")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// Not wrapped: the error of url.Parse quotes its input.
		return nil, errors.New("BaseURL is not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("BaseURL must start with http:// or https://")
	case u.User != nil:
		return nil, errors.New("BaseURL must not hold a user name or password")
	case u.Hostname() == "":
		return nil, errors.New("BaseURL has no host")
	case !validPort(u):
		return nil, errors.New("BaseURL has a port that is not in 1-65535")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("BaseURL must not have a query")
	case u.Fragment != "":
		return nil, errors.New("BaseURL must not have a fragment")
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
