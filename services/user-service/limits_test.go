package main

import (
	"testing"
	"time"

	"github.com/example/microservices/pkg/ratelimit"
)

// TestEachOperationIsLimited: one caller may ask for so much and no more, whatever
// for, but for the probes.
func TestEachOperationIsLimited(t *testing.T) {
	once := ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1}
	start(t, databases["sqlite"](t), func(c *configuration) { c.ReadLimit, c.WriteLimit = once, once }).TestLimits(t)
}
