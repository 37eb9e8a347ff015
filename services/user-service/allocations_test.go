//go:build !race

package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// TestAllocationsOfGet: reading a user makes so many allocations, all that the service does
// taken together. Who makes one more has to say here that it is worth it; who makes fewer
// lowers the bound. (The race detector makes some of its own.)
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
