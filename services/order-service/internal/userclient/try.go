package userclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	// maxAnswer limits a response body, in bytes. A user is far below 4 KiB.
	maxAnswer = 64 << 10
	// maxDrain limits how much of an unneeded body is read, in bytes, to reuse its
	// connection.
	maxDrain = 4 << 10
)

// try makes one attempt. It returns nil if the user exists, and *failure otherwise.
func (c *Client) try(ctx context.Context, id uuid.UUID) error {
	c.metrics.inFlight.Inc()
	defer c.metrics.inFlight.Dec()
	start := time.Now()
	ctx, span := startSpan(ctx, c.users)
	err := c.get(ctx, id)
	endSpan(span, err)
	c.metrics.tried(span, outcomeOf(err), time.Since(start))
	return err
}

func (c *Client) get(ctx context.Context, id uuid.UUID) error {
	tryCtx, cancel := context.WithTimeout(ctx, c.cfg.TryTimeout)
	defer cancel()
	req, err := newRequest(tryCtx, c.users.JoinPath(id.String()).String())
	if err != nil {
		return &failure{outcome: rejected, err: err}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		withURL, ok := errors.AsType[*url.Error](err)
		if ok {
			err = withURL.Err // the log doesn't need the URL with the user's id
		}
		return c.failedTransport(ctx, tryCtx, err)
	}
	defer resp.Body.Close()
	status := resp.StatusCode
	trace.SpanFromContext(ctx).SetAttributes(semconv.HTTPResponseStatusCode(status))
	switch {
	case status == http.StatusOK || status == http.StatusNotFound:
		body, err := readAnswer(resp)
		if errors.Is(err, errTooLarge) {
			return &failure{outcome: invalid, err: err}
		}
		if err != nil {
			return c.failedTransport(ctx, tryCtx, err)
		}
		if status == http.StatusNotFound {
			return judgeNotFound(resp.Header, body)
		}
		return judgeUser(resp.Header, body, id)
	default:
		f := c.judgeStatus(ctx, resp)
		drain(resp)
		return f
	}
}

// judgeStatus returns the failure for a status other than 200 and 404.
func (c *Client) judgeStatus(ctx context.Context, resp *http.Response) *failure {
	status := resp.StatusCode
	f := &failure{err: fmt.Errorf("user-service answered %d", status)}
	switch {
	case status >= 500:
		f.outcome = serverError
	case status == http.StatusTooManyRequests:
		f.outcome = tooManyRequests
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		f.outcome = denied
		if c.denials.due() {
			c.log.ErrorContext(ctx, "user-service rejects this service's requests: credentials or access rules are misconfigured",
				"status", status)
		}
	case status >= 400:
		f.outcome = rejected
	case status >= 300:
		f.outcome = redirect
	default:
		f.outcome = invalid
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		f.retryAfter, f.hasRetryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return f
}

// failedTransport returns the failure for an incomplete response: canceled, timed out, or a
// network error.
func (c *Client) failedTransport(ctx, tryCtx context.Context, err error) *failure {
	if ctx.Err() != nil {
		return c.brokenOff(ctx, err)
	}
	timedOut, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	if tryCtx.Err() != nil || ok && timedOut.Timeout() {
		return &failure{outcome: timeout, err: err}
	}
	return &failure{outcome: network, err: err}
}

var errTooLarge = errors.New("user-service's response is too large")

func readAnswer(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > maxAnswer {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errTooLarge
	}
	return body, nil
}

// drain reads a short body to its end, so that the connection can be reused. It skips bodies
// of unknown length.
func drain(resp *http.Response) {
	if resp.ContentLength >= 0 && resp.ContentLength <= maxDrain {
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}
