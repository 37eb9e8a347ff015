package main

import (
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/service"
)

// configuration is all of user-service's settings, as environment variables.
type configuration struct {
	service.Config
	events.Retention

	Consumers  events.ConsumerList `envconfig:"EVENTS_CONSUMERS" default:"order-service" desc:"services that must process the events of users, separated by commas; an erasure is complete when all of them have processed the deletion; name=subject: only a token with this subject may acknowledge in the name"`
	EmailLimit ratelimit.Limit     `envconfig:"RATE_LIMIT_EMAIL" default:"5/h" desc:"email addresses that one caller may try, in the form of RATE_LIMIT_READ: the response reveals whether an address is taken; 0: unlimited"`
}

func newConfiguration() *configuration {
	return &configuration{Config: service.Config{Port: 8000, DatabaseURL: "sqlite://user-service.db"}}
}
