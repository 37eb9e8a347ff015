package service

import (
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/telemetry"
)

// Config is the configuration that all services share. A service embeds it in its own
// struct.
type Config struct {
	Host string `envconfig:"HOST" desc:"address to listen on; empty is all of them"`
	Port int    `envconfig:"PORT" min:"0" max:"65535" desc:"port to listen on; 0 is any free one"`

	AdminPort      int  `envconfig:"ADMIN_PORT" default:"0" min:"0" max:"65535" desc:"port for operators, with /metrics and the probes; 0: none, and /metrics is on PORT"`
	Profiles       bool `envconfig:"PPROF" default:"false" desc:"serve Go's profiles at /debug/pprof/ on ADMIN_PORT"`
	MaxConnections int  `envconfig:"MAX_CONNECTIONS" default:"2000" min:"1" max:"1000000" desc:"maximum number of connections; above it, the one that has waited longest for a request is closed"`

	HeaderTimeout  time.Duration `envconfig:"HEADER_TIMEOUT" default:"5s" min:"1ms" desc:"how long a client may take to send the headers"`
	BodyTimeout    time.Duration `envconfig:"BODY_TIMEOUT" default:"15s" min:"1ms" desc:"how long a client may take to send the body"`
	IdleTimeout    time.Duration `envconfig:"IDLE_TIMEOUT" default:"60s" min:"1ms" desc:"how long a connection may wait for its next request"`
	WriteTimeout   time.Duration `envconfig:"WRITE_TIMEOUT" default:"20s" min:"1ms" desc:"how long writing a response may make no progress; a client that reads slowly but steadily is not cut off"`
	RequestTimeout time.Duration `envconfig:"REQUEST_TIMEOUT" default:"10s" min:"1ms" desc:"how long answering a request may take"`

	StartTimeout  time.Duration `envconfig:"START_TIMEOUT" default:"30s" min:"0s" desc:"how long to wait for the database at the start"`
	ShutdownDelay time.Duration `envconfig:"SHUTDOWN_DELAY" default:"0s" min:"0s" desc:"how long to keep serving after SIGTERM, while not ready"`
	DrainTimeout  time.Duration `envconfig:"DRAIN_TIMEOUT" default:"20s" min:"0s" desc:"how long to wait for requests in flight before they are cut off"`

	DatabaseURL string `envconfig:"DATABASE_URL" empty:"refused" desc:"the database: postgres://… or sqlite://path"`
	database.Login
	JoinStatements bool          `envconfig:"DATABASE_JOIN" default:"true" desc:"on PostgreSQL: let concurrent reads of single rows share a statement, and concurrent writes a transaction"`
	MigrateOnStart bool          `envconfig:"MIGRATE_ON_START" default:"true" desc:"apply pending migrations at the start; otherwise run the migrate subcommand"`
	IdempotencyTTL time.Duration `envconfig:"IDEMPOTENCY_TTL" default:"24h" min:"1m" desc:"how long the response to a request with an Idempotency-Key is kept"`

	auth.IssuerConfig
	ratelimit.PolicyConfig
	httpapi.ClientConfig
	overload.ConcurrencyConfig
	overload.MemoryConfig
	telemetry.LogConfig
	telemetry.TraceConfig
}

// Common returns c, for a struct that embeds it.
func (c *Config) Common() *Config { return c }

// LogValue implements slog.LogValuer. It has what is logged at the start.
func (c *Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("database", database.Place(c.DatabaseURL)))
}

// Warnings returns the risky settings, to be logged.
func (c *Config) Warnings() []string { return c.Login.Warnings(c.DatabaseURL) }

// Validate checks the settings that depend on each other.
func (c *Config) Validate() error {
	var admin error
	switch {
	case c.AdminPort != 0 && c.AdminPort == c.Port:
		admin = errors.New("ADMIN_PORT must be another port than PORT")
	case c.AdminPort == 0 && c.Profiles:
		admin = errors.New("PPROF needs ADMIN_PORT: profiles are for operators only")
	}
	return errors.Join(admin, c.Login.Check(c.DatabaseURL), c.IssuerConfig.Validate(), c.PolicyConfig.Validate(), c.ClientConfig.Validate(), c.TraceConfig.Validate())
}

// OnPostgres reports whether DATABASE_URL is for PostgreSQL. Otherwise it is for SQLite.
func (c *Config) OnPostgres() bool {
	kind, _ := database.KindOf(c.DatabaseURL)
	return kind == database.Postgres
}

// SQLitePath returns the path of the SQLite file.
func (c *Config) SQLitePath() string { return database.SQLitePath(c.DatabaseURL) }

func (c *Config) address() string { return net.JoinHostPort(c.host(), strconv.Itoa(c.Port)) }

func (c *Config) adminAddress() string { return net.JoinHostPort(c.host(), strconv.Itoa(c.AdminPort)) }

// host returns Host without the brackets of an IPv6 address.
func (c *Config) host() string {
	inner, opened := strings.CutPrefix(c.Host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if opened && closed {
		return inner
	}
	return c.Host
}

// localAddress returns the address at which the service is reachable from the same host.
func (c *Config) localAddress() string {
	host := c.host()
	ip := net.ParseIP(host)
	if host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Port))
}
