package dashboards

import (
	"testing"

	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

func TestMain(m *testing.M) { postgres.Exit(process.Main(m)) }
