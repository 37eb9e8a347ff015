package health_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/example/microservices/pkg/health"
)

func Example() {
	monitor := health.NewMonitor(slog.New(slog.DiscardHandler), health.Dependency{
		Name: "database", Required: true, Check: func(context.Context) error { return nil },
	})
	fmt.Println(monitor.Report().Status) // not checked yet
	// Output: not_ready
}
