package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/order-service/internal/userclient"
)

// configuration is everything that order-service can be told, by environment
// variables.
type configuration struct {
	service.Config

	DatabaseURL string `envconfig:"DATABASE_URL" default:"sqlite://order-service.db" empty:"refused" desc:"where orders are kept: postgres://… or sqlite://path"`
	database.Login

	MigrateOnStart bool          `envconfig:"MIGRATE_ON_START" default:"true" desc:"bring the database's schema up to date at the start; else run the migrate subcommand"`
	IdempotencyTTL time.Duration `envconfig:"IDEMPOTENCY_TTL" default:"24h" min:"1m" desc:"how long the answer under an Idempotency-Key is kept"`

	UserServiceURL       string        `envconfig:"USER_SERVICE_URL" default:"http://localhost:8000" empty:"refused" desc:"where user-service is"`
	ReadinessUserService string        `envconfig:"READINESS_USER_SERVICE" default:"required" oneof:"required,degraded" desc:"what the service is while user-service is away: not ready, or degraded"`
	UserClientTimeout    time.Duration `envconfig:"USER_CLIENT_TIMEOUT" default:"2s" min:"1ms" desc:"how long looking a user up may take in all"`
	UserClientTryTimeout time.Duration `envconfig:"USER_CLIENT_TRY_TIMEOUT" default:"800ms" min:"1ms" desc:"how long one try of it may take"`
	UserClientCacheTTL   time.Duration `envconfig:"USER_CLIENT_CACHE_TTL" default:"5s" min:"0s" desc:"how long a user who was seen counts as existing; 0s: not at all"`
	UserClientConcurrent int           `envconfig:"USER_CLIENT_MAX_CONCURRENT" default:"64" min:"1" desc:"how many lookups may be under way at once"`
	UserClientTokenFile  string        `envconfig:"USER_CLIENT_TOKEN_FILE" desc:"the file of the token that user-service knows this service by, read anew for each lookup; empty: none is sent"`
	BreakerOpen          time.Duration `envconfig:"USER_CLIENT_BREAKER_OPEN" default:"10s" min:"1ms" desc:"how long the circuit breaker stays open before it tries again"`
}

// LogValue is part of slog.LogValuer: what the log says of it at the start.
func (c *configuration) LogValue() slog.Value {
	return slog.GroupValue(slog.String("database", database.Place(c.DatabaseURL)))
}

// Warnings are what the log says of it besides.
func (c *configuration) Warnings() []string { return c.Login.Warnings(c.DatabaseURL) }

// Validate checks what concerns more than the form of a value.
func (c *configuration) Validate() error {
	problems := []error{c.Config.Validate(), c.Login.Check(c.DatabaseURL)}
	if c.UserClientTryTimeout > c.UserClientTimeout {
		problems = append(problems, errors.New("USER_CLIENT_TRY_TIMEOUT must be at most USER_CLIENT_TIMEOUT"))
	}
	err := userclient.CheckBaseURL(c.UserServiceURL)
	if err != nil {
		problems = append(problems, fmt.Errorf("USER_SERVICE_URL is wrong: %w", err))
	}
	return errors.Join(problems...)
}

// cacheTTL is the setting as userclient has it: there 0 is a default.
func (c *configuration) cacheTTL() time.Duration {
	if c.UserClientCacheTTL == 0 {
		return -1
	}
	return c.UserClientCacheTTL
}

// identity returns what puts this service's own token into the requests to
// user-service, or nil when it has none. The error is of a file without a token.
func (c *configuration) identity() (func(http.RoundTripper) http.RoundTripper, error) {
	if c.UserClientTokenFile == "" {
		return nil, nil
	}
	err := auth.CheckTokenFile(c.UserClientTokenFile)
	if err != nil {
		return nil, fmt.Errorf("USER_CLIENT_TOKEN_FILE: %w", err)
	}
	return auth.TokenFile(c.UserClientTokenFile), nil
}
