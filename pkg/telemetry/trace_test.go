package telemetry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnsupportedTraceSettingsAreRejected(t *testing.T) {
	good := TraceConfig{TraceEndpoint: "http://collector:4318", TraceProtocol: "http/protobuf", TraceSampler: "parentbased_traceidratio"}
	require.NoError(t, good.Validate())
	for variable, change := range map[string]func(*TraceConfig){
		"OTEL_EXPORTER_OTLP_ENDPOINT":        func(c *TraceConfig) { c.TraceEndpoint = "collector:4318" },
		"OTEL_EXPORTER_OTLP_PROTOCOL":        func(c *TraceConfig) { c.TraceProtocol = "grpc" },
		"OTEL_TRACES_SAMPLER":                func(c *TraceConfig) { c.TraceSampler = "always_off" },
		"OTEL_EXPORTER_OTLP_HEADERS":         func(c *TraceConfig) { c.TraceHeaders = "nonsense" },
		"OTEL_TRACES_EXPORTER":               func(c *TraceConfig) { c.TraceExporter = "console" },
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": func(c *TraceConfig) { c.TraceURL = "collector:4318" },
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": func(c *TraceConfig) { c.TraceOwnProtocol = "grpc" },
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS":  func(c *TraceConfig) { c.TraceHeaders, c.TraceOwnHeaders = "a=b", "nonsense" },
		"OTEL_RESOURCE_ATTRIBUTES":           func(*TraceConfig) { t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "nonsense") },
	} {
		c := good
		change(&c)
		require.ErrorContains(t, c.Validate(), variable)
		c.TracesOff = true
		require.NoError(t, c.Validate(), "%s has no effect with traces turned off", variable)
		c.TracesOff, c.TraceEndpoint, c.TraceURL = false, "", ""
		require.NoError(t, c.Validate(), "%s has no effect without an endpoint", variable)
	}
}

// TestTheEndpointOfTraces tests OpenTelemetry's rules for endpoints
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp).
func TestTheEndpointOfTraces(t *testing.T) {
	for name, test := range map[string]struct {
		config TraceConfig
		url    string
	}{
		"nowhere":                {TraceConfig{}, ""},
		"one for all signals":    {TraceConfig{TraceEndpoint: "http://a:4318/"}, "http://a:4318/v1/traces"},
		"an endpoint for traces": {TraceConfig{TraceEndpoint: "http://a:4318", TraceURL: "http://b/x"}, "http://b/x"},
		"the SDK is disabled":    {TraceConfig{TraceURL: "http://b/x", TracesOff: true}, ""},
		"there is no exporter":   {TraceConfig{TraceEndpoint: "http://a:4318", TraceExporter: "none"}, ""},
		"the supported exporter": {TraceConfig{TraceEndpoint: "http://a:4318", TraceExporter: "otlp"}, "http://a:4318/v1/traces"},
	} {
		require.Equal(t, test.url, test.config.url(), name)
	}
}
