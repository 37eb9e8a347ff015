package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// otlpTimeout limits one request to the collector.
	otlpTimeout = 5 * time.Second
	// otlpPause is the delay before the retry.
	otlpPause = 500 * time.Millisecond
	// complainInterval is the minimum time between two log lines about failed exports.
	complainInterval = time.Minute
)

// otlpClient exports spans by OTLP over HTTP
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp). OpenTelemetry's own client
// depends on gRPC, which would be a quarter of the image.
type otlpClient struct {
	url     string
	headers map[string]string
	client  *http.Client
	counts  spanCounts
}

func newOTLPClient(url string, headers map[string]string, counts spanCounts) *otlpClient {
	return &otlpClient{
		url: url, headers: headers, counts: counts,
		client: &http.Client{
			// A redirect would send the headers, and so the credentials, elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       otlpTimeout,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute},
		},
	}
}

var _ otlptrace.Client = (*otlpClient)(nil)

// Start implements otlptrace.Client.
func (c *otlpClient) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *otlpClient) Stop(context.Context) error {
	c.client.CloseIdleConnections()
	return nil
}

// UploadTraces exports spans. It retries a temporary failure once
// (https://opentelemetry.io/docs/specs/otlp/#failures-1), and not more often, because a
// queue waits behind it.
func (c *otlpClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	rejected, err := c.upload(ctx, spans)
	c.counts.sending(spans, rejected, err)
	if err == nil && rejected > 0 {
		err = fmt.Errorf("the collector rejected %d of the spans", rejected)
	}
	return err
}

// upload exports spans. rejected is how many the collector rejected in a partial success.
func (c *otlpClient) upload(ctx context.Context, spans []*tracepb.ResourceSpans) (rejected int64, err error) {
	// This has the wire format of an ExportTraceServiceRequest.
	encoded, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return 0, fmt.Errorf("encode spans: %w", err)
	}
	rejected, again, err := c.post(ctx, encoded)
	if !again {
		return rejected, err
	}
	timer := time.NewTimer(otlpPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, err
	case <-timer.C:
	}
	rejected, _, err = c.post(ctx, encoded)
	return rejected, err
}

// post sends a message. rejected is how many spans the collector rejected in a partial
// success. again reports whether a retry makes sense.
func (c *otlpClient) post(ctx context.Context, encoded []byte) (rejected int64, again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(encoded))
	if err != nil {
		return 0, false, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	response, err := c.client.Do(request)
	if err != nil {
		timeout := os.IsTimeout(err)
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // the URL may contain a credential
		}
		return 0, !timeout, fmt.Errorf("%s://%s: %w", request.URL.Scheme, request.URL.Host, err) // don't retry after a timeout: the spans may have arrived
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if response.StatusCode/100 == 2 {
		return rejectedSpans(answer), false, nil
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = response.Header.Get("Retry-After") == "" // with Retry-After the collector needs more time
	}
	return 0, again, fmt.Errorf("%s://%s answers %s", request.URL.Scheme, request.URL.Host, response.Status)
}

// occasional logs export failures, at most one per complainInterval.
type occasional struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

func newOccasional(log *slog.Logger) *occasional { return &occasional{log: log} }

// Handle implements otel.ErrorHandler.
func (o *occasional) Handle(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Sub(o.last) < complainInterval {
		return
	}
	o.last = now
	o.log.Warn("can't send traces", slog.Any("error", err))
}
