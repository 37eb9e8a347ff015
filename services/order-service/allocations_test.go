//go:build !race

package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// TestAllocationsOfGet limits the allocations of a whole request that reads an order of two
// items. If a change adds one, justify it here; if it removes one, lower the limit. (The race
// detector adds allocations.)
func TestAllocationsOfGet(t *testing.T) {
	const most = 48 // including one for ChangedBy
	handler, path := inProcess(t)
	call := apitest.NewCall(t, handler, http.MethodGet, path)
	made := testing.AllocsPerRun(500, call.Do)
	require.Equal(t, http.StatusOK, call.Status, call.Answer.String())
	require.LessOrEqual(t, made, float64(most), "allocations")
	t.Log(made, "allocations; the bound is", most)
}
