// Package erasure shows, on real processes and both databases, that a deleted user is
// erased: whole, once, and from every byte that the services keep.
package erasure

import (
	"fmt"
	"os"
	"testing"

	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

func TestMain(m *testing.M) {
	code := m.Run()
	err := process.Clean()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	postgres.Exit(code)
}
