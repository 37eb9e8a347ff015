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

// newTransport returns the connection pool. It is the client's own, so that no
// other part of the program can exhaust or close it.
func newTransport(cfg Config) *http.Transport {
	dialer := &net.Dialer{
		// A dial goes on after the request that started it was given up.
		Timeout:   cfg.TryTimeout,
		KeepAlive: 15 * time.Second,
	}
	return &http.Transport{
		// Proxies from the environment are for the internet. user-service is a
		// neighbour, and an HTTP_PROXY set for other reasons must neither see
		// who orders nor be able to answer for it.
		Proxy:       nil,
		DialContext: dialer.DialContext,
		// HTTP/1.1 also with TLS: a connection then carries one try, so one that
		// hangs fails one try instead of all.
		ForceAttemptHTTP2:   false,
		TLSHandshakeTimeout: cfg.TryTimeout,
		MaxIdleConns:        cfg.MaxConcurrent,
		MaxIdleConnsPerHost: cfg.MaxConcurrent,
		// Twice the limit on tries: dials that nobody waits for any more count
		// too, and readiness probes need room next to a full house.
		MaxConnsPerHost: 2 * cfg.MaxConcurrent,
		// Shorter than the server's 60s, so that it is this side that closes.
		IdleConnTimeout: 30 * time.Second,
		// Answers are small, and without decompression their size on the wire is
		// their size in memory.
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
		// A redirect would lead to someone else's word about a user.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		// No Timeout: contexts bound each try, its body included.
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
