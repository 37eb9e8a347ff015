package main

import (
	"fmt"
	"slices"

	"github.com/example/microservices/internal/catalog"
)

var (
	notReady, isReady = state{"not ready", "red"}, state{"ready", "green"}
	down, up          = state{"down", "red"}, state{"up", "green"}
	breakerStates     = []state{{"closed", "green"}, {"half-open", "orange"}, {"open", "red"}}
)

// breaker is PromQL for the worst state of the circuit breakers, an index of breakerStates.
const breaker = `max(user_client_breaker_state{@, state="half-open"} + ignoring(state) 2 * user_client_breaker_state{@, state="open"})`

// quantile returns a query for a quantile of API request durations, by labels such as
// "job, " (empty: over all) and filtered by the matchers in more.
func quantile(q float64, by, more, legend string) query {
	if by != "" {
		by = ", " + by
	}
	return query{
		expr:      fmt.Sprintf(`histogram_quantile(%v, sum by (le%s) (rate(http_server_request_duration_seconds_bucket{@, %s%s}[$__rate_interval])))`, q, by, api, more),
		legend:    legend,
		exemplars: true,
	}
}

// ofService returns a service's dashboard, with user lookups if it calls user-service.
func ofService(s catalog.Service) dashboard {
	rows, also := []row{health(), requests()}, ""
	if slices.Contains(s.Needs, "user-service") {
		rows, also = append(rows, lookups()), " its look-ups of users,"
	}
	return dashboard{
		uid: "microservices-" + s.Name, title: "Microservices / " + s.Name, jobs: []string{s.Name},
		description: s.Name + ": its requests," + also + " its database and its processes.",
		rows:        append(rows, database(), callers(), overload(), process()),
	}
}

func health() row {
	sized := func(p panel, width int) panel { p.width = width; return p }
	return row{"State", []panel{
		sized(states("Ready", "Whether requests should be sent to a pod.",
			query{expr: `min by (pod) (service_ready{@})`, legend: "{{pod}}"}, notReady, isReady), 8),
		sized(states("Dependencies", "The last check of each dependency, at the worst pod.",
			query{expr: `min by (dependency) (service_dependency_up{@})`, legend: "{{dependency}}"}, down, up), 8),
		sized(number("Version", "none", "Pods of each version.",
			query{expr: `count by (version) (build_info{@})`, legend: "{{version}}"}), 4),
		sized(number("Migrations pending", "none", "Migrations of this version that the database lacks.",
			query{expr: `max(db_migrations_pending{@})`, legend: "pending"}, step{0, "green"}, step{1, "red"}), 4),
	}}
}

func requests() row {
	return row{"Requests", []panel{
		series("Requests", "reqps", "Requests to the API, by operation.",
			query{expr: `sum by (method, route) (rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "{{method}} {{route}}"}),
		stacked("Answers", "reqps", "Requests to the API, by status.",
			query{expr: `sum by (status) (rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "{{status}}"}),
		series("Failed", "percentunit", "Requests to the API that were answered with a 5xx, by operation.",
			query{expr: failed("$__rate_interval", "method, route"), legend: "{{method}} {{route}}"}),
		series("Duration", "s", "Time to answer a request to the API. The points are single requests, with their traces.",
			quantile(0.99, "", "", "p99"), quantile(0.95, "", "", "p95"), quantile(0.5, "", "", "p50")),
		series("Duration by operation", "s", "99th percentile of the time to answer.",
			quantile(0.99, "method, route", "", "{{method}} {{route}}")),
		buckets("Distribution of durations", "s", "Number of requests, by duration.",
			query{expr: `sum by (le) (increase(http_server_request_duration_seconds_bucket{@, ` + api + `}[$__rate_interval]))`, exemplars: true}),
	}}
}

func lookups() row {
	return row{"Look-ups of users", []panel{
		states("Breaker", "The circuit breaker of requests to user-service, by pod.",
			query{expr: `max by (pod) (user_client_breaker_state{@, state="half-open"} + ignoring(state) 2 * user_client_breaker_state{@, state="open"})`, legend: "{{pod}}"}, breakerStates...),
		series("Changes of the breaker", "none", "How often the breaker's state changed.",
			query{expr: `sum by (from, to) (increase(user_client_breaker_transitions_total{@}[$__rate_interval]))`, legend: "{{from}} → {{to}}"}),
		stacked("Look-ups", "reqps", "User lookups, by outcome; answered from the cache or by user-service.",
			query{expr: `sum by (outcome) (rate(user_client_requests_total{@}[$__rate_interval]))`, legend: "{{outcome}}"}),
		stacked("Tries", "reqps", "Single requests to user-service, by outcome.",
			query{expr: `sum by (outcome) (rate(user_client_try_duration_seconds_count{@}[$__rate_interval]))`, legend: "{{outcome}}"}),
		series("Duration of a try", "s", "Time that user-service takes to answer, or a try to fail.",
			tries(0.99, "p99"), tries(0.5, "p50")),
		series("Answered by the cache", "percentunit", "Share of look-ups that user-service was not asked for.",
			query{expr: `sum(rate(user_client_cache_requests_total{@, result="hit"}[$__rate_interval])) / sum(rate(user_client_cache_requests_total{@}[$__rate_interval]))`, legend: "hits"}),
		series("Retries", "reqps", "Retries of failed requests, and retries that were skipped because the retry budget was exhausted.",
			query{expr: `sum(rate(user_client_retries_total{@}[$__rate_interval]))`, legend: "made"},
			query{expr: `sum(rate(user_client_retries_denied_total{@}[$__rate_interval]))`, legend: "denied"}),
		series("In flight to user-service", "none", "Requests to user-service in flight, by pod.",
			query{expr: `sum by (pod) (user_client_requests_in_flight{@})`, legend: "{{pod}}"}),
		series("Events of user-service", "s", "Seconds since all events were last known to be applied; up to about 20 is normal. A deleted user is erased when its event is applied.",
			query{expr: `max by (pod) (events_lag_seconds{@})`, legend: "{{pod}} behind"},
			query{expr: `sum(rate(events_failures_total{@}[$__rate_interval]))`, legend: "failures a second"}),
	}}
}

func tries(q float64, legend string) query {
	return query{
		expr:   fmt.Sprintf(`histogram_quantile(%v, sum by (le) (rate(user_client_try_duration_seconds_bucket{@}[$__rate_interval])))`, q),
		legend: legend, exemplars: true,
	}
}

func database() row {
	return row{"Database", []panel{
		series("Connections", "none", "Connections in the pool, by state, and their maximum number.",
			query{expr: `sum by (state) (db_pool_connections{@})`, legend: "{{state}}"},
			query{expr: `sum(db_pool_connections_max{@})`, legend: "most"}),
		series("Waits for a connection", "ops", "Waits for a connection, by pod, and waits that ended without one.",
			query{expr: `sum by (pod) (rate(db_pool_waits_total{@}[$__rate_interval]))`, legend: "{{pod}}"},
			query{expr: `sum by (pod) (rate(db_pool_waits_abandoned_total{@}[$__rate_interval]))`, legend: "{{pod}} in vain"}),
		series("Time waited for a connection", "s", "On average, for each request to the API.",
			query{expr: `sum(rate(db_pool_wait_seconds_total{@}[$__rate_interval])) / sum(rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "for a request"}),
	}}
}

func callers() row {
	return row{"Callers", []panel{
		series("Idempotency keys", "reqps", "Requests with an Idempotency-Key, by result: new, replayed, conflict or failed.",
			query{expr: `sum by (result) (rate(idempotency_requests_total{@}[$__rate_interval]))`, legend: "{{result}}"}),
		stacked("Rate limits", "reqps", "Requests by policy and result of the caller's rate limit.",
			query{expr: `sum by (policy, result) (rate(rate_limit_requests_total{@}[$__rate_interval]))`, legend: "{{policy}} {{result}}"}),
		states("Shared rate limits", "Whether the Redis that shares the rate limits between pods is available; always if none is configured.",
			query{expr: `max by (pod) (rate_limit_store_away{@})`, legend: "{{pod}}"}, state{"there", "green"}, state{"away", "orange"}),
		stacked("Tokens", "reqps", "Requests that need a token, by result. Empty if the service requires no tokens.",
			query{expr: `sum by (result) (rate(auth_tokens_total{@}[$__rate_interval]))`, legend: "{{result}}"}),
		series("Fetches of issuers' keys", "none", "How often issuers' keys were fetched in an hour. Empty if the service requires no tokens.",
			query{expr: `sum by (result) (increase(auth_key_fetches_total{@}[1h]))`, legend: "{{result}}"}),
	}}
}

func overload() row {
	return row{"Overload, background work and telemetry", []panel{
		series("Concurrency", "none", "Requests in flight, and the limit of concurrent requests, which adapts to the duration of requests.",
			query{expr: `sum(http_server_requests_in_flight{@})`, legend: "in flight"},
			query{expr: `sum by (kind) (overload_concurrency_limit{@})`, legend: "limit of {{kind}}s"}),
		series("Refused", "reqps", "Requests rejected because of overload, by kind and cause.",
			query{expr: `sum by (kind, cause) (rate(overload_refused_total{@}[$__rate_interval]))`, legend: "{{kind}}, {{cause}}"}),
		series("Refused for memory", "reqps", "Requests rejected because requests in flight hold too much memory: those of all callers (503), or those of the same caller (429).",
			query{expr: `sum by (held_by) (rate(request_memory_refused_total{@}[$__rate_interval]))`, legend: "held by {{held_by}}"}),
		series("Spans", "ops", "Spans of sampled traces, by result: ended, sent or failed. A span that ended and is neither sent nor failed is queued, or was dropped because the queue was full.",
			query{expr: `sum by (result) (rate(trace_spans_total{@}[$__rate_interval]))`, legend: "{{result}}"}),
		series("Background work", "none", "Runs within an hour, by task and result.",
			query{expr: `sum by (task, result) (increase(background_runs_total{@}[1h]))`, legend: "{{task}} {{result}}"}),
	}}
}

func process() row {
	return row{"Processes", []panel{
		series("Processor", "none", "Processors in use, by pod.",
			query{expr: `sum by (pod) (rate(process_cpu_seconds_total{@}[$__rate_interval]))`, legend: "{{pod}}"}),
		series("Memory", "bytes", "Memory in use, by pod, and the size above which Go collects garbage more often (GOMEMLIMIT, if set).",
			query{expr: `sum by (pod) (process_resident_memory_bytes{@})`, legend: "{{pod}}"},
			// 2^63 - 1 means no limit.
			query{expr: `min(go_gc_gomemlimit_bytes{@} < 1e15)`, legend: "limit"}),
		series("Go's heap", "bytes", "Live and not yet collected objects, and the size at which they are collected next.",
			query{expr: `sum by (pod) (go_memstats_heap_alloc_bytes{@})`, legend: "{{pod}} heap"},
			query{expr: `sum by (pod) (go_memstats_next_gc_bytes{@})`, legend: "{{pod}} next collection"}),
		series("Garbage collections", "ops", "By pod.",
			query{expr: `sum by (pod) (rate(go_gc_duration_seconds_count{@}[$__rate_interval]))`, legend: "{{pod}}"}),
		series("Longest pause", "s", "The longest recent pause of a garbage collection, by pod.",
			// Prometheus 3 writes the label as 1.0, earlier versions as 1.
			query{expr: `max by (pod) (go_gc_duration_seconds{@, quantile=~"1|1.0"})`, legend: "{{pod}}"}),
		series("Goroutines", "none", "By pod.",
			query{expr: `sum by (pod) (go_goroutines{@})`, legend: "{{pod}}"}),
		series("Open files", "percentunit", "Share of the allowed file descriptors in use, connections included; by pod.",
			query{expr: `sum by (pod) (process_open_fds{@}) / sum by (pod) (process_max_fds{@})`, legend: "{{pod}}"}),
		series("Uptime", "s", "Time since the process began, by pod.",
			query{expr: `min by (pod) (time() - process_start_time_seconds{@})`, legend: "{{pod}}"}),
	}}
}
