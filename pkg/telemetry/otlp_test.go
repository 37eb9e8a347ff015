package telemetry

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// answers are a collector's answers, in order. Without a network, time in a bubble is
// exact.
type answers []func() (*http.Response, error)

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	next := (*a)[0]
	*a = (*a)[1:]
	return next()
}

func answer(status int, headers ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		header := http.Header{}
		for i := 0; i+1 < len(headers); i += 2 {
			header.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: header, Body: http.NoBody}, nil
	}
}

func failure(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

// TestABatchIsRetriedOnceIfThatMayHelp: a batch that may have arrived is not sent again.
func TestABatchIsRetriedOnceIfThatMayHelp(t *testing.T) {
	for name, test := range map[string]struct {
		collector answers
		left      int // unused answers
		fails     bool
	}{
		"accepted":            {answers{answer(200), answer(200)}, 1, false},
		"busy once":           {answers{answer(503), answer(200)}, 0, false},
		"busy twice":          {answers{answer(503), answer(429), answer(200)}, 1, true},
		"busy for too long":   {answers{answer(503, "Retry-After", "30"), answer(200)}, 1, true},
		"invalid":             {answers{answer(400), answer(200)}, 1, true},
		"a broken connection": {answers{failure(errors.New("reset")), answer(200)}, 0, false},
		"a timeout":           {answers{failure(os.ErrDeadlineExceeded), answer(200)}, 1, true},
		"a redirect":          {answers{answer(307, "Location", "http://elsewhere"), answer(200)}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newOTLPClient("http://ada:secret@collector:4318/v1/traces?key=secret", nil, newSpanCounts(prometheus.NewRegistry()))
				c.client.Transport = &test.collector
				err := c.UploadTraces(t.Context(), nil)
				require.Len(t, test.collector, test.left)
				require.Equal(t, test.fails, err != nil, "%v", err)
				if err != nil {
					require.NotContains(t, err.Error(), "secret")
				}
			})
		})
	}
}

// TestSpansAreCounted: spans are counted as sent or not sent.
func TestSpansAreCounted(t *testing.T) {
	some := []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: make([]*tracepb.Span, 2)}, {Spans: make([]*tracepb.Span, 3)}}}}
	for i := range some[0].ScopeSpans {
		for j := range some[0].ScopeSpans[i].Spans {
			some[0].ScopeSpans[i].Spans[j] = &tracepb.Span{}
		}
	}
	partly := func() (*http.Response, error) {
		// partial_success {rejected_spans: 2, error_message: "full"}
		body := io.NopCloser(strings.NewReader("\x0a\x08\x08\x02\x12\x04full"))
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
	}
	for name, test := range map[string]struct {
		collector    answers
		sent, failed float64
	}{
		"taken":                      {answers{answer(200)}, 5, 0},
		"partly accepted":            {answers{partly}, 3, 2},
		"refused":                    {answers{answer(400)}, 0, 5},
		"accepted at the second try": {answers{answer(503), partly}, 3, 2},
		"never accepted":             {answers{answer(503), answer(503)}, 0, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				counts := newSpanCounts(prometheus.NewRegistry())
				c := newOTLPClient("http://collector:4318/v1/traces", nil, counts)
				c.client.Transport = &test.collector
				_ = c.UploadTraces(t.Context(), some)
				require.InDelta(t, test.sent, testutil.ToFloat64(counts.sent), 0)
				require.InDelta(t, test.failed, testutil.ToFloat64(counts.failed), 0)
			})
		})
	}
	require.Zero(t, rejectedSpans([]byte("no message")))
}
