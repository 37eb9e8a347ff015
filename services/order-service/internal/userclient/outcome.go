package userclient

import "time"

// outcome is what became of one try, or of one Verify. Its text is the value of
// the metrics' outcome label.
type outcome int

const (
	// The zero value is not found: a forgotten assignment must not vouch for a user.
	canceled outcome = iota // the caller gave up, or nobody waits any more
	found
	unknown         // user-service says that there is no such user
	breakerOpen     // not tried: the breaker refused
	limited         // not tried: too many tries are under way
	timeout         // the try's time was over
	network         // no connection, or one that broke
	serverError     // 5xx
	tooManyRequests // 429
	redirect        // 3xx, never followed
	invalid         // an answer that makes no sense
	denied          // 401 or 403: this service is set up wrongly
	rejected        // any other 4xx
	closed          // the client has been closed
	outcomes        // how many there are
)

var outcomeNames = [outcomes]string{
	found:           "found",
	unknown:         "unknown",
	canceled:        "canceled",
	breakerOpen:     "breaker_open",
	limited:         "limited",
	timeout:         "timeout",
	network:         "network_error",
	serverError:     "server_error",
	tooManyRequests: "too_many_requests",
	redirect:        "redirect",
	invalid:         "invalid_answer",
	denied:          "denied",
	rejected:        "rejected",
	closed:          "closed",
}

func (o outcome) String() string { return outcomeNames[o] }

// isFailure reports whether the outcome speaks against user-service, for the
// breaker. An unknown user and a refusal that is this service's own fault don't, and
// neither does a 429, by which user-service says that it is well and that this
// service asks too much: someone answered, and sensibly.
func (o outcome) isFailure() bool {
	switch o {
	case timeout, network, serverError, redirect, invalid:
		return true
	default:
		return false
	}
}

// tried reports whether a request was sent.
func (o outcome) tried() bool {
	return o != breakerOpen && o != limited && o != closed
}

// failure is a try that found no user.
type failure struct {
	outcome outcome
	// retryAfter is what user-service asked for, when hasRetryAfter.
	retryAfter    time.Duration
	hasRetryAfter bool
	err           error
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// mayRetry reports whether the same question could get another answer soon. A
// redirect or garbage would only come again. 429 asks for less, not more: it is
// tried again only when it says when.
func (f *failure) mayRetry() bool {
	switch f.outcome {
	case timeout, network, serverError:
		return true
	case tooManyRequests:
		return f.hasRetryAfter
	default:
		return false
	}
}
