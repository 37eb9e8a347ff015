package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/order-service/internal/userclient"
)

// configuration is everything that order-service can be told, by environment
// variables.
type configuration struct {
	service.Config
	events.Retention

	UserServiceURL       string        `envconfig:"USER_SERVICE_URL" default:"http://localhost:8000" empty:"refused" desc:"where user-service is"`
	ReadinessUserService string        `envconfig:"READINESS_USER_SERVICE" default:"required" oneof:"required,degraded" desc:"readiness while user-service is unavailable: required is not ready, degraded is ready"`
	UserClientTimeout    time.Duration `envconfig:"USER_CLIENT_TIMEOUT" default:"2s" min:"1ms" desc:"timeout of a user lookup, retries included"`
	UserClientTryTimeout time.Duration `envconfig:"USER_CLIENT_TRY_TIMEOUT" default:"800ms" min:"1ms" desc:"timeout of one attempt"`
	UserClientCacheTTL   time.Duration `envconfig:"USER_CLIENT_CACHE_TTL" default:"5s" min:"0s" desc:"how long a verified user is cached; 0s turns the cache off"`
	UserClientConcurrent int           `envconfig:"USER_CLIENT_MAX_CONCURRENT" default:"64" min:"1" desc:"maximum number of concurrent lookups"`
	UserClientTokenFile  string        `envconfig:"USER_CLIENT_TOKEN_FILE" desc:"file with the bearer token for user-service, read for each request; empty: no token is sent"`
	BreakerOpen          time.Duration `envconfig:"USER_CLIENT_BREAKER_OPEN" default:"10s" min:"1ms" desc:"how long the circuit breaker stays open before it tries again"`
}

func newConfiguration() *configuration {
	return &configuration{Config: service.Config{Port: 8001, DatabaseURL: "sqlite://order-service.db"}}
}

// Validate checks what concerns more than the form of a value.
func (c *configuration) Validate() error {
	problems := []error{c.Config.Validate()}
	if c.UserClientTryTimeout > c.UserClientTimeout {
		problems = append(problems, errors.New("USER_CLIENT_TRY_TIMEOUT must be at most USER_CLIENT_TIMEOUT"))
	}
	err := userclient.CheckBaseURL(c.UserServiceURL)
	if err != nil {
		problems = append(problems, fmt.Errorf("USER_SERVICE_URL is wrong: %w", err))
	}
	return errors.Join(problems...)
}

// userClient is what the client of user-service is made with. The error is of a token's
// file without a token.
func (c *configuration) userClient() (userclient.Config, error) {
	client := userclient.Config{
		BaseURL: c.UserServiceURL, Timeout: c.UserClientTimeout, TryTimeout: c.UserClientTryTimeout,
		MaxConcurrent: c.UserClientConcurrent, CacheTTL: c.UserClientCacheTTL, BreakerOpen: c.BreakerOpen,
	}
	if client.CacheTTL == 0 {
		client.CacheTTL = -1 // there 0 is a default
	}
	if c.UserClientTokenFile == "" {
		return client, nil
	}
	err := auth.CheckTokenFile(c.UserClientTokenFile)
	if err != nil {
		return client, fmt.Errorf("USER_CLIENT_TOKEN_FILE: %w", err)
	}
	client.WrapTransport = auth.TokenFile(c.UserClientTokenFile)
	return client, nil
}
