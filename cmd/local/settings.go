package main

import (
	"fmt"
	"path/filepath"
	"strconv"
)

// settings are what whoever runs the services may choose.
type settings struct {
	userPort, orderPort int
	// dataDir is an absolute path.
	dataDir string
	// auth says that the services want tokens, of the development issuer.
	auth bool
}

// settingsFrom reads the settings from variables; unset or empty ones have
// their defaults. An error names the variable.
func settingsFrom(getenv func(string) string) (settings, error) {
	var s settings
	var err error
	s.userPort, err = portFrom("USER_PORT", getenv("USER_PORT"), 8000)
	if err != nil {
		return settings{}, err
	}
	s.orderPort, err = portFrom("ORDER_PORT", getenv("ORDER_PORT"), 8001)
	if err != nil {
		return settings{}, err
	}
	if s.userPort == s.orderPort {
		return settings{}, fmt.Errorf("USER_PORT and ORDER_PORT are both %d: choose another for one of them", s.userPort)
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
	s.dataDir, err = filepath.Abs(dir)
	if err != nil {
		return settings{}, fmt.Errorf("DATA_DIR: %w", err)
	}
	return s, nil
}

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
