//go:build e2e && !linux

package compose

import "errors"

const insideVariable = "COMPOSE_TEST_INSIDE"

func outside(string) (int, error) {
	return 1, errors.New("Docker does not respond: start it, then try again")
}

func inside(func() int) (int, error) { return 1, errors.New("this system has no namespaces") }
