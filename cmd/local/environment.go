package main

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/example/microservices/internal/catalog"
)

// passed are the variables of the developer's shell that the services get to
// see. All others stay out: a DATABASE_URL or an access token exported for
// something else must not end up in a service by accident.
var passed = []string{
	// what programs expect
	"HOME", "PATH", "TMPDIR", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR",
	// the Go runtime's
	"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK",
	// the services'
	"LOG_FORMAT", "LOG_LEVEL", "READINESS_USER_SERVICE", "IDEMPOTENCY_TTL",
	"HEADER_TIMEOUT", "BODY_TIMEOUT", "IDLE_TIMEOUT", "REQUEST_TIMEOUT",
	"START_TIMEOUT", "SHUTDOWN_DELAY", "DRAIN_TIMEOUT",
}

// passedPrefixes are the beginnings of more names that are passed.
var passedPrefixes = []string{"USER_CLIENT_", "OTEL_"}

// environment returns the variables of a service: what is passed of the
// developer's, and what the runner decides.
func (s settings) environment(service catalog.Service, environ []string) []string {
	// Text is for people; a service left to itself sees a pipe and writes JSON.
	result := []string{"LOG_FORMAT=text"}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		isPassed := slices.Contains(passed, name) ||
			slices.ContainsFunc(passedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if isPassed && value != "" {
			result = append(result, variable)
		}
	}
	result = append(result,
		"HOST="+host,
		"PORT="+strconv.Itoa(s.ports[service.Name]),
		"DATABASE_URL=sqlite://"+s.database(service.Name),
	)
	for variable, needed := range service.Upstreams() {
		result = append(result, variable+"=http://"+s.address(needed))
	}
	return result
}

func (s settings) address(service string) string {
	return net.JoinHostPort(host, strconv.Itoa(s.ports[service]))
}
