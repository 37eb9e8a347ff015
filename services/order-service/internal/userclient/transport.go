package userclient

import (
	"context"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/requestid"
)

// newTransport returns a connection pool that no other part of the program shares, so none
// can exhaust or close it.
func newTransport(cfg Config) *http.Transport {
	dialer := &net.Dialer{
		// A dial continues after its request was abandoned.
		Timeout:   cfg.TryTimeout,
		KeepAlive: 15 * time.Second,
	}
	return &http.Transport{
		// Ignore HTTP_PROXY: user-service is internal, and a proxy set for other reasons
		// must not see users' ids, or respond in user-service's place.
		Proxy:       nil,
		DialContext: dialer.DialContext,
		// HTTP/1.1 also with TLS: with one attempt per connection, a hung connection fails
		// one attempt instead of all.
		ForceAttemptHTTP2:   false,
		TLSHandshakeTimeout: cfg.TryTimeout,
		MaxIdleConns:        cfg.MaxConcurrent,
		MaxIdleConnsPerHost: cfg.MaxConcurrent,
		// Twice the concurrency limit: abandoned dials count too, and readiness probes need
		// connections when all slots are in use.
		MaxConnsPerHost: 2 * cfg.MaxConcurrent,
		// Shorter than the server's 60s, so that the client closes idle connections first.
		IdleConnTimeout: 30 * time.Second,
		// Responses are small, and without decompression maxAnswer limits their memory.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 16 << 10,
	}
}

func newHTTPClient(cfg Config, transport *http.Transport) *http.Client {
	var rt http.RoundTripper = transport
	if cfg.TokenFile != "" {
		rt = auth.TokenFile(cfg.TokenFile)(rt)
	}
	if cfg.WrapTransport != nil {
		rt = cfg.WrapTransport(rt)
	}
	return &http.Client{
		Transport: rt,
		// A redirect target is not user-service.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		// No Timeout: contexts bound each attempt, including its body.
	}
}

func newRequest(ctx context.Context, url string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", "order-service")
	id := requestid.From(ctx)
	if id != "" {
		req.Header.Set(requestid.Header, id)
	}
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(req.Header))
	return req, nil
}
