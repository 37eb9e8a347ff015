// Package ratelimit bounds how much one caller may ask for, by the generic cell
// rate algorithm: so many requests in a period, evenly spread, and a burst above
// it. The count is one process's, or that of all replicas, in Valkey or Redis.
package ratelimit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limit is how much one caller may ask for. The zero value is no limit.
type Limit struct {
	// Requests may be made in each Period, for ever.
	Requests int
	// Period is a second, a minute or an hour.
	Period time.Duration
	// Burst is how many may come at once, after a rest.
	Burst int
}

var periods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// maxRequests keeps the time between two requests well above a nanosecond.
const maxRequests = 1_000_000

// ParseLimit reads a limit: "100/s", "100/s:500" with a burst of its own, "0" for
// none. Without one, the burst is what a period allows.
func ParseLimit(text string) (Limit, error) {
	if text == "0" {
		return Limit{}, nil
	}
	rate, burst, hasBurst := strings.Cut(text, ":")
	requests, period, _ := strings.Cut(rate, "/")
	l := Limit{Period: periods[period]}
	var err error
	l.Requests, err = strconv.Atoi(requests)
	l.Burst = l.Requests
	if hasBurst && err == nil {
		l.Burst, err = strconv.Atoi(burst)
	}
	if err != nil || l.Period == 0 || l.Requests < 1 || l.Burst < 1 || l.Requests > maxRequests || l.Burst > maxRequests {
		return Limit{}, fmt.Errorf("write requests, period and burst, such as 100/s:500 or 600/m, up to %d; 0 is no limit", maxRequests)
	}
	return l, nil
}

// UnmarshalText is [ParseLimit].
func (l *Limit) UnmarshalText(text []byte) error {
	parsed, err := ParseLimit(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// String is the limit as [ParseLimit] reads it.
func (l Limit) String() string {
	if l.Off() {
		return "0"
	}
	for name, period := range periods {
		if period == l.Period {
			return fmt.Sprintf("%d/%s:%d", l.Requests, name, l.Burst)
		}
	}
	return fmt.Sprintf("%d/%s:%d", l.Requests, l.Period, l.Burst)
}

// Off reports whether there is no limit.
func (l Limit) Off() bool { return l.Requests == 0 }

// share is what one of so many replicas may let through.
func (l Limit) share(replicas int) Limit {
	return Limit{Requests: l.Requests, Period: l.Period * time.Duration(replicas), Burst: max(1, l.Burst/replicas)}
}

// Decision is what becomes of a request.
type Decision struct {
	Allowed bool
	// Remaining is how many more would be allowed at this moment.
	Remaining int
	// Reset is the time until the whole burst is there again.
	Reset time.Duration
	// RetryAfter is the time until one is allowed; 0 if this one is.
	RetryAfter time.Duration
}
