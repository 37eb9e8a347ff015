package main

import (
	"errors"

	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/order-service/internal/userclient"
)

// configuration is all of order-service's settings, as environment variables.
type configuration struct {
	service.Config
	events.Retention

	UserClient
	ReadinessUserService string `envconfig:"READINESS_USER_SERVICE" default:"required" oneof:"required,degraded" desc:"readiness while user-service is unavailable: required is not ready, degraded is ready"`
}

// UserClient is an alias that names the embedded field.
type UserClient = userclient.Config

func newConfiguration() *configuration {
	return &configuration{Config: service.Config{Port: 8001, DatabaseURL: "sqlite://order-service.db"}, UserClient: userclient.NewConfig()}
}

// Validate checks rules that involve more than one value's syntax.
func (c *configuration) Validate() error {
	return errors.Join(c.Config.Validate(), c.UserClient.Validate())
}
