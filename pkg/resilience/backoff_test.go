package resilience

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoffStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{
			Base: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "base")),
			Max:  time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "max")),
		}
		retry := rapid.IntRange(0, 100).Draw(t, "retry")
		ceiling := float64(b.Base)
		for range retry {
			ceiling *= 2
		}
		ceiling = min(ceiling, float64(b.Max))
		got := float64(b.Delay(retry))
		if got < float64(int64(ceiling)/2) || got > ceiling {
			t.Fatalf("%v is outside of %v .. %v", b.Delay(retry), ceiling/2, ceiling)
		}
	})
}

func TestAZeroBackoffHasNoDelay(t *testing.T) {
	if got := (Backoff{}).Delay(3); got != 0 {
		t.Fatalf("got %v", got)
	}
}

func TestBackoffVaries(t *testing.T) {
	b := Backoff{Base: time.Hour, Max: time.Hour}
	first := b.Delay(0)
	for range 100 {
		if b.Delay(0) != first {
			return
		}
	}
	t.Fatal("100 delays are all equal")
}
