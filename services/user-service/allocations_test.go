//go:build !race

package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// TestAllocationsOfGet limits the allocations of a whole request that reads a user. If a
// change adds one, justify it here; if it removes one, lower the limit. (The race detector
// adds allocations.)
func TestAllocationsOfGet(t *testing.T) {
	handler := inProcess(t, false)
	path := fill(t, handler, 25)
	for name, c := range map[string]struct {
		path string
		most float64
	}{
		"one user":   {path, 36},
		"list of 20": {users, 170},
	} {
		t.Run(name, func(t *testing.T) {
			call := apitest.NewCall(t, handler, http.MethodGet, c.path)
			made := testing.AllocsPerRun(500, call.Do)
			require.Equal(t, http.StatusOK, call.Status, call.Answer.String())
			require.LessOrEqual(t, made, c.most, "allocations")
			t.Log(made, "allocations; the bound is", c.most)
		})
	}
}
