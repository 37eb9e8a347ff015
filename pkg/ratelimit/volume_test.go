package ratelimit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/ratelimit"
)

func TestVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := ratelimit.NewVolume(ratelimit.Limit{Requests: 100, Period: time.Second, Burst: 50}, 2)
		for range 1000 {
			v.Charge("small", 8<<10)
		}
		require.Zero(t, v.Wait("small"), "small answers don't count")
		v.Charge("ada", 40<<10)
		require.Zero(t, v.Wait("ada"), "the caller is within the burst")
		v.Charge("ada", 50<<10)
		require.InDelta(t, 410*time.Millisecond, v.Wait("ada"), float64(time.Millisecond), "the caller exceeds the burst by 40 KiB")
		v.Charge("ada", 1<<30)
		require.InDelta(t, 910*time.Millisecond, v.Wait("ada"), float64(time.Millisecond), "one answer counts at most as much as the burst")
		require.Zero(t, v.Wait("grace"), "each caller has its own volume")
		time.Sleep(v.Wait("ada"))
		require.Zero(t, v.Wait("ada"))

		v.Charge("ada", 100<<10)
		v.Charge("grace", 100<<10)
		v.Charge("joan", 100<<10)
		require.Zero(t, v.Wait("ada"), "with too many callers, the one that was idle longest is forgotten")
		require.Positive(t, v.Wait("grace"))
	})
	var none *ratelimit.Volume
	none.Charge("ada", 1<<30)
	require.Zero(t, none.Wait("ada"))
}
