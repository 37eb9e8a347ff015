package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/resilience"
)

// ErrMoved is returned by a Sink whose cursor isn't at from, because another replica has
// moved it. The sink has changed nothing.
var ErrMoved = errors.New("the cursor has moved")

// Sink applies events, and stores the cursor.
type Sink interface {
	// Followed returns the cursor of a source: the events up to it are applied.
	Followed(ctx context.Context, source string) (Cursor, error)
	// Follow applies the event, unless it is nil, and moves the cursor of a source in the
	// same transaction. An effect that needs several transactions must be safe to repeat; the
	// last one moves the cursor. Follow returns ErrMoved if the cursor isn't at from.
	Follow(ctx context.Context, source string, from, to Cursor, e *Event) error
}

// Follower applies the events of another service's feed, each exactly once.
type Follower struct {
	// Source is the name of the service with the feed, and Name this service's name as its
	// consumer.
	Source, Name string
	// URL is the URL of the feed: …/events.
	URL *url.URL
	// Client sends the requests. Its Timeout must be at least requestTimeout; zero will do.
	Client *http.Client
	Sink   Sink
	// Concerns reports whether an event is to be applied.
	Concerns func(Event) bool
	Log      *slog.Logger
	// Jitter randomises the delays between attempts (resilience.Backoff); nil is the
	// default.
	Jitter func(time.Duration) time.Duration

	acknowledged   Cursor
	acknowledgedAt time.Time
	failing        bool
	metrics        followerMetrics
}

const (
	batchSize = 500
	pollWait  = 20 * time.Second
	// gather is the pause after a batch that wasn't full. On a busy feed, events are then
	// read, acknowledged and recorded in batches, not one by one.
	gather = 100 * time.Millisecond
	// requestTimeout limits one request, including its long poll.
	requestTimeout = pollWait + 20*time.Second
	// emptyPause is the pause after an empty answer that came at once.
	emptyPause = time.Second
	// acknowledgeAgain is how often an unchanged cursor is acknowledged again. An earlier
	// acknowledgement that arrives late, or twice, moves the source's record back; this
	// repairs it.
	acknowledgeAgain = 30 * time.Second
	// maxBatch is the maximum size of an answer, in bytes.
	maxBatch = 4 << 20
	// rereading, after the source's name, names a second cursor. While events are read again
	// that were applied before, it is the cursor that was lost; otherwise it is at the
	// beginning. Until all are read, no cursor among them is acknowledged, by any replica:
	// that would withdraw the acknowledgement of the later ones.
	rereading = "/again"
)

type followerMetrics struct {
	applied, failures prometheus.Counter
	caughtUp          atomic.Int64 // Unix nanoseconds
}

// Register registers the follower's metrics. Call it before Run.
func (f *Follower) Register(r prometheus.Registerer) {
	labels := prometheus.Labels{"source": f.Source}
	f.metrics.applied = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "events_applied_total", ConstLabels: labels,
		Help: "Events of another service that were applied.",
	})
	f.metrics.failures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "events_failures_total", ConstLabels: labels,
		Help: "Failed attempts to read or apply events of another service. Each is retried.",
	})
	f.metrics.caughtUp.Store(time.Now().UnixNano())
	r.MustRegister(f.metrics.applied, f.metrics.failures, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "events_lag_seconds", ConstLabels: labels,
		Help: "Seconds since all events of another service were last known to be applied. Up to about 20 is normal: a long poll of an idle feed takes that long.",
	}, func() float64 { return time.Since(time.Unix(0, f.metrics.caughtUp.Load())).Seconds() }))
}

// Run follows the feed until ctx is done. It retries failures for ever: an event that
// can't be applied blocks those after it.
func (f *Follower) Run(ctx context.Context) error {
	backoff := resilience.Backoff{Base: time.Second, Max: 30 * time.Second, Jitter: f.Jitter}
	for failures := 0; ctx.Err() == nil; {
		n, err := f.step(ctx)
		switch {
		case err == nil, errors.Is(err, ErrMoved):
			failures = 0
			f.note(ctx, nil)
			if n > 0 && n < batchSize {
				wait(ctx, gather)
			}
			continue
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to stop
		}
		f.metrics.failures.Inc()
		f.note(ctx, err)
		if n < batchSize {
			wait(ctx, backoff.Delay(failures))
		}
		failures++
	}
	return nil
}

// wait returns after d, or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// note logs the first failure, and the recovery.
func (f *Follower) note(ctx context.Context, err error) {
	switch {
	case err != nil && !f.failing:
		f.Log.WarnContext(ctx, "can't follow events; retrying", slog.String("source", f.Source), slog.Any("error", err))
	case err == nil && f.failing:
		f.Log.InfoContext(ctx, "following events again", slog.String("source", f.Source))
	}
	f.failing = err != nil
}

// step reads a batch, applies its events and returns how many it had. A failed
// acknowledgement is an error, too, but only after the events are applied: the source keeps
// no record of the erasures then, and yet they must be made.
func (f *Follower) step(ctx context.Context) (n int, err error) {
	lost, err := f.Sink.Followed(ctx, f.Source+rereading) // first: when it is reset, the cursor below is at the end
	if err != nil {
		return 0, err
	}
	at, err := f.Sink.Followed(ctx, f.Source)
	if err != nil {
		return 0, err
	}
	var batch []Event
	var failed error
	if at != (Cursor{}) && lost == (Cursor{}) && (at != f.acknowledged || time.Since(f.acknowledgedAt) > acknowledgeAgain) {
		err = f.acknowledge(ctx, at)
		if !errors.Is(err, ErrGone) {
			failed, err = err, nil
		}
	}
	began := time.Now()
	if err == nil {
		batch, err = f.fetch(ctx, at)
	}
	if errors.Is(err, ErrGone) && at != (Cursor{}) {
		return 0, f.beginAnew(ctx, at)
	}
	if err != nil {
		return 0, err
	}
	if len(batch) == 0 && time.Since(began) < emptyPause { // the source didn't wait, for example because it is stopping
		wait(ctx, emptyPause)
	}
	from, to := at, at
	for _, e := range batch {
		to = e.Cursor
		if !f.Concerns(e) {
			continue
		}
		err = f.Sink.Follow(ctx, f.Source, from, to, &e)
		if err != nil {
			return 0, fmt.Errorf("event %s: %w", e.Cursor, err)
		}
		from = to
		f.metrics.applied.Inc()
	}
	if from != to {
		err = f.Sink.Follow(ctx, f.Source, from, to, nil)
		if err != nil {
			return 0, err
		}
	}
	if len(batch) < batchSize {
		f.metrics.caughtUp.Store(time.Now().UnixNano())
		if lost != (Cursor{}) {
			err = f.Sink.Follow(ctx, f.Source+rereading, lost, Cursor{}, nil)
		}
	}
	return len(batch), errors.Join(failed, err)
}

// beginAnew resets the cursor to the beginning, when the cursor's event no longer exists.
// Events that were applied before are applied again, without effect. No new event is missed.
func (f *Follower) beginAnew(ctx context.Context, at Cursor) error {
	wait(ctx, emptyPause) // two servers that answer in turn, of which one lacks the event, would keep this busy
	err := f.Sink.Follow(ctx, f.Source+rereading, Cursor{}, at, nil)
	if err == nil || errors.Is(err, ErrMoved) { // which another replica has set, or an attempt that was cut off
		err = f.Sink.Follow(ctx, f.Source, at, Cursor{}, nil)
	}
	if err == nil {
		f.acknowledged = Cursor{}
		f.Log.WarnContext(ctx, "reading events from the beginning: the last one that was read has expired, or was lost by a restore or a failover", slog.String("source", f.Source), slog.String("cursor", at.String()))
	}
	return err
}

// fetch returns the events after a cursor, by a long poll.
func (f *Follower) fetch(ctx context.Context, after Cursor) ([]Event, error) {
	query := url.Values{"limit": {strconv.Itoa(batchSize)}, "wait": {pollWait.String()}}
	if after != (Cursor{}) {
		query.Set("cursor", after.String())
	}
	address := *f.URL
	address.RawQuery = query.Encode()
	answer, err := f.do(ctx, http.MethodGet, &address, nil)
	if err != nil {
		return nil, err
	}
	var sent []CloudEvent[struct{}]
	err = json.Unmarshal(answer, &sent)
	if err != nil {
		return nil, errors.New("the response is not a batch of CloudEvents") // err may quote the answer
	}
	batch := make([]Event, len(sent))
	for i, c := range sent {
		batch[i] = Event{Subject: c.Subject, Type: c.Type[strings.LastIndexByte(c.Type, '.')+1:], Time: time.Time(c.Time)}
		batch[i].Cursor, err = ParseCursor(c.Cursor)
		if err != nil || c.SpecVersion != "1.0" || batch[i].Cursor.Compare(after) <= 0 || batch[i].Subject == uuid.Nil {
			return nil, errors.New("the response has an event that is malformed or out of order")
		}
		after = batch[i].Cursor
	}
	return batch, nil
}

// acknowledge tells the source that all events up to a cursor are applied.
func (f *Follower) acknowledge(ctx context.Context, at Cursor) error {
	body, err := json.Marshal(map[string]string{"cursor": at.String()})
	if err == nil {
		_, err = f.do(ctx, http.MethodPut, f.URL.JoinPath("consumers", f.Name), body)
	}
	if err == nil {
		f.acknowledged, f.acknowledgedAt = at, time.Now()
	}
	return err
}

func (f *Follower) do(ctx context.Context, method string, address *url.URL, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", f.Name)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := f.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxBatch+1))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusGone:
		return nil, ErrGone
	case response.StatusCode/100 != 2:
		return nil, fmt.Errorf("%s answered %d to %s %s", f.Source, response.StatusCode, method, address.Path)
	case len(answer) > maxBatch:
		return nil, errors.New("the response is too large")
	}
	return answer, nil
}
