package userclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jellydator/ttlcache/v3"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/join"
	"github.com/example/microservices/pkg/resilience"
	"github.com/example/microservices/services/order-service/internal/order"
)

// Client looks up users in user-service. It is safe for concurrent use.
type Client struct {
	cfg   Config
	log   *slog.Logger
	users *url.URL // …/api/v1/users
	live  *url.URL // …/health/live

	http      *http.Client
	transport *http.Transport
	feed      *http.Transport // for the event feed

	cache   *ttlcache.Cache[uuid.UUID, struct{}] // nil when turned off
	flight  resilience.Flight[uuid.UUID, outcome]
	joined  *join.Joiner[uuid.UUID, struct{}]
	budget  *resilience.Budget
	backoff resilience.Backoff
	slots   chan struct{} // one element per attempt in flight
	breaker *resilience.Breaker

	metrics *metrics
	denials occasional

	open  context.Context //nolint:containedctx // canceled by close
	close context.CancelFunc
}

// slowRequest is how long a request may take before lookups no longer wait to share the next
// one.
const slowRequest = 10 * time.Millisecond

var _ order.Users = (*Client)(nil)

// New returns a client for the user-service at cfg.URL, which may still be unavailable. It
// registers its metrics with reg; reg and log may be nil. It returns an error if the URL is
// invalid, TokenFile has no token, or the metrics can't be registered. Call Close when done.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Client, error) {
	base, err := parseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("user-service client: the URL %w", err)
	}
	if cfg.TokenFile != "" {
		err = auth.CheckTokenFile(cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("USER_CLIENT_TOKEN_FILE: %w", err)
		}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		cfg:     cfg,
		log:     log.With("dependency", "user-service"),
		users:   base.JoinPath("api", "v1", "users"),
		live:    base.JoinPath("health", "live"),
		budget:  resilience.NewBudget(cfg.RetryRatio, cfg.RetryReserve),
		backoff: resilience.Backoff{Base: 50 * time.Millisecond, Max: 400 * time.Millisecond, Jitter: cfg.Jitter},
		slots:   make(chan struct{}, cfg.MaxConcurrent),
	}
	c.open, c.close = context.WithCancel(context.Background())
	c.joined = join.New(join.Limits{AtOnce: 1, Patience: slowRequest, Within: cfg.TryTimeout},
		c.getOne, c.getSeveral, &failure{outcome: unknown, err: errUnknown})
	c.transport, c.feed = newTransport(cfg), newTransport(cfg)
	c.http = newHTTPClient(cfg, c.transport)
	if cfg.CacheTTL > 0 {
		// Without Start there is no cleanup goroutine: the cache never returns expired
		// entries, and evicts at its capacity. It is read only with Has, which, unlike Get,
		// doesn't extend an entry's life and takes no exclusive lock.
		c.cache = ttlcache.New(
			ttlcache.WithTTL[uuid.UUID, struct{}](cfg.CacheTTL),
			ttlcache.WithCapacity[uuid.UUID, struct{}](uint64(max(cfg.CacheSize, 0))),
		)
	}
	c.metrics = newMetrics(func() resilience.State { return c.breaker.State() })
	c.breaker = resilience.NewBreaker(resilience.BreakerConfig{
		Window:     cfg.BreakerWindow,
		OpenFor:    cfg.BreakerOpen,
		Minimum:    cfg.BreakerMinimum,
		Ratio:      cfg.BreakerRatio,
		IsFailure:  func(err error) bool { return outcomeOf(err).isFailure() },
		IsExcluded: func(err error) bool { return outcomeOf(err) == canceled },
		OnChange:   c.stateChanged,
	})
	if reg != nil {
		err = reg.Register(c.metrics)
		if err != nil {
			return nil, fmt.Errorf("user-service client: metrics: %w", err)
		}
	}
	return c, nil
}

// Verify returns nil if the user exists or did so within the last CacheTTL;
// order.ErrUserUnknown if user-service has no such user; ctx's error if ctx ended first; and
// otherwise *order.UsersUnavailableError, with a RetryAfter in whole seconds. It returns
// within Timeout.
func (c *Client) Verify(ctx context.Context, id uuid.UUID) error {
	o, err := c.verify(ctx, id)
	c.metrics.requests[o].Inc()
	return err
}

func (c *Client) verify(ctx context.Context, id uuid.UUID) (outcome, error) {
	err := ctx.Err()
	if err != nil {
		return canceled, err
	}
	if c.seen(id) {
		c.metrics.cacheHits.Inc()
		trace.SpanFromContext(ctx).AddEvent("user was in the cache")
		return found, nil
	}
	c.metrics.cacheMisses.Inc()

	var asked atomic.Bool
	o, err := c.flight.Do(ctx, id, func(ctx context.Context) (outcome, error) {
		asked.Store(true)
		return c.ask(ctx, id)
	})
	if !asked.Load() {
		trace.SpanFromContext(ctx).AddEvent("another request asked user-service")
	}
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return canceled, ctx.Err()
	case errors.Is(err, resilience.ErrClosed):
		return closed, c.unavailable(&failure{outcome: closed, err: err})
	default:
		return o, err
	}
}

// ask is the call that concurrent callers share. Its ctx belongs to none of them, so the
// total deadline starts here; callers that join later wait for less.
func (c *Client) ask(ctx context.Context, id uuid.UUID) (outcome, error) {
	// Another call may have filled the cache after this caller missed it. Checking again
	// guarantees a single request.
	if c.seen(id) {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()

	err := c.askWithRetry(ctx, id)
	o := outcomeOf(err)
	switch o {
	case found:
		if c.cache != nil {
			c.cache.Set(id, struct{}{}, ttlcache.DefaultTTL)
		}
		return o, nil
	case unknown:
		// Not cached: the user may be created at any moment.
		return o, order.ErrUserUnknown
	case canceled:
		return o, err
	default:
		return o, c.unavailable(err)
	}
}

func (c *Client) seen(id uuid.UUID) bool {
	return c.cache != nil && c.cache.Has(id)
}

// Feed returns the URL of user-service's event feed, and an HTTP client for it.
func (c *Client) Feed() (*url.URL, *http.Client) {
	return c.users.JoinPath("events"), newHTTPClient(c.cfg, c.feed)
}

// Close cancels calls in flight, which then return *order.UsersUnavailableError, and closes
// idle connections. Later, every Verify that misses the cache returns the same error.
func (c *Client) Close() {
	c.flight.Close()
	c.close()
	c.transport.CloseIdleConnections()
	c.feed.CloseIdleConnections()
}

// stateChanged counts and logs a transition of the breaker, which calls it without its lock.
func (c *Client) stateChanged(from, to resilience.State) {
	c.metrics.transitions.WithLabelValues(from.String(), to.String()).Inc()
	level := slog.LevelInfo
	if to == resilience.Open {
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "circuit breaker changed state",
		"from", from.String(), "to", to.String())
}

// outcomeOf maps an attempt's error to its outcome.
func outcomeOf(err error) outcome {
	if err == nil {
		return found
	}
	f, ok := errors.AsType[*failure](err)
	if ok {
		return f.outcome
	}
	if errors.Is(err, resilience.ErrOpen) {
		return breakerOpen
	}
	return network
}
