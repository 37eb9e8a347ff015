package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/example/microservices/pkg/config"
	"github.com/example/microservices/pkg/health"
)

// PolicyConfig configures the rate limits of a service.
type PolicyConfig struct {
	ReadLimit     Limit  `envconfig:"RATE_LIMIT_READ" default:"2000/s:4000" desc:"read requests per caller: requests/period:burst with the period s, m or h, such as 2000/s:4000; 0: unlimited"`
	WriteLimit    Limit  `envconfig:"RATE_LIMIT_WRITE" default:"1000/s:2000" desc:"write requests per caller, in the form of RATE_LIMIT_READ; 0: unlimited"`
	VolumeLimit   Limit  `envconfig:"RATE_LIMIT_KIB" default:"8000/s:4000" desc:"KiB per caller and replica: request bodies, which count four times, and responses; up to 8 KiB are free; 0: unlimited"`
	FailureLimit  Limit  `envconfig:"RATE_LIMIT_BAD_TOKENS" default:"20/s:200" desc:"invalid tokens that one address may send to one busy replica; 0: unlimited"`
	LimitRedisURL string `envconfig:"RATE_LIMIT_REDIS_URL" desc:"Valkey or Redis that shares the rate limits between replicas, such as redis://:password@host:6379; empty: each replica counts alone"`
	LimitReplicas int    `envconfig:"RATE_LIMIT_REPLICAS" default:"1" min:"1" desc:"number of replicas: each enforces its share of the limits while RATE_LIMIT_REDIS_URL is unavailable"`
}

// Validate checks LimitRedisURL. The error contains no part of it.
func (c *PolicyConfig) Validate() error {
	if c.LimitRedisURL == "" {
		return nil
	}
	err := config.CheckURL(c.LimitRedisURL, "redis")
	if err != nil {
		return fmt.Errorf("RATE_LIMIT_REDIS_URL %w", err)
	}
	_, err = redis.ParseURL(c.LimitRedisURL)
	if err != nil {
		return errors.New("RATE_LIMIT_REDIS_URL must be a URL such as redis://:password@host:6379, rediss:// for TLS") // err may contain the password
	}
	return nil
}

// callers is how many callers are remembered in memory, at about 100 bytes each.
const callers = 1 << 16

// Policy is a named limit.
type Policy struct {
	// Header is the value of RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10,
	// section 3).
	Header string

	state   string // prefix of State
	burst   int
	limiter interface {
		Allow(context.Context, string) Decision
	}
	allowed, limited prometheus.Counter
}

// Policies are the limits of a service. The zero value has none.
type Policies struct {
	// Read and Write limit requests that read and that write; nil means unlimited.
	Read, Write *Policy

	volume   *Volume
	failures *Local
	client   *redis.Client
	// shared are the limiters that use client.
	shared []*Shared
	// away: the last check of client failed.
	away      atomic.Bool
	awayGauge prometheus.Gauge
	// For Add.
	service  string
	replicas int
	counts   *prometheus.CounterVec
	changed  func(isAway bool)
}

// NewPolicies returns the limits that c configures. service names them in Redis. Call
// Close when done.
func NewPolicies(c PolicyConfig, service string, log *slog.Logger, metrics prometheus.Registerer) (*Policies, error) {
	counts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rate_limit_requests_total",
		Help: "Requests by policy and result of the caller's rate limit: allowed or limited.",
	}, []string{"policy", "result"})
	away := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rate_limit_store_away",
		Help: "1 while each replica enforces its own share of the rate limits, because the last check of RATE_LIMIT_REDIS_URL failed.",
	})
	metrics.MustRegister(counts, away)
	p := &Policies{awayGauge: away, service: service, replicas: c.LimitReplicas, counts: counts, changed: func(isAway bool) {
		if isAway {
			log.Warn("the shared rate limits are unavailable; each replica enforces its share")
			return
		}
		log.Info("the shared rate limits are available again")
	}}
	if c.LimitRedisURL != "" {
		options, err := redis.ParseURL(c.LimitRedisURL)
		if err != nil {
			return nil, c.Validate()
		}
		// No retries: Allow can fall back to the local share, and has little time.
		options.MaxRetries, options.DialTimeout, options.ContextTimeoutEnabled = -1, askTimeout, true
		p.client = redis.NewClient(options)
	}
	var err error
	if !c.VolumeLimit.Off() {
		p.volume = NewVolume(c.VolumeLimit, callers)
	}
	if !c.FailureLimit.Off() {
		p.failures, err = NewLocal(c.FailureLimit, callers)
	}
	if err == nil {
		p.Read, err = p.Add("read", c.ReadLimit)
	}
	if err == nil {
		p.Write, err = p.Add("write", c.WriteLimit)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Add returns a policy with its own name, or nil if the limit is off.
func (p *Policies) Add(name string, limit Limit) (*Policy, error) {
	if limit.Off() {
		return nil, nil
	}
	policy := &Policy{
		state:   strconv.Quote(name) + ";r=",
		burst:   limit.Burst,
		Header:  fmt.Sprintf("%q;q=%d;w=%d", name, limit.Burst, seconds(limit.refill())),
		allowed: p.counts.WithLabelValues(name, "allowed"), limited: p.counts.WithLabelValues(name, "limited"),
	}
	if p.client == nil {
		local, err := NewLocal(limit, callers)
		policy.limiter = local
		return policy, err
	}
	shared, err := NewShared(p.service+":"+name, limit, p.client, p.replicas, callers, p.changed, &p.away)
	if err != nil {
		return nil, err
	}
	policy.limiter, p.shared = shared, append(p.shared, shared)
	return policy, nil
}

// Allow counts and decides one request of a caller.
func (p *Policy) Allow(ctx context.Context, caller string) Decision {
	d := p.limiter.Allow(ctx, caller)
	if d.Allowed {
		p.allowed.Inc()
	} else {
		p.limited.Inc()
	}
	return d
}

// Light reports whether the caller has sent few requests lately: it has used at most a
// quarter of its burst.
func (p *Policy) Light(d Decision) bool { return p != nil && d.Remaining >= p.burst*3/4 }

// State returns the value of RateLimit (draft-ietf-httpapi-ratelimit-headers-10, section
// 4) for a decision.
func (p *Policy) State(d Decision) string {
	b := append(make([]byte, 0, 32), p.state...)
	b = strconv.AppendInt(b, int64(d.Remaining), 10)
	b = append(b, ";t="...)
	return string(strconv.AppendInt(b, int64(seconds(d.Reset)), 10))
}

// Wait returns how long a caller must wait because it exceeded its volume, or 0.
func (p *Policies) Wait(caller string) time.Duration {
	if p == nil {
		return 0
	}
	return p.volume.Wait(caller)
}

// Charge counts the bytes that one request of a caller sent and received.
func (p *Policies) Charge(caller string, bytes int64) {
	if p != nil {
		p.volume.Charge(caller, bytes)
	}
}

// MayFail reports whether tokens from an address are still verified: it may send one more
// invalid one.
func (p *Policies) MayFail(address string) bool {
	return p == nil || p.failures == nil || p.failures.remaining(address) > 0
}

// Failed counts an invalid token from an address.
func (p *Policies) Failed(address string) {
	if p != nil && p.failures != nil {
		p.failures.Allow(context.Background(), address)
	}
}

// Dependencies returns the shared store for the readiness check, if any. The service
// stays ready without it.
func (p *Policies) Dependencies() []health.Dependency {
	if len(p.shared) == 0 {
		return nil
	}
	return []health.Dependency{{Name: "rate-limits", Check: func(ctx context.Context) error {
		err := p.shared[0].Check(ctx) // the others use the same store
		p.away.Store(err != nil)
		if err != nil {
			p.awayGauge.Set(1)
			return fmt.Errorf("RATE_LIMIT_REDIS_URL: %w", err)
		}
		p.awayGauge.Set(0)
		return nil
	}}}
}

// The client logs to standard error, not to our log. The breaker reports the failure once
// anyway.
func init() { logging.Disable() }

// Close closes the connections.
func (p *Policies) Close() error {
	if p.client == nil {
		return nil
	}
	return p.client.Close()
}

// refill returns the time until an empty burst is full again.
func (l Limit) refill() time.Duration {
	return time.Duration(float64(l.Period) * float64(l.Burst) / float64(l.Requests))
}

// seconds returns d in whole seconds, rounded up, at least 1.
func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
