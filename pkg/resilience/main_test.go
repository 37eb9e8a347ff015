package resilience

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass advances the clock of a synctest bubble by d.
func pass(d time.Duration) { <-time.After(d) }
