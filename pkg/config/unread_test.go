package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/config"
)

func TestMisspeltVariablesAreFound(t *testing.T) {
	var known struct {
		Database string `envconfig:"DATABASE_URL"`
		Write    string `envconfig:"RATE_LIMIT_WRITE"`
		Users    string `envconfig:"USER_SERVICE_URL"`
		Host     string `envconfig:"HOST"`
		Port     int    `envconfig:"PORT"`
		Profiles bool   `envconfig:"PPROF"`
		Level    string `envconfig:"LOG_LEVEL"`
		Queue    int    `envconfig:"OTEL_BSP_MAX_QUEUE_SIZE"`
		Exporter string `envconfig:"OTEL_TRACES_EXPORTER"`
		Memory   int    `envconfig:"REQUEST_MEMORY_MIB"`
		Proxies  string `envconfig:"TRUSTED_PROXIES"`
		Origins  string `envconfig:"CORS_ORIGINS"`
	}
	for variable, like := range map[string]string{
		"DATABSE_URL":       "DATABASE_URL",
		"DATABASE_ULR":      "DATABASE_URL",
		"DATABASEURL":       "DATABASE_URL",
		"DATABASE_URI":      "DATABASE_URL",
		"database_url":      "DATABASE_URL",
		"RATE_LIMIT_WRIET":  "RATE_LIMIT_WRITE",
		"USERS_SERVICE_URL": "USER_SERVICE_URL",
		"LOGLEVEL":          "LOG_LEVEL",
		"PPORF":             "PPROF",
		"TRUSTED_PROXY":     "TRUSTED_PROXIES",
		"CORS_ORIGIN":       "CORS_ORIGINS",

		"CORS_ALLOWED_ORIGINS": "CORS_ORIGINS",
		"DATABASE_URL_FILE":    "DATABASE_URL",
		// Variables that pods, images and shells have.
		"DATABASE_URL": "", "PATH": "", "HOSTNAME": "", "HOME": "", "PWD": "", "TERM": "", "TZ": "", "LANG": "", "USER": "", "PORTS": "", "POST": "",
		"KUBERNETES_SERVICE_HOST": "", "KUBERNETES_PORT_443_TCP_ADDR": "", "KUBERNETES_SERVICE_PORT_HTTPS": "",
		"USER_SERVICE_PORT": "", "USER_SERVICE_SERVICE_HOST": "", "USER_SERVICE_SERVICE_PORT": "", "USER_SERVICE_PORT_80_TCP": "", "ORDER_SERVICE_URL": "",
		"GOMEMLIMIT": "", "GOMAXPROCS": "", "GODEBUG": "", "SSL_CERT_FILE": "", "HTTP_PROXY": "", "NO_PROXY": "", "PGHOST": "", "PGPORT": "",
		"OTEL_BLRP_MAX_QUEUE_SIZE": "", "OTEL_METRICS_EXPORTER": "", "OTEL_LOGS_EXPORTER": "", "OTEL_SERVICE_NAME": "",
		"POD_NAME": "", "POD_IP": "", "NODE_NAME": "", "NAMESPACE": "", "LOG_DIR": "", "REDIS_URL": "", "POSTGRES_URL": "",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, "s3cr3t")
			var got string
			for _, m := range config.FindUnread(&known) {
				if m.Name == variable {
					got = m.Like
				}
			}
			require.Equal(t, like, got)
		})
	}
}

func TestUnsupportedVariablesAreFound(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem")
	require.Contains(t, config.FindUnread(&struct{}{}), config.Unread{Name: "OTEL_EXPORTER_OTLP_CERTIFICATE"})
}
