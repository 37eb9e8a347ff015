package userclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
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

// get returns nil if the user exists, and *failure otherwise. Lookups in flight at the same
// time share a request.
func (c *Client) get(ctx context.Context, id uuid.UUID) error {
	tryCtx, cancel := context.WithTimeout(ctx, c.cfg.TryTimeout)
	defer cancel()
	_, err := c.joined.Do(tryCtx, id)
	_, judged := errors.AsType[*failure](err)
	if tryCtx.Err() != nil && !judged { // it left before its turn
		return brokenOff(tryCtx, err)
	}
	return err
}

// getOne requests one user. The error is a *failure.
func (c *Client) getOne(ctx context.Context, id uuid.UUID) (exists struct{}, err error) {
	header, body, err := c.fetch(ctx, c.users.JoinPath(id.String()))
	if err == nil {
		err = judgeUser(header, body, id)
	}
	return exists, err
}

// getSeveral requests which users exist. The error is a *failure, and that of all of them.
func (c *Client) getSeveral(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]struct{}, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.open, cancel)()
	target := c.users.JoinPath("existing")
	target.RawQuery = "ids=" + joinIDs(ids)
	header, body, err := c.fetch(ctx, target)
	o := outcomeOf(err)
	switch {
	case err == nil:
		return judgeUsers(header, body, ids)
	case o == unknown || o == rejected: // by a user-service that doesn't have this operation yet
		return c.getEach(ctx, ids)
	}
	return nil, err
}

// eachAtOnce limits the concurrent requests of getEach.
const eachAtOnce = 8

// getEach is getSeveral with a request per user.
func (c *Client) getEach(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]struct{}, error) {
	var mu sync.Mutex
	exist := make(map[uuid.UUID]struct{}, len(ids))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(eachAtOnce)
	for _, id := range ids {
		all.Go(func() error {
			_, err := c.getOne(ctx, id)
			if outcomeOf(err) == unknown {
				return nil
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				exist[id] = struct{}{}
			}
			return err
		})
	}
	return exist, all.Wait()
}

// fetch returns a 200 response. The error is a *failure; its outcome is unknown for
// user-service's own 404.
func (c *Client) fetch(ctx context.Context, target *url.URL) (http.Header, []byte, error) {
	req, err := newRequest(ctx, target.String())
	if err != nil {
		return nil, nil, &failure{outcome: rejected, err: err}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		withURL, ok := errors.AsType[*url.Error](err)
		if ok {
			err = withURL.Err // the log doesn't need the URL with the users' ids
		}
		return nil, nil, failedTransport(ctx, err)
	}
	defer resp.Body.Close()
	status := resp.StatusCode
	trace.SpanFromContext(ctx).SetAttributes(semconv.HTTPResponseStatusCode(status))
	if status != http.StatusOK && status != http.StatusNotFound {
		f := c.judgeStatus(ctx, resp)
		drain(resp)
		return nil, nil, f
	}
	body, err := readAnswer(resp)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, nil, &failure{outcome: invalid, err: err}
	case err != nil:
		return nil, nil, failedTransport(ctx, err)
	case status == http.StatusNotFound:
		return nil, nil, judgeNotFound(resp.Header, body)
	}
	return resp.Header, body, nil
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
func failedTransport(ctx context.Context, err error) *failure {
	if ctx.Err() != nil {
		return brokenOff(ctx, err)
	}
	timedOut, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	if ok && timedOut.Timeout() {
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
