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

// ofService returns a service's dashboard, with user lookups and events if it calls user-service.
func ofService(s catalog.Service) dashboard {
	rows, also := []row{health(), requests()}, ""
	if slices.Contains(s.Needs, "user-service") {
		rows, also = append(rows, lookups(), events()), " its user lookups and the events it applies,"
	}
	if len(s.EventConsumers) > 0 {
		rows, also = append(rows, erasures()), also+" the erasures that are not complete,"
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
		sized(states("Ready", "Whether each pod is ready for requests.",
			query{expr: `min by (pod) (service_ready{@})`, legend: "{{pod}}"}, notReady, isReady), 8),
		sized(states("Dependencies", "Result of the last check of each dependency, on the worst pod.",
			query{expr: `min by (dependency) (service_dependency_up{@})`, legend: "{{dependency}}"}, down, up), 8),
		sized(number("Version", "none", "Number of pods of each version.",
			query{expr: `count by (version) (build_info{@})`, legend: "{{version}}"}), 4),
		sized(number("Migrations pending", "none", "Migrations that are not applied to the schema yet.",
			query{expr: `max(db_migrations_pending{@})`, legend: "pending"}, step{0, "green"}, step{1, "red"}), 4),
	}}
}

func requests() row {
	return row{"Requests", []panel{
		series("Requests", "reqps", "API requests, by operation.",
			query{expr: `sum by (method, route) (rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "{{method}} {{route}}"}),
		stacked("Responses", "reqps", "API requests, by status code.",
			query{expr: `sum by (status) (rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "{{status}}"}),
		series("Error rate", "percentunit", "Share of API requests with a 5xx response, by operation.",
			query{expr: failed("$__rate_interval", "method, route"), legend: "{{method}} {{route}}"}),
		series("Duration", "s", "Duration of API requests: percentiles. Each dot is one request and links to its trace.",
			quantile(0.99, "", "", "p99"), quantile(0.95, "", "", "p95"), quantile(0.5, "", "", "p50")),
		series("Duration by operation", "s", "99th percentile of the duration of API requests, by operation.",
			quantile(0.99, "method, route", "", "{{method}} {{route}}")),
		buckets("Distribution of durations", "s", "Number of API requests, by duration.",
			query{expr: `sum by (le) (increase(http_server_request_duration_seconds_bucket{@, ` + api + `}[$__rate_interval]))`, exemplars: true}),
	}}
}

func lookups() row {
	return row{"User lookups", []panel{
		states("Circuit breaker", "State of the circuit breaker for user-service, by pod.",
			query{expr: `max by (pod) (user_client_breaker_state{@, state="half-open"} + ignoring(state) 2 * user_client_breaker_state{@, state="open"})`, legend: "{{pod}}"}, breakerStates...),
		series("Circuit breaker changes", "none", "Number of state changes of the circuit breaker.",
			query{expr: `sum by (from, to) (increase(user_client_breaker_transitions_total{@}[$__rate_interval]))`, legend: "{{from}} → {{to}}"}),
		stacked("Lookups", "reqps", "User lookups, from the cache or from user-service, by outcome.",
			query{expr: `sum by (outcome) (rate(user_client_requests_total{@}[$__rate_interval]))`, legend: "{{outcome}}"}),
		stacked("Attempts", "reqps", "Requests to user-service, by outcome. A lookup with retries makes several.",
			query{expr: `sum by (outcome) (rate(user_client_try_duration_seconds_count{@}[$__rate_interval]))`, legend: "{{outcome}}"}),
		series("Attempt duration", "s", "Duration of one request to user-service, whether it succeeds or fails.",
			attempts(0.99, "p99"), attempts(0.5, "p50")),
		series("Cache hit ratio", "percentunit", "Share of cache lookups that found the user.",
			query{expr: `sum(rate(user_client_cache_requests_total{@, result="hit"}[$__rate_interval])) / sum(rate(user_client_cache_requests_total{@}[$__rate_interval]))`, legend: "hits"}),
		series("Retries", "reqps", "Retries of failed requests, and retries that were skipped because the retry budget was exhausted.",
			query{expr: `sum(rate(user_client_retries_total{@}[$__rate_interval]))`, legend: "sent"},
			query{expr: `sum(rate(user_client_retries_denied_total{@}[$__rate_interval]))`, legend: "skipped"}),
		series("Lookups in flight", "none", "Requests to user-service in flight, by pod.",
			query{expr: `sum by (pod) (user_client_requests_in_flight{@})`, legend: "{{pod}}"}),
	}}
}

func events() row {
	return row{"Events from user-service", []panel{
		series("Lag", "s", "Seconds since all events were last known to be applied; up to about 20 is normal. A deleted user's orders are erased when the event is applied.",
			query{expr: `max by (pod) (events_lag_seconds{@})`, legend: "{{pod}}"}),
		series("Applied", "ops", "Events that were applied, by pod. Events without an effect, such as a new name, are not counted.",
			query{expr: `sum by (pod) (rate(events_applied_total{@}[$__rate_interval]))`, legend: "{{pod}}"}),
		series("Failures", "ops", "Failed attempts to read or apply events, by pod. Each is retried.",
			query{expr: `sum by (pod) (rate(events_failures_total{@}[$__rate_interval]))`, legend: "{{pod}}"}),
	}}
}

func erasures() row {
	return row{"Erasure", []panel{
		series("Unacknowledged", "s", "Age of the oldest deletion that a consumer of the events has not acknowledged. Its erasure is not complete.",
			query{expr: `max by (consumer) (erasures_unacknowledged_seconds{@})`, legend: "{{consumer}}"}),
	}}
}

func attempts(q float64, legend string) query {
	return query{
		expr:   fmt.Sprintf(`histogram_quantile(%v, sum by (le) (rate(user_client_try_duration_seconds_bucket{@}[$__rate_interval])))`, q),
		legend: legend, exemplars: true,
	}
}

func database() row {
	return row{"Database", []panel{
		series("Connections", "none", "Connections in the pool, by state, and the maximum.",
			query{expr: `sum by (state) (db_pool_connections{@})`, legend: "{{state}}"},
			query{expr: `sum(db_pool_connections_max{@})`, legend: "maximum"}),
		series("Connection waits", "ops", "Waits for a connection of the pool, and those that ended without one because the request timed out or its client disconnected; by pod.",
			query{expr: `sum by (pod) (rate(db_pool_waits_total{@}[$__rate_interval]))`, legend: "{{pod}} all"},
			query{expr: `sum by (pod) (rate(db_pool_waits_abandoned_total{@}[$__rate_interval]))`, legend: "{{pod}} abandoned"}),
		series("Connection wait per request", "s", "Average time that an API request waits for a connection of the pool.",
			query{expr: `sum(rate(db_pool_wait_seconds_total{@}[$__rate_interval])) / sum(rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "average"}),
	}}
}

func callers() row {
	return row{"Callers", []panel{
		series("Idempotency keys", "reqps", "Requests with an Idempotency-Key, by result: new, replayed, conflict or failed.",
			query{expr: `sum by (result) (rate(idempotency_requests_total{@}[$__rate_interval]))`, legend: "{{result}}"}),
		stacked("Rate limits", "reqps", "Requests, by policy and result of the caller's rate limit.",
			query{expr: `sum by (policy, result) (rate(rate_limit_requests_total{@}[$__rate_interval]))`, legend: "{{policy}} {{result}}"}),
		states("Rate limit store", "Whether the pod reaches Redis, which shares rate limits between pods. While it does not, each pod enforces its own share. Always available if no Redis is configured.",
			query{expr: `max by (pod) (rate_limit_store_away{@})`, legend: "{{pod}}"}, state{"available", "green"}, state{"unavailable", "orange"}),
		stacked("Tokens", "reqps", "Requests that need a token, by result. Empty if the service requires no tokens.",
			query{expr: `sum by (result) (rate(auth_tokens_total{@}[$__rate_interval]))`, legend: "{{result}}"}),
		series("Issuer key fetches", "none", "Fetches of token issuers' public keys within an hour, by result. Empty if the service requires no tokens.",
			query{expr: `sum by (result) (increase(auth_key_fetches_total{@}[1h]))`, legend: "{{result}}"}),
	}}
}

func overload() row {
	return row{"Overload, background work and telemetry", []panel{
		series("Concurrency", "none", "Requests in flight, and the limits of concurrent reads and writes. The limits adapt to the duration of requests.",
			query{expr: `sum(http_server_requests_in_flight{@})`, legend: "in flight"},
			query{expr: `sum by (kind) (overload_concurrency_limit{@})`, legend: "{{kind}} limit"}),
		series("Rejected: overload", "reqps", "Requests rejected because of overload, by kind and cause.",
			query{expr: `sum by (kind, cause) (rate(overload_refused_total{@}[$__rate_interval]))`, legend: "{{kind}}, {{cause}}"}),
		series("Rejected: memory", "reqps", "Requests rejected because requests in flight hold too much memory: those of all callers (503), or those of the same caller (429).",
			query{expr: `sum by (held_by) (rate(request_memory_refused_total{@}[$__rate_interval]))`, legend: "held by {{held_by}}"}),
		series("Spans", "ops", "Spans of sampled traces, by result: ended, sent or failed. A span that ended and is neither sent nor failed is queued, or was dropped because the queue was full.",
			query{expr: `sum by (result) (rate(trace_spans_total{@}[$__rate_interval]))`, legend: "{{result}}"}),
		series("Background work", "none", "Runs of background tasks within an hour, by task and result.",
			query{expr: `sum by (task, result) (increase(background_runs_total{@}[1h]))`, legend: "{{task}} {{result}}"}),
	}}
}

func process() row {
	return row{"Processes", []panel{
		series("CPU", "none", "CPU cores in use, by pod.",
			query{expr: `sum by (pod) (rate(process_cpu_seconds_total{@}[$__rate_interval]))`, legend: "{{pod}}"}),
		series("Memory", "bytes", "Resident memory, by pod, and GOMEMLIMIT, if set: near it Go collects garbage more often.",
			query{expr: `sum by (pod) (process_resident_memory_bytes{@})`, legend: "{{pod}}"},
			// 2^63 - 1 means no limit.
			query{expr: `min(go_gc_gomemlimit_bytes{@} < 1e15)`, legend: "GOMEMLIMIT"}),
		series("Go heap", "bytes", "Heap in use, by pod, and the size at which the next garbage collection starts.",
			query{expr: `sum by (pod) (go_memstats_heap_alloc_bytes{@})`, legend: "{{pod}} heap"},
			query{expr: `sum by (pod) (go_memstats_next_gc_bytes{@})`, legend: "{{pod}} next GC"}),
		series("Garbage collections", "ops", "Garbage collections, by pod.",
			query{expr: `sum by (pod) (rate(go_gc_duration_seconds_count{@}[$__rate_interval]))`, legend: "{{pod}}"}),
		series("Longest GC pause", "s", "Longest recent pause of a garbage collection, by pod.",
			// Prometheus 3 writes the label as 1.0, earlier versions as 1.
			query{expr: `max by (pod) (go_gc_duration_seconds{@, quantile=~"1|1.0"})`, legend: "{{pod}}"}),
		series("Goroutines", "none", "Goroutines, by pod.",
			query{expr: `sum by (pod) (go_goroutines{@})`, legend: "{{pod}}"}),
		series("Open files", "percentunit", "Share of the allowed file descriptors in use, including connections; by pod.",
			query{expr: `sum by (pod) (process_open_fds{@}) / sum by (pod) (process_max_fds{@})`, legend: "{{pod}}"}),
		series("Uptime", "s", "Time since the process started, by pod.",
			query{expr: `min by (pod) (time() - process_start_time_seconds{@})`, legend: "{{pod}}"}),
	}}
}
