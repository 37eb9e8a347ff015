package telemetry_test

import (
	"context"
	"fmt"
	"os"

	"github.com/example/microservices/pkg/requestid"
	"github.com/example/microservices/pkg/telemetry"
)

func Example() {
	log := telemetry.NewLogger(os.Stdout, telemetry.LogConfig{Level: "warn", Format: "json"}, "shop", "1.0.0")
	ctx := requestid.With(context.Background(), "019dd1a2")
	log.InfoContext(ctx, "too little to say")
	fmt.Println(telemetry.TraceID(ctx) == "")
	// Output: true
}
