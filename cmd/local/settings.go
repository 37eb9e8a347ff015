package main

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/example/microservices/internal/catalog"
)

// settings are the settings of make run.
type settings struct {
	// services are all services, each after those that it needs; ports are by name.
	services []catalog.Service
	ports    map[string]int
	// dataDir is an absolute path.
	dataDir string
	// elsewhere are the services whose database is not in dataDir.
	elsewhere map[string]bool
	// auth makes the services require tokens of the development issuer.
	auth bool
}

// settingsFrom reads the settings from variables. Unset or empty ones get their defaults.
// Errors name the variable.
func settingsFrom(services []catalog.Service, getenv func(string) string) (settings, error) {
	s := settings{services: services, ports: map[string]int{}, elsewhere: map[string]bool{}}
	taken := map[int]string{}
	for _, service := range services {
		variable := portVariable(service)
		port, err := portFrom(variable, getenv(variable), service.Port)
		if err != nil {
			return settings{}, err
		}
		other, is := taken[port]
		if is {
			return settings{}, fmt.Errorf("%s and %s are both %d: choose another for one of them", other, variable, port)
		}
		taken[port], s.ports[service.Name] = variable, port
		if getenv(service.Prefix()+"_DATABASE_URL") != "" {
			s.elsewhere[service.Name] = true
		}
	}
	switch getenv("AUTH") {
	case "", "off":
	case "on":
		s.auth = true
	default:
		return settings{}, fmt.Errorf("AUTH must be on or off, not %q", getenv("AUTH"))
	}
	dir := getenv("DATA_DIR")
	if dir == "" {
		dir = "data"
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return settings{}, fmt.Errorf("DATA_DIR: %w", err)
	}
	s.dataDir = absolute
	return s, nil
}

func portVariable(service catalog.Service) string { return service.Prefix() + "_PORT" }

func portFrom(name, value string, otherwise int) (int, error) {
	if value == "" {
		return otherwise, nil
	}
	port, err := strconv.Atoi(value)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("%s must be a port from 1 to 65535, not %q", name, value)
	}
	return port, nil
}
