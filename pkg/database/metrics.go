package database

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats is the state of the connection pool and of the schema.
type Stats struct {
	Used, Idle, Max int
	// Waits counts how often a caller had to wait for a connection, and Waited is the total
	// time.
	Waits  int64
	Waited time.Duration
	// Abandoned counts the waits that ended without a connection. SQLite includes them in
	// Waits; PostgreSQL's pool counts them separately, without their time.
	Abandoned int64
	// Pending is the number of migrations that the schema lacked at the last successful
	// check.
	Pending int
}

// Collector exports Stats to Prometheus.
type Collector struct{ stats func() Stats }

// NewCollector returns a collector that calls stats for each scrape.
func NewCollector(stats func() Stats) *Collector { return &Collector{stats} }

var (
	poolConnections = prometheus.NewDesc("db_pool_connections", "Connections in the pool, by state.", []string{"state"}, nil)
	poolMax         = prometheus.NewDesc("db_pool_connections_max", "Maximum number of connections in the pool.", nil, nil)
	poolWaits       = prometheus.NewDesc("db_pool_waits_total", "Waits for a connection.", nil, nil)
	poolWaited      = prometheus.NewDesc("db_pool_wait_seconds_total", "Time spent waiting for a connection.", nil, nil)
	poolAbandoned   = prometheus.NewDesc("db_pool_waits_abandoned_total", "Waits that ended without a connection, because the request timed out or its client disconnected. With SQLite these count as waits instead.", nil, nil)
	pending         = prometheus.NewDesc("db_migrations_pending", "Migrations that are not applied to the schema yet.", nil, nil)
)

// Describe implements prometheus.Collector.
func (*Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConnections, poolMax, poolWaits, poolWaited, poolAbandoned, pending} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	ch <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(s.Used), "used")
	ch <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(s.Idle), "idle")
	ch <- prometheus.MustNewConstMetric(poolMax, prometheus.GaugeValue, float64(s.Max))
	ch <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(s.Waits))
	ch <- prometheus.MustNewConstMetric(poolWaited, prometheus.CounterValue, s.Waited.Seconds())
	ch <- prometheus.MustNewConstMetric(poolAbandoned, prometheus.CounterValue, float64(s.Abandoned))
	ch <- prometheus.MustNewConstMetric(pending, prometheus.GaugeValue, float64(s.Pending))
}
