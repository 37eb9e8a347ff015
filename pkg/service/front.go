package service

import (
	"errors"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/ratelimit"
)

// Front is what stands before every service's operations: who sends a request,
// and how much of that there may be.
type Front struct {
	// API is the part of the API's configuration that is every service's.
	API httpapi.Config
	// Dependencies are what the front needs itself.
	Dependencies []health.Dependency

	verifier *auth.Verifier
	limits   *ratelimit.Policies
}

// NewFront builds the front of a service.
func NewFront(c *Config, rt Runtime) (*Front, error) {
	verifier, err := auth.New(c.IssuerConfig, rt.Log, rt.Metrics)
	if err != nil {
		return nil, err
	}
	limits, err := ratelimit.NewPolicies(c.PolicyConfig, rt.Name, rt.Log, rt.Metrics)
	if err != nil {
		verifier.Close()
		return nil, err
	}
	return &Front{
		API: httpapi.Config{
			BodyTimeout: c.BodyTimeout, RequestTimeout: c.RequestTimeout, Log: rt.Log, Metrics: rt.Metrics,
			Auth: verifier, Limits: limits, Client: c.ClientConfig,
			Admin:    c.AdminPort != 0,
			Overload: overload.New(c.ConcurrencyLimit, rt.Metrics), Memory: overload.NewMemory(c.MemoryConfig, rt.Metrics),
		},
		Dependencies: append(verifier.Dependencies(), limits.Dependencies()...),
		verifier:     verifier, limits: limits,
	}, nil
}

// Close releases what the front holds.
func (f *Front) Close() error {
	f.verifier.Close()
	return f.limits.Close()
}

// Validate checks what concerns more than the form of a value.
func (c *Config) Validate() error {
	var admin error
	switch {
	case c.AdminPort != 0 && c.AdminPort == c.Port:
		admin = errors.New("ADMIN_PORT must be another port than PORT")
	case c.AdminPort == 0 && c.Profiles:
		admin = errors.New("PPROF needs ADMIN_PORT: profiles are for operators only")
	}
	return errors.Join(admin, c.IssuerConfig.Validate(), c.PolicyConfig.Validate(), c.ClientConfig.Validate(), c.TraceConfig.Validate())
}
