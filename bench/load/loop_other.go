//go:build !linux

package load

import (
	"context"
	"errors"
	"time"
)

// run needs epoll, and the measurements need /proc.
func run(context.Context, Plan) (Result, error) {
	return Result{}, errors.New("measuring needs Linux")
}

func runOpen(context.Context, OpenPlan, []time.Duration) (OpenResult, error) {
	return OpenResult{}, errors.New("measuring needs Linux")
}
