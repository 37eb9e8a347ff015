//go:build !race

package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// TestAllocationsOfGet: reading an order of two items makes so many allocations, all that
// the service does taken together. Who makes one more has to say here that it is worth it;
// who makes fewer lowers the bound. (The race detector makes some of its own.)
func TestAllocationsOfGet(t *testing.T) {
	const most = 48 // one of them is who changed the order, which its events say
	handler, path := inProcess(t)
	call := apitest.NewCall(t, handler, http.MethodGet, path)
	made := testing.AllocsPerRun(500, call.Do)
	require.Equal(t, http.StatusOK, call.Status, call.Answer.String())
	require.LessOrEqual(t, made, float64(most), "allocations")
	t.Log(made, "allocations; the bound is", most)
}
