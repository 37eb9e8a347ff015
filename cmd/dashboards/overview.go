package main

import "fmt"

// objectives are the default objectives over thirty days: the percentage of requests without
// a 5xx, and the percentage of those answered within so many seconds, a bucket of the
// histogram. The chart replaces them with its values slo.*.
var objectives = []constant{{"available", "99.9"}, {"in_time", "99"}, {"seconds", "0.5"}}

const (
	available = "$available"
	inTime    = "$in_time"
	period    = "30d"
)

// api matches API requests, but no probes or scrapes.
const api = `route=~"/api/.*"`

// failed returns PromQL for the share of requests with a 5xx response, over a range such as
// 5m, by labels such as "namespace, job". It gives 0, not no data, if no request failed.
func failed(over, by string) string {
	all := fmt.Sprintf(`sum by (%s) (rate(http_server_request_duration_seconds_count{@, %s, status!="408"}[%s]))`, by, api, over)
	errors := fmt.Sprintf(`sum by (%s) (rate(http_server_request_duration_seconds_count{@, %s, status=~"5.."}[%s]))`, by, api, over)
	return fmt.Sprintf("(%s or 0 * %s) / %s", errors, all, all)
}

// slow returns PromQL for the share of responses other than 5xx that took longer than
// $seconds. Prometheus 3 writes le="1" as "1.0".
func slow(over, by string) string {
	return fmt.Sprintf(`1 - sum by (%[1]s) (rate(http_server_request_duration_seconds_bucket{@, %[2]s, status!~"5..|408", le=~"$seconds|$seconds.0"}[%[3]s])) / `+
		`sum by (%[1]s) (rate(http_server_request_duration_seconds_count{@, %[2]s, status!~"5..|408"}[%[3]s]))`, by, api, over)
}

// budgetLeft returns PromQL for the remaining error budget: 1 is all of it; below 0 the
// objective is missed.
func budgetLeft(share string, objective string) string {
	return fmt.Sprintf("1 - (%s) / (1 - %s / 100)", share, objective)
}

// burnRate returns PromQL for the speed at which the budget is used; at 1 it lasts exactly
// for the period.
func burnRate(share string, objective string) string {
	return fmt.Sprintf("(%s) / (1 - %s / 100)", share, objective)
}

func overview(services []string) dashboard {
	budget := []step{{0, "red"}, {0, "orange"}, {0.25, "green"}}
	burn := func(title string, share func(string, string) string, objective string) panel {
		p := series(title, "suffix:×", "Speed at which the error budget is used. At 1 it lasts exactly "+period+"; at 14.4 it lasts two days.",
			query{expr: burnRate(share("1h", "namespace, job"), objective), legend: "{{namespace}} {{job}}, 1 h"},
			query{expr: burnRate(share("6h", "namespace, job"), objective), legend: "{{namespace}} {{job}}, 6 h"})
		p.width = 12
		return p
	}
	return dashboard{
		uid: "microservices-overview", title: "Microservices / Overview", jobs: services,
		constants:   objectives,
		description: "All services: service level objectives, requests and state.",
		rows: []row{
			{"Service level objectives", []panel{
				number("Availability", "percentunit", "Share of requests in "+period+" without a 5xx response. The objective is "+available+" %.",
					query{expr: "1 - " + failed(period, "namespace, job"), legend: "{{namespace}} {{job}}"}, step{0, "blue"}),
				number("Error budget left: availability", "percentunit", "Remaining share of the failures that the objective of "+available+" % allows in "+period+". Below 0 the objective is missed.",
					query{expr: budgetLeft(failed(period, "namespace, job"), available), legend: "{{namespace}} {{job}}"}, budget...),
				number("Fast responses", "percentunit", "Share of responses in "+period+", other than 5xx, that took at most $seconds s. The objective is "+inTime+" %.",
					query{expr: "1 - (" + slow(period, "namespace, job") + ")", legend: "{{namespace}} {{job}}"}, step{0, "blue"}),
				number("Error budget left: latency", "percentunit", "Remaining share of the slow responses that the objective of "+inTime+" % allows in "+period+". Below 0 the objective is missed.",
					query{expr: budgetLeft(slow(period, "namespace, job"), inTime), legend: "{{namespace}} {{job}}"}, budget...),
				burn("Burn rate: availability", failed, available),
				burn("Burn rate: latency", slow, inTime),
			}},
			{"Requests", []panel{
				series("Requests", "reqps", "API requests, by service.",
					query{expr: `sum by (namespace, job) (rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "{{namespace}} {{job}}"}),
				series("Error rate", "percentunit", "Share of API requests with a 5xx response, by service.",
					query{expr: failed("$__rate_interval", "namespace, job"), legend: "{{namespace}} {{job}}"}),
				series("Duration", "s", "Duration of API requests: median and 99th percentile, by service.",
					quantile(0.99, "namespace, job", "", "{{namespace}} {{job}} p99"), quantile(0.5, "namespace, job", "", "{{namespace}} {{job}} p50")),
				stacked("Responses", "reqps", "API requests, by service and status code.",
					query{expr: `sum by (namespace, job, status) (rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "{{namespace}} {{job}} {{status}}"}),
				series("Requests in flight", "none", "Requests that are being handled, by service.",
					query{expr: `sum by (namespace, job) (http_server_requests_in_flight{@})`, legend: "{{namespace}} {{job}}"}),
				series("Rejected", "reqps", "Requests rejected because of overload (503), because requests in flight hold too much memory (503, or 429 if one caller holds it), or by a caller's rate limit (429).",
					query{expr: `sum by (namespace, job) (rate(overload_refused_total{@}[$__rate_interval]))`, legend: "{{namespace}} {{job}} overload"},
					query{expr: `sum by (namespace, job, held_by) (rate(request_memory_refused_total{@}[$__rate_interval]))`, legend: "{{namespace}} {{job}} memory, held by {{held_by}}"},
					query{expr: `sum by (namespace, job) (rate(rate_limit_requests_total{@, result="limited"}[$__rate_interval]))`, legend: "{{namespace}} {{job}} rate limit"}),
			}},
			{"State", []panel{
				states("Ready", "Whether each pod is ready for requests.",
					query{expr: `min by (namespace, job, pod) (service_ready{@})`, legend: "{{namespace}} {{job}} {{pod}}"}, notReady, isReady),
				states("Dependencies", "Result of the last check of each dependency, on the worst pod.",
					query{expr: `min by (namespace, job, dependency) (service_dependency_up{@})`, legend: "{{namespace}} {{job}} → {{dependency}}"}, down, up),
				states("Circuit breaker", "State of order-service's circuit breaker for user-service, on the worst pod.",
					query{expr: breaker, legend: "order-service → user-service"}, breakerStates...),
				series("Pods", "none", "Scraped pods, by version.",
					query{expr: `count by (namespace, job, version) (build_info{@})`, legend: "{{namespace}} {{job}} {{version}}"}),
				series("CPU", "none", "CPU cores in use, by service.",
					query{expr: `sum by (namespace, job) (rate(process_cpu_seconds_total{@}[$__rate_interval]))`, legend: "{{namespace}} {{job}}"}),
				series("Memory", "bytes", "Resident memory, by service.",
					query{expr: `sum by (namespace, job) (process_resident_memory_bytes{@})`, legend: "{{namespace}} {{job}}"}),
			}},
		},
	}
}
