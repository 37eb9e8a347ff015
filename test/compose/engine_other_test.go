//go:build e2e && !linux

package compose

import "errors"

const insideVariable = "COMPOSE_TEST_INSIDE"

func outside(string) (int, error) {
	return 1, errors.New("no Docker answers: start it, then try again")
}

func inside(func() int) (int, error) { return 1, errors.New("there are no namespaces on this system") }
