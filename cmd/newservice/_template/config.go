package main

import "github.com/example/microservices/pkg/service"

// configuration is all of widget-service's settings, as environment variables. Add the
// service's own ones as fields after Config.
type configuration struct {
	service.Config
}

func newConfiguration() *configuration {
	return &configuration{Config: service.Config{Port: 65535, DatabaseURL: "sqlite://widget-service.db"}}
}
