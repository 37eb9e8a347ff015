package service

import (
	"net"
	"strconv"
	"time"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/telemetry"
)

// Config is what every service can be told. A service embeds it in a struct of
// its own.
type Config struct {
	Host string `envconfig:"HOST" desc:"address to listen on; empty is all of them"`
	Port int    `envconfig:"PORT" min:"0" max:"65535" desc:"port to listen on; 0 is any free one"`

	HeaderTimeout  time.Duration `envconfig:"HEADER_TIMEOUT" default:"5s" min:"1ms" desc:"how long a client may take to send the headers"`
	BodyTimeout    time.Duration `envconfig:"BODY_TIMEOUT" default:"15s" min:"1ms" desc:"how long a client may take to send the body"`
	IdleTimeout    time.Duration `envconfig:"IDLE_TIMEOUT" default:"60s" min:"1ms" desc:"how long a connection may wait for its next request"`
	RequestTimeout time.Duration `envconfig:"REQUEST_TIMEOUT" default:"10s" min:"1ms" desc:"how long answering a request may take"`

	StartTimeout  time.Duration `envconfig:"START_TIMEOUT" default:"30s" min:"0s" desc:"how long to wait for the database at the start"`
	ShutdownDelay time.Duration `envconfig:"SHUTDOWN_DELAY" default:"0s" min:"0s" desc:"how long to go on serving, not ready and closing connections, after SIGTERM"`
	DrainTimeout  time.Duration `envconfig:"DRAIN_TIMEOUT" default:"20s" min:"0s" desc:"how long to wait for requests in flight before they are cut off"`

	auth.IssuerConfig
	ratelimit.PolicyConfig
	httpapi.ClientConfig
	overload.ConcurrencyConfig
	telemetry.LogConfig
	telemetry.TraceConfig
}

// Common returns c, for a struct that embeds it.
func (c *Config) Common() *Config { return c }

func (c *Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// localAddress is where this machine reaches the service.
func (c *Config) localAddress() string {
	host := c.Host
	ip := net.ParseIP(host)
	if host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Port))
}
