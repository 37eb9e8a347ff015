// Package userclient is order-service's view of user-service: does this user
// exist? One question goes through these layers, from the outside in:
//
//	total deadline      no answer takes longer, whatever happens below
//	cache               users seen in the last few seconds; never an absence
//	shared call         one question for all who ask for the same user at once
//	retry               jittered, within a budget, never into an open breaker
//	concurrency limit   refuses at once, keeps no queue
//	circuit breaker     trips on a ratio of failures in a rolling window
//	deadline of a try   also what ends a probe that hangs
//	HTTP                one connection pool, bounded answers, no redirects
//
// Whatever isn't a clear yes or a clear no is "unavailable": no order is ever
// created on the strength of an answer that can't be trusted.
package userclient
