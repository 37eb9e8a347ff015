package userclient

import "time"

// outcome is the result of an attempt or of a Verify. Its text is the outcome label of the
// metrics.
type outcome int

const (
	// The zero value is not found, so that a missing assignment can't confirm a user.
	canceled outcome = iota // no caller waits any more
	found
	unknown         // user-service has no such user
	breakerOpen     // not sent: the circuit breaker is open
	limited         // not sent: no free concurrency slot
	timeout         // TryTimeout or Timeout expired
	network         // no connection, or a broken one
	serverError     // 5xx
	tooManyRequests // 429
	redirect        // 3xx, never followed
	invalid         // a malformed or unexpected response
	denied          // 401 or 403: this service is misconfigured
	rejected        // any other 4xx
	closed          // the client is closed
	outcomes        // number of outcomes
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

// isFailure reports whether the breaker counts the outcome as a failure of user-service. An
// unknown user, a rejected request and a 429 don't count: user-service works and responded
// as it should.
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

// failure is the error of an attempt that didn't find the user.
type failure struct {
	outcome outcome
	// retryAfter is the response's Retry-After, if hasRetryAfter.
	retryAfter    time.Duration
	hasRetryAfter bool
	err           error
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// mayRetry reports whether a retry could soon have another result. Redirects and invalid
// responses would recur. A 429 is retried only if it has a Retry-After.
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
