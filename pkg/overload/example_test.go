package overload_test

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/overload"
)

func Example() {
	gates := overload.New(overload.Limits{Min: 1, Max: 1}, prometheus.NewRegistry())
	slot, ok := gates.Enter(context.Background(), true, false)
	fmt.Println(ok)
	slot.Done()
	// Output: true
}
