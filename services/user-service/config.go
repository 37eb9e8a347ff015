package main

import (
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/service"
)

// configuration is everything that user-service can be told, by environment
// variables.
type configuration struct {
	service.Config

	EmailLimit ratelimit.Limit `envconfig:"RATE_LIMIT_EMAIL" default:"5/h" desc:"how many email addresses one caller may try, written like RATE_LIMIT_READ: the answer tells whether another user has one; 0: any number"`
}

func newConfiguration() *configuration {
	return &configuration{Config: service.Config{Port: 8000, DatabaseURL: "sqlite://user-service.db"}}
}
