// Package dashboards tests the Grafana dashboards of the chart: a real Prometheus scrapes both
// services under load and faults, and the tests run every panel's queries on it.
//
//	go test ./test/dashboards                            runs it
//	go test ./test/dashboards -pictures docs/pictures    draws the panels as well
package dashboards
