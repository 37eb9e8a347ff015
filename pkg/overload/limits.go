// Package overload keeps a service fast when more is asked of it than it can
// carry: it bounds how many requests are under way, and refuses the rest at once.
// The bound follows from how long requests take.
package overload

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits are what the bound moves between. The zero value is no bound.
type Limits struct{ Min, Max int }

// maxConcurrency is the largest bound that can be asked for.
const maxConcurrency = 100_000

// UnmarshalText reads "20:500", or "0" for no bound. Two numbers that are the same
// are a bound that doesn't move.
func (l *Limits) UnmarshalText(text []byte) error {
	if string(text) == "0" {
		*l = Limits{}
		return nil
	}
	low, high, _ := strings.Cut(string(text), ":")
	lowest, lowErr := strconv.Atoi(low)
	highest, highErr := strconv.Atoi(high)
	if lowErr != nil || highErr != nil || lowest < 1 || highest < lowest || highest > maxConcurrency {
		return fmt.Errorf("write the least and the most, such as 20:500, up to %d; 0 is no bound", maxConcurrency)
	}
	*l = Limits{Min: lowest, Max: highest}
	return nil
}

// String is the limits as UnmarshalText reads them.
func (l Limits) String() string {
	if l.Off() {
		return "0"
	}
	return fmt.Sprintf("%d:%d", l.Min, l.Max)
}

// Off reports whether there is no bound.
func (l Limits) Off() bool { return l.Max == 0 }

// ConcurrencyConfig says how many requests may be under way.
type ConcurrencyConfig struct {
	ConcurrencyLimit Limits `envconfig:"CONCURRENCY_LIMIT" default:"20:500" desc:"concurrent reads, and likewise writes: minimum and maximum of the adaptive limit, such as 20:500; 0: unlimited"`
}
