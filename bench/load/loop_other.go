//go:build !linux

package load

import (
	"context"
	"errors"
)

// run needs epoll, and the measurements need /proc.
func run(context.Context, Plan) (Result, error) {
	return Result{}, errors.New("measuring needs Linux")
}

func runOpen(context.Context, OpenPlan) (OpenResult, error) {
	return OpenResult{}, errors.New("measuring needs Linux")
}
