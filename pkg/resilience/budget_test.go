package resilience

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBudgetKeepsItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		thousandths := rapid.IntRange(0, 1000).Draw(t, "thousandths of a retry per request")
		reserve := rapid.IntRange(0, 5).Draw(t, "reserve")
		b := NewBudget(float64(thousandths)/1000, reserve)
		requests, retries := 0, 0
		t.Repeat(map[string]func(*rapid.T){
			"request": func(*rapid.T) { b.Deposit(); requests++ },
			"retry": func(*rapid.T) {
				if b.Withdraw() {
					retries++
				}
			},
			"": func(t *rapid.T) {
				if retries*1000 > reserve*1000+thousandths*requests {
					t.Fatalf("%d retries for %d requests", retries, requests)
				}
			},
		})
	})
}

func TestBudget(t *testing.T) {
	for _, test := range []struct {
		name     string
		ratio    float64
		reserve  int
		deposits int
		want     int
	}{
		{name: "the reserve can be spent at once", ratio: 0.2, reserve: 3, want: 3},
		{name: "a full budget takes no more", ratio: 0.2, reserve: 3, deposits: 1000, want: 3},
		{name: "no reserve saves nothing", ratio: 1, reserve: 0, deposits: 1000, want: 0},
		{name: "negative values count as 0", ratio: -1, reserve: -1, deposits: 10, want: 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := NewBudget(test.ratio, test.reserve)
			for range test.deposits {
				b.Deposit()
			}
			got := 0
			for b.Withdraw() {
				got++
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestBudgetEarnsOneRetryForFiveRequests(t *testing.T) {
	b := NewBudget(0.2, 1)
	require.True(t, b.Withdraw())
	for range 4 {
		b.Deposit()
		require.False(t, b.Withdraw())
	}
	b.Deposit()
	require.True(t, b.Withdraw())
	require.False(t, b.Withdraw())
}
