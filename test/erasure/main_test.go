// Package erasure shows, on real processes and both databases, that a deleted user is
// erased: whole, once, and from every byte that the services keep.
package erasure

import (
	"testing"

	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

func TestMain(m *testing.M) { postgres.Exit(process.Main(m)) }
