// Package userclient looks up in user-service whether a user exists. A lookup passes these
// layers, from the outside in:
//
//	total deadline      bounds the whole lookup
//	cache               users found in the last few seconds; never missing ones
//	shared call         concurrent lookups of one user send one request
//	retry               with jitter and a budget, never while the breaker is open
//	concurrency limit   rejects at once, without a queue
//	circuit breaker     opens at a ratio of failures in a rolling window
//	attempt deadline    also ends a hung probe of the breaker
//	joined request      concurrent lookups of several users send one request
//	HTTP                one connection pool, bounded responses, no redirects
//
// Every result other than a clear yes or no is "unavailable": no order may be created
// because of an untrustworthy response.
package userclient
