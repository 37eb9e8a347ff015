// Package resilience provides the parts of a client that protect a service from failures
// of another: a retry budget, a backoff with jitter, a circuit breaker that trips on a
// ratio, and shared calls.
//
// The parts know neither HTTP nor each other. A client combines them in this order: total
// deadline, cache, Flight, retry (Budget and Backoff), concurrency limit, Breaker,
// deadline per attempt, transport.
package resilience
