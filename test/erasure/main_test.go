// Package erasure tests, with real processes and both databases, that a deleted user is
// erased: completely, once, and from every byte that the services keep.
package erasure

import (
	"testing"

	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

func TestMain(m *testing.M) { postgres.Exit(process.Main(m)) }
