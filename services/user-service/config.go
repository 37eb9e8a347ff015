package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/service"
)

// configuration is everything that user-service can be told, by environment
// variables.
type configuration struct {
	service.Config

	DatabaseURL string `envconfig:"DATABASE_URL" default:"sqlite://user-service.db" empty:"refused" desc:"where users are kept: postgres://… or sqlite://path"`
	database.Login

	MigrateOnStart bool            `envconfig:"MIGRATE_ON_START" default:"true" desc:"bring the database's schema up to date at the start; else run the migrate subcommand"`
	IdempotencyTTL time.Duration   `envconfig:"IDEMPOTENCY_TTL" default:"24h" min:"1m" desc:"how long the answer under an Idempotency-Key is kept"`
	EmailLimit     ratelimit.Limit `envconfig:"RATE_LIMIT_EMAIL" default:"5/h" desc:"how many email addresses one caller may try, written like RATE_LIMIT_READ: the answer tells whether another user has one; 0: any number"`
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
	return errors.Join(problems...)
}
