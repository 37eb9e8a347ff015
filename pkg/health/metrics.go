package health

import "github.com/prometheus/client_golang/prometheus"

var (
	readyDesc      = prometheus.NewDesc("service_ready", "1 while the service is ready: /health/ready responds 200.", nil, nil)
	dependencyDesc = prometheus.NewDesc("service_dependency_up", "1 while the last check of a dependency has succeeded; 0 if it is down or degraded, such as a read-only database.", []string{"dependency"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Monitor) Describe(ch chan<- *prometheus.Desc) {
	ch <- readyDesc
	ch <- dependencyDesc
}

// Collect implements prometheus.Collector with the values of Report.
func (m *Monitor) Collect(ch chan<- prometheus.Metric) {
	report := m.Report()
	ch <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, number(report.Status != NotReady))
	for name, status := range report.Dependencies {
		ch <- prometheus.MustNewConstMetric(dependencyDesc, prometheus.GaugeValue, number(status == Up), name)
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
