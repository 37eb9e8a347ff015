package telemetry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatCantBeTracedLikeThatIsRefused(t *testing.T) {
	good := TraceConfig{TraceEndpoint: "http://collector:4318", TraceProtocol: "http/protobuf", TraceSampler: "parentbased_traceidratio"}
	require.NoError(t, good.Validate())
	for variable, change := range map[string]func(*TraceConfig){
		"OTEL_EXPORTER_OTLP_ENDPOINT": func(c *TraceConfig) { c.TraceEndpoint = "collector:4318" },
		"OTEL_EXPORTER_OTLP_PROTOCOL": func(c *TraceConfig) { c.TraceProtocol = "grpc" },
		"OTEL_TRACES_SAMPLER":         func(c *TraceConfig) { c.TraceSampler = "always_off" },
		"OTEL_EXPORTER_OTLP_HEADERS":  func(c *TraceConfig) { c.TraceHeaders = "nonsense" },
	} {
		c := good
		change(&c)
		require.ErrorContains(t, c.Validate(), variable)
		c.TracesOff = true
		require.NoError(t, c.Validate(), "%s means nothing where there are no traces", variable)
		c.TracesOff, c.TraceEndpoint = false, ""
		require.NoError(t, c.Validate(), "%s means nothing where they go nowhere", variable)
	}
}
