package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/example/microservices/internal/catalog"
)

// passed are the variables of the developer's shell that services get. All others are
// dropped: a DATABASE_URL or an access token exported for something else must not reach a
// service by accident.
var passed = []string{
	// standard variables
	"HOME", "PATH", "TMPDIR", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR",
	// of the Go runtime
	"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK",
	// of the services
	"LOG_FORMAT", "LOG_LEVEL", "READINESS_USER_SERVICE", "IDEMPOTENCY_TTL", "EVENTS_TTL", "EVENTS_CONSUMERS",
	"HEADER_TIMEOUT", "BODY_TIMEOUT", "IDLE_TIMEOUT", "REQUEST_TIMEOUT", "WRITE_TIMEOUT",
	"START_TIMEOUT", "SHUTDOWN_DELAY", "DRAIN_TIMEOUT", "MAX_CONNECTIONS",
	"CONCURRENCY_LIMIT", "REQUEST_MEMORY_MIB", "CORS_ORIGINS", "TRUSTED_PROXIES",
	"AUTH_MAX_TOKEN_LIFE", "DATABASE_JOIN", "MIGRATE_ON_START", "TRACE_PARENT_LIMIT",
}

// passedPrefixes are prefixes of further variables that services get.
var passedPrefixes = []string{"USER_CLIENT_", "OTEL_", "RATE_LIMIT_"}

// own are the settings with a separate variable per service: USER_DATABASE_URL is
// user-service's DATABASE_URL.
var own = []string{
	"DATABASE_URL", "DATABASE_USER", "DATABASE_PASSWORD", "DATABASE_PASSWORD_FILE", "DATABASE_TLS",
	"ADMIN_PORT", "PPROF", "AUTH_ISSUERS", "AUTH_REQUIRED",
}

func isPassed(name string) bool {
	return slices.Contains(passed, name) ||
		slices.ContainsFunc(passedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// ownOf returns the setting in own that a variable sets for the service, or "".
func ownOf(service catalog.Service, name string) string {
	setting, prefixed := strings.CutPrefix(name, service.Prefix()+"_")
	if prefixed && slices.Contains(own, setting) {
		return setting
	}
	return ""
}

// environment returns the variables of a service: the passed ones of environ, and those that
// the runner sets.
func (s settings) environment(service catalog.Service, environ []string) []string {
	// Without this, services write JSON, because their output is a pipe.
	result := []string{"LOG_FORMAT=text", "DATABASE_URL=sqlite://" + s.database(service.Name)}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		setting := ownOf(service, name)
		switch {
		case value == "":
		case isPassed(name):
			result = append(result, variable)
		case setting != "":
			result = append(result, setting+"="+value)
		}
	}
	result = append(result, "HOST="+host, "PORT="+strconv.Itoa(s.ports[service.Name]))
	for variable, needed := range service.Upstreams() {
		result = append(result, variable+"=http://"+s.address(needed))
	}
	return result
}

// dropped returns messages about variables that reach no service: those given to make run,
// and the services' settings in the environment.
func (s settings) dropped(given, environ []string) (lines []string) {
	names := slices.Clone(given)
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if value != "" && slices.Contains(own, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		read := isPassed(name) || name == "DATA_DIR" || name == "AUTH"
		decided := name == "HOST" || name == "PORT"
		var instead []string
		for _, service := range s.services {
			_, upstream := service.Upstreams()[name]
			decided = decided || upstream
			read = read || name == portVariable(service) || ownOf(service, name) != ""
			instead = append(instead, service.Prefix()+"_"+name)
		}
		switch {
		case read:
		case slices.Contains(own, name):
			lines = append(lines, fmt.Sprintf("%s is not passed on: each service has its own, %s", name, strings.Join(instead, ", ")))
		case decided:
			lines = append(lines, name+" is not passed on: make run sets it")
		default:
			lines = append(lines, name+" is not passed on: neither make run nor a service reads it")
		}
	}
	return lines
}

func (s settings) address(service string) string {
	return net.JoinHostPort(host, strconv.Itoa(s.ports[service]))
}
