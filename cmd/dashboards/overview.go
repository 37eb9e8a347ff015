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
		p := series(title, "suffix:×", "How fast the error budget is used, relative to the objective: at 1 it lasts exactly "+period+", at 14.4 two days.",
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
				number("Available", "percentunit", "Requests of "+period+" that were answered other than by a 5xx. The objective is "+available+" %.",
					query{expr: "1 - " + failed(period, "namespace, job"), legend: "{{namespace}} {{job}}"}, step{0, "blue"}),
				number("Error budget left: available", "percentunit", "Share left of the failures that "+available+" % allows in "+period+".",
					query{expr: budgetLeft(failed(period, "namespace, job"), available), legend: "{{namespace}} {{job}}"}, budget...),
				number("Fast", "percentunit", "Answers of "+period+", other than 5xx, within $seconds s. The objective is "+inTime+" %.",
					query{expr: "1 - (" + slow(period, "namespace, job") + ")", legend: "{{namespace}} {{job}}"}, step{0, "blue"}),
				number("Error budget left: fast", "percentunit", "Share left of the slow answers that "+inTime+" % allows in "+period+".",
					query{expr: budgetLeft(slow(period, "namespace, job"), inTime), legend: "{{namespace}} {{job}}"}, budget...),
				burn("Burn rate: available", failed, available),
				burn("Burn rate: fast", slow, inTime),
			}},
			{"Requests", []panel{
				series("Requests", "reqps", "Requests to the API, by service.",
					query{expr: `sum by (namespace, job) (rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "{{namespace}} {{job}}"}),
				series("Failed", "percentunit", "Requests to the API that were answered with a 5xx, by service.",
					query{expr: failed("$__rate_interval", "namespace, job"), legend: "{{namespace}} {{job}}"}),
				series("Duration", "s", "Time to answer a request to the API: the median and the 99th percentile, by service.",
					quantile(0.99, "namespace, job", "", "{{namespace}} {{job}} p99"), quantile(0.5, "namespace, job", "", "{{namespace}} {{job}} p50")),
				stacked("Answers", "reqps", "Requests to the API, by service and status.",
					query{expr: `sum by (namespace, job, status) (rate(http_server_request_duration_seconds_count{@, ` + api + `}[$__rate_interval]))`, legend: "{{namespace}} {{job}} {{status}}"}),
				series("In flight", "none", "Requests in flight, by service.",
					query{expr: `sum by (namespace, job) (http_server_requests_in_flight{@})`, legend: "{{namespace}} {{job}}"}),
				series("Refused", "reqps", "Requests rejected because of overload (503), or because one caller sent too many (429).",
					query{expr: `sum by (namespace, job) (rate(overload_refused_total{@}[$__rate_interval]))`, legend: "{{namespace}} {{job}} overload"},
					query{expr: `sum by (namespace, job, held_by) (rate(request_memory_refused_total{@}[$__rate_interval]))`, legend: "{{namespace}} {{job}} memory, held by {{held_by}}"},
					query{expr: `sum by (namespace, job) (rate(rate_limit_requests_total{@, result="limited"}[$__rate_interval]))`, legend: "{{namespace}} {{job}} rate limit"}),
			}},
			{"State", []panel{
				states("Ready", "Whether requests should be sent to a pod.",
					query{expr: `min by (namespace, job, pod) (service_ready{@})`, legend: "{{namespace}} {{job}} {{pod}}"}, notReady, isReady),
				states("Dependencies", "The last check of each service's dependencies, at the worst pod.",
					query{expr: `min by (namespace, job, dependency) (service_dependency_up{@})`, legend: "{{namespace}} {{job}} → {{dependency}}"}, down, up),
				states("Breaker", "The circuit breaker of order-service's requests to user-service, at the worst pod.",
					query{expr: breaker, legend: "breaker"}, breakerStates...),
				series("Pods", "none", "Pods that are scraped, by version.",
					query{expr: `count by (namespace, job, version) (build_info{@})`, legend: "{{namespace}} {{job}} {{version}}"}),
				series("Processor", "none", "Processors in use, by service.",
					query{expr: `sum by (namespace, job) (rate(process_cpu_seconds_total{@}[$__rate_interval]))`, legend: "{{namespace}} {{job}}"}),
				series("Memory", "bytes", "Memory in use, by service.",
					query{expr: `sum by (namespace, job) (process_resident_memory_bytes{@})`, legend: "{{namespace}} {{job}}"}),
			}},
		},
	}
}
