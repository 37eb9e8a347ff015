package resilience

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass lets d go by on the synthetic clock of a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }
