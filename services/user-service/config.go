package main

import (
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/service"
)

// configuration is everything that user-service can be told, by environment
// variables.
type configuration struct {
	service.Config
	events.Retention

	Consumers  events.ConsumerList `envconfig:"EVENTS_CONSUMERS" default:"order-service" desc:"the services that must follow what happens to users, with commas between them: a deleted user's erasure is complete when each of them is done"`
	EmailLimit ratelimit.Limit     `envconfig:"RATE_LIMIT_EMAIL" default:"5/h" desc:"how many email addresses one caller may try, written like RATE_LIMIT_READ: the answer tells whether another user has one; 0: any number"`
}

func newConfiguration() *configuration {
	return &configuration{Config: service.Config{Port: 8000, DatabaseURL: "sqlite://user-service.db"}}
}
