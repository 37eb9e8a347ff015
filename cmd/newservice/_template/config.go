package main

import "github.com/example/microservices/pkg/service"

// configuration is everything that widget-service can be told, by environment variables.
// A variable of its own is a field beside Config, as in the other services.
type configuration struct {
	service.Config
}

func newConfiguration() *configuration {
	return &configuration{Config: service.Config{Port: 65535, DatabaseURL: "sqlite://widget-service.db"}}
}
