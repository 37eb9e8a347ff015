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
	"github.com/example/microservices/pkg/resilience"
	"github.com/example/microservices/services/order-service/internal/order"
)

// Client asks user-service about users. It is safe for concurrent use.
type Client struct {
	cfg   Config
	log   *slog.Logger
	users *url.URL // …/api/v1/users
	live  *url.URL // …/health/live

	http      *http.Client
	transport *http.Transport
	feed      *http.Transport // of whoever follows user-service's events

	cache   *ttlcache.Cache[uuid.UUID, struct{}] // nil when turned off
	flight  resilience.Flight[uuid.UUID, outcome]
	budget  *resilience.Budget
	backoff resilience.Backoff
	slots   chan struct{} // one element per try under way
	breaker *resilience.Breaker

	metrics *metrics
	denials occasional
}

var _ order.Users = (*Client)(nil)

// New returns a client for the user-service at cfg.URL, which need not be up. Its metrics
// are registered with reg; neither reg nor log is required. The error is of the URL, or of
// a TokenFile without a token. Call Close when done.
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
	c.transport, c.feed = newTransport(cfg), newTransport(cfg)
	c.http = newHTTPClient(cfg, c.transport)
	if cfg.CacheTTL > 0 {
		// Not started, so no goroutine: what has expired is never returned, and
		// makes room when the capacity is reached. It is only ever asked with
		// Has, which, unlike Get, extends no life and takes no exclusive lock.
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

// Verify returns nil when user-service knows the user, or did so within the last
// CacheTTL; order.ErrUserUnknown when it says that there is no such user; ctx's
// error when ctx ended first; and *order.UsersUnavailableError, with a RetryAfter
// in whole seconds, when the question can't be answered now. It returns within
// Timeout.
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

// ask is the call that callers share. Its ctx is nobody's own, so the total
// deadline starts here; whoever joins later waits for less than that.
func (c *Client) ask(ctx context.Context, id uuid.UUID) (outcome, error) {
	// A caller that missed the cache may get here just after the call that
	// filled it has ended. Looking again makes it one request, always.
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
		// Never remembered: the user may be created in the next instant.
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

// Feed returns where user-service tells what happens to users, and what asks it.
func (c *Client) Feed() (*url.URL, *http.Client) {
	return c.users.JoinPath("events"), newHTTPClient(c.cfg, c.feed)
}

// Close ends the calls under way, which then return *order.UsersUnavailableError,
// and closes the idle connections. Afterwards every Verify that the cache can't
// answer fails like that.
func (c *Client) Close() {
	c.flight.Close()
	c.transport.CloseIdleConnections()
	c.feed.CloseIdleConnections()
}

// stateChanged runs outside the breaker's lock.
func (c *Client) stateChanged(from, to resilience.State) {
	c.metrics.transitions.WithLabelValues(from.String(), to.String()).Inc()
	level := slog.LevelInfo
	if to == resilience.Open {
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "circuit breaker changed state",
		"from", from.String(), "to", to.String())
}

// outcomeOf returns the outcome that a try's error stands for.
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
