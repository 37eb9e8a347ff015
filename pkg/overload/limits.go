// Package overload keeps a service fast under overload: it limits how many requests run
// at once and how much memory they use, and rejects the rest at once. The concurrency
// limit adapts to how long requests take.
package overload

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits are the minimum and maximum of the concurrency limit. The zero value means
// unlimited.
type Limits struct{ Min, Max int }

// maxConcurrency is the largest limit that can be configured.
const maxConcurrency = 100_000

// UnmarshalText parses a range such as "20:500"; "0" means unlimited. With equal numbers
// the limit is fixed.
func (l *Limits) UnmarshalText(text []byte) error {
	if string(text) == "0" {
		*l = Limits{}
		return nil
	}
	low, high, _ := strings.Cut(string(text), ":")
	lowest, lowErr := strconv.Atoi(low)
	highest, highErr := strconv.Atoi(high)
	if lowErr != nil || highErr != nil || lowest < 1 || highest < lowest || highest > maxConcurrency {
		return fmt.Errorf("must be minimum:maximum, such as 20:500, up to %d; 0: unlimited", maxConcurrency)
	}
	*l = Limits{Min: lowest, Max: highest}
	return nil
}

// String returns the limits in the form that UnmarshalText parses.
func (l Limits) String() string {
	if l.Off() {
		return "0"
	}
	return fmt.Sprintf("%d:%d", l.Min, l.Max)
}

// Off reports whether there is no limit.
func (l Limits) Off() bool { return l.Max == 0 }

// ConcurrencyConfig configures the concurrency limit.
type ConcurrencyConfig struct {
	ConcurrencyLimit Limits `envconfig:"CONCURRENCY_LIMIT" default:"20:500" desc:"concurrent reads, and likewise writes: minimum and maximum of the adaptive limit, such as 20:500; 0: unlimited"`
}
