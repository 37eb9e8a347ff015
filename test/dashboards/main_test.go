package dashboards

import (
	"fmt"
	"os"
	"testing"

	"github.com/example/microservices/test/postgres"
	"github.com/example/microservices/test/process"
)

func TestMain(m *testing.M) {
	code := m.Run()
	err := process.Clean()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	postgres.Exit(code)
}
