// Package resilience holds the parts from which a client of another service is
// built so that the other's trouble stays the other's: a retry budget, a
// jittered backoff, a circuit breaker that trips on a ratio, and calls shared
// between everyone who asks the same thing at the same time.
//
// The parts know neither HTTP nor each other. A client puts them together in
// this order: total deadline, cache, Flight, retry (Budget and Backoff),
// concurrency limit, Breaker, deadline of one try, transport.
package resilience
