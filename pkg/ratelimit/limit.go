// Package ratelimit limits how much one caller may request, by the generic cell rate
// algorithm (GCRA): a rate, spread evenly, and a burst. The count is kept by one process,
// or shared by all replicas in Valkey or Redis.
package ratelimit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limit is a caller's rate and burst. The zero value means unlimited.
type Limit struct {
	// Requests is the sustained number of requests per Period.
	Requests int
	// Period is a second, a minute or an hour.
	Period time.Duration
	// Burst is how many requests may come at once after a pause.
	Burst int
}

var periods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// maxRequests keeps the time between two requests well above a nanosecond.
const maxRequests = 1_000_000

// ParseLimit parses a limit: "100/s", "100/s:500" with a burst, or "0" for unlimited. The
// default burst is the number of requests per period.
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
		return Limit{}, fmt.Errorf("must be requests, period and burst, such as 100/s:500 or 600/m, up to %d; 0: unlimited", maxRequests)
	}
	return l, nil
}

// UnmarshalText calls [ParseLimit].
func (l *Limit) UnmarshalText(text []byte) error {
	parsed, err := ParseLimit(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// String returns the limit in the form that [ParseLimit] parses.
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

// share returns one replica's share of the limit.
func (l Limit) share(replicas int) Limit {
	return Limit{Requests: l.Requests, Period: l.Period * time.Duration(replicas), Burst: max(1, l.Burst/replicas)}
}

// Decision is the result for one request.
type Decision struct {
	Allowed bool
	// Remaining is how many more requests would be allowed now.
	Remaining int
	// Reset is the time until the whole burst is available again.
	Reset time.Duration
	// RetryAfter is the time until a request is allowed; 0 if this one is.
	RetryAfter time.Duration
}
