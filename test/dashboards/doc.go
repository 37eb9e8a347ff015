// Package dashboards tests the Grafana dashboards of the chart: a real Prometheus
// scrapes both services, which are given work and trouble, and is asked what each
// panel asks.
//
//	go test ./test/dashboards                            runs it
//	go test ./test/dashboards -pictures docs/pictures    draws the panels as well
package dashboards
