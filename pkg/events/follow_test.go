package events_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/events"
)

// source is a fake HTTP service with a feed of n events. Every third is a deletion.
type source struct {
	n int
	// answer, if set, is asked first. It returns nil, nil to use the default answer.
	answer func(*http.Request) (*http.Response, error)

	asked        []time.Time
	acknowledged []string
	agents       map[string]bool
	turns        *turns
}

// turns synchronises the test with the follower, so that the test may read and change
// shared state.
type turns struct{ sync.Mutex }

func (t *turns) take() {
	t.Lock()
	defer t.Unlock()
}

// cursorOf returns the cursor of event i, counted from 1. The turns have gaps.
func cursorOf(i int) events.Cursor { return events.Cursor{Turn: int64(i/7) * 10, Position: int64(i)} }

func subjectOf(i int) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)) }

func typeOf(i int) string {
	if i%3 == 0 {
		return events.Deleted
	}
	return events.Updated
}

func wire(i int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"x/1","source":"/users","type":"com.example.user.%s","subject":%q,"time":"2026-01-02T03:04:05.678Z","datacontenttype":"application/json","cursor":%q,"data":{"version":1},"later":1}`,
		typeOf(i), subjectOf(i), cursorOf(i))
}

func respond(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// RoundTrip implements http.RoundTripper.
func (s *source) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, time.Now())
	if s.agents == nil {
		s.agents = map[string]bool{}
	}
	s.agents[r.UserAgent()] = true
	if s.answer != nil {
		response, err := s.answer(r)
		if response != nil || err != nil {
			return response, err
		}
	}
	if r.Method == http.MethodPut && r.URL.Path == "/users/events/consumers/me" {
		body, err := io.ReadAll(r.Body)
		s.acknowledged = append(s.acknowledged, string(body))
		if err != nil {
			return nil, err
		}
		return respond(http.StatusNoContent, "")
	}
	after, err := events.ParseCursor(r.URL.Query().Get("cursor"))
	if err != nil || r.Method != http.MethodGet || r.URL.Path != "/users/events" || r.URL.Query().Get("limit") != "500" {
		return respond(http.StatusUnprocessableEntity, "")
	}
	var batch []string
	for i := 1; i <= s.n && len(batch) < 500; i++ {
		if cursorOf(i).Compare(after) > 0 {
			batch = append(batch, wire(i))
		}
	}
	if len(batch) == 0 { // long poll
		wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(wait):
			s.turns.take()
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return respond(http.StatusOK, "["+strings.Join(batch, ",")+"]")
}

// sink keeps in memory what a database would.
type sink struct {
	cursor events.Cursor
	// lost is the second cursor.
	lost    events.Cursor
	effects []events.Event
	moves   int
	// fail, if set, is called before each change.
	fail  func(e *events.Event) error
	turns *turns
}

func (s *sink) Followed(_ context.Context, source string) (events.Cursor, error) {
	s.turns.take()
	if source == "them/again" {
		return s.lost, nil
	}
	return s.cursor, nil
}

func (s *sink) Follow(_ context.Context, source string, from, to events.Cursor, e *events.Event) error {
	if source == "them/again" {
		if from != s.lost {
			return events.ErrMoved
		}
		s.lost = to
		return nil
	}
	if source != "them" {
		return errors.New("another source")
	}
	if from != s.cursor {
		return events.ErrMoved
	}
	if s.fail != nil {
		err := s.fail(e)
		if err != nil {
			return err
		}
	}
	s.moves++
	s.cursor = to
	if e != nil {
		s.effects = append(s.effects, *e)
	}
	return nil
}

// followed is a running follower.
type followed struct {
	from  *source
	to    *sink
	log   bytes.Buffer
	reg   *prometheus.Registry
	stop  func()
	turns turns
}

// wait advances the time by d, and returns when the follower is blocked.
func (f *followed) wait(d time.Duration) {
	f.turns.take()
	time.Sleep(d)
	synctest.Wait()
}

// follow runs a follower in a bubble until test returns or calls stop.
func follow(t *testing.T, from *source, to *sink, test func(*testing.T, *followed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &followed{from: from, to: to, reg: prometheus.NewRegistry()}
		from.turns, to.turns = &f.turns, &f.turns
		follower := &events.Follower{
			Source: "them", Name: "me", Sink: to, Client: &http.Client{Transport: from},
			URL: &url.URL{Scheme: "http", Host: "them", Path: "/users/events"}, Log: slog.New(slog.NewTextHandler(&f.log, nil)),
			Concerns: func(e events.Event) bool { return e.Type == events.Deleted },
		}
		follower.Register(f.reg)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- follower.Run(ctx) }()
		stopped := false
		f.stop = func() {
			if !stopped {
				stopped = true
				cancel()
				began := time.Now()
				require.NoError(t, <-ended)
				require.Zero(t, time.Since(began), "Run ends at once")
			}
		}
		defer f.stop()
		test(t, f)
	})
}

// metric returns the value of a metric.
func (f *followed) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := f.reg.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	require.Fail(t, "no such metric", name)
	return 0
}

func TestEachEventHasItsEffectOnce(t *testing.T) {
	const n = 1234 // three batches
	follow(t, &source{n: n}, &sink{}, func(t *testing.T, f *followed) {
		f.wait(time.Second)
		require.Len(t, f.to.effects, n/3)
		for i, e := range f.to.effects {
			require.Equal(t, subjectOf(3*i+3), e.Subject)
			require.Equal(t, cursorOf(3*i+3), e.Cursor)
			require.Equal(t, events.Deleted, e.Type)
			require.Equal(t, "2026-01-02T03:04:05.678Z", e.Time.Format(time.RFC3339Nano))
		}
		require.Equal(t, cursorOf(n), f.to.cursor, "the cursor also moves past events without an effect")
		require.Equal(t, n/3+3, f.to.moves, "one move per effect, and one after each batch")
		require.InDelta(t, n/3, f.metric(t, "events_applied_total"), 0)
		require.Empty(t, f.log.String())
		require.Equal(t, map[string]bool{"me": true}, f.from.agents)

		f.from.n = n + 3 // one more deletion, during the long poll
		f.wait(20 * time.Second)
		require.Len(t, f.to.effects, (n+3)/3)
		require.InDelta(t, 1, f.metric(t, "events_lag_seconds"), 0.2)
		n, err := testutil.GatherAndCount(f.reg)
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
}

// TestProgressIsAcknowledged: progress is acknowledged. The acknowledgement is repeated from
// time to time and after a restart, because the last one may have been lost.
func TestProgressIsAcknowledged(t *testing.T) {
	from, to := &source{n: 600}, &sink{}
	want := []string{fmt.Sprintf(`{"cursor":%q}`, cursorOf(500)), fmt.Sprintf(`{"cursor":%q}`, cursorOf(600))}
	follow(t, from, to, func(t *testing.T, f *followed) {
		f.wait(time.Hour)
		require.InDelta(t, 90, len(from.acknowledged), 5, "acknowledgements are repeated, because a late one may have reverted a newer one")
		require.Equal(t, want, slices.Compact(from.acknowledged), "only the positions after the two batches are acknowledged")
		from.acknowledged = nil
	})
	follow(t, from, to, func(t *testing.T, f *followed) {
		f.wait(time.Second)
		require.Equal(t, want[1:], slices.Compact(from.acknowledged))
		require.Len(t, to.effects, 200, "no effect is repeated")
	})
}

func TestAFailedAcknowledgementIsRepeated(t *testing.T) {
	refused := 0
	from := &source{n: 3, answer: func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && refused < 3 {
			refused++
			return respond(http.StatusServiceUnavailable, "")
		}
		return nil, nil
	}}
	follow(t, from, &sink{}, func(t *testing.T, f *followed) {
		f.wait(time.Second)
		require.Len(t, f.to.effects, 1)
		require.Empty(t, from.acknowledged)
		f.wait(2 * time.Minute)
		require.Equal(t, []string{fmt.Sprintf(`{"cursor":%q}`, cursorOf(3))}, slices.Compact(from.acknowledged))
		require.Len(t, f.to.effects, 1)
		require.InDelta(t, 3, f.metric(t, "events_failures_total"), 0)
	})
}

// TestARefusedAcknowledgementDelaysNoEffect: a source that doesn't know the follower's name,
// or can't write, keeps no record of its erasures. They are made all the same.
func TestARefusedAcknowledgementDelaysNoEffect(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		refusing := true
		from := &source{n: 1234, answer: func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut && refusing {
				return respond(status, "")
			}
			return nil, nil
		}}
		follow(t, from, &sink{}, func(t *testing.T, f *followed) {
			f.wait(time.Second)
			require.Len(t, f.to.effects, 1234/3, "all batches, without a pause")
			f.wait(time.Minute)
			from.n += 3
			f.wait(time.Minute)
			require.Len(t, f.to.effects, 1237/3)
			require.Equal(t, 1, strings.Count(f.log.String(), "WARN"))
			require.Contains(t, f.log.String(), fmt.Sprintf("them answered %d to PUT", status))
			require.Greater(t, f.metric(t, "events_failures_total"), 1.0)
			refusing = false
			f.wait(2 * time.Minute) // a long poll, the longest delay, and a long poll
			require.Equal(t, []string{fmt.Sprintf(`{"cursor":%q}`, cursorOf(1237))}, slices.Compact(from.acknowledged))
			require.Contains(t, f.log.String(), "following events again")
		})
	}
}

// troubles are the failures of a source.
var troubles = map[string]func(*http.Request) (*http.Response, error){
	"refused":    func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
	"500":        func(*http.Request) (*http.Response, error) { return respond(500, "[]") },
	"410":        func(*http.Request) (*http.Response, error) { return respond(410, "[]") },
	"404":        func(*http.Request) (*http.Response, error) { return respond(404, "[]") },
	"429":        func(*http.Request) (*http.Response, error) { return respond(429, "[]") },
	"304":        func(*http.Request) (*http.Response, error) { return respond(304, "[]") },
	"no JSON":    garbage("<html>secret"),
	"nothing":    garbage(""),
	"half":       garbage("[" + wire(1)[:60]),
	"an object":  garbage(wire(1)),
	"twice":      garbage("[" + wire(1) + "," + wire(1) + "]"),
	"backwards":  garbage("[" + wire(2) + "," + wire(1) + "]"),
	"0.3":        garbage("[" + wire(3) + "," + strings.Replace(wire(4), `"1.0"`, `"0.3"`, 1) + "]"),
	"no cursor":  garbage("[" + wire(3) + "," + strings.Replace(wire(4), `"cursor"`, `"curse"`, 1) + "]"),
	"no subject": garbage("[" + strings.Replace(wire(3), `"subject"`, `"object"`, 1) + "]"),
	"nil":        garbage("[" + strings.Replace(wire(3), subjectOf(3).String(), uuid.Nil.String(), 1) + "]"),
	"a name":     garbage("[" + strings.Replace(wire(3), subjectOf(3).String(), "secret", 1) + "]"),
	"no time":    garbage("[" + strings.Replace(wire(3), "2026-01-02", "secret", 1) + "]"),
	"a null":     garbage("[null]"),
	"too large":  garbage("[" + strings.Repeat(wire(3)+",", 5<<20/len(wire(3))) + wire(4) + "]"),
	"endless": func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(spaces{})}, nil
	},
	"cut off": func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(io.MultiReader(strings.NewReader("["+wire(3)), broken{}))}, nil
	},
	"silent": func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	},
}

func garbage(body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return respond(http.StatusOK, body) }
}

type (
	spaces struct{}
	broken struct{}
)

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestAnInvalidBatchHasNoEffect: no event of an invalid answer is applied, not even the
// valid ones. The follower retries with growing delays, and recovers.
func TestAnInvalidBatchHasNoEffect(t *testing.T) {
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			from := &source{n: 9, answer: trouble}
			follow(t, from, &sink{}, func(t *testing.T, f *followed) {
				f.wait(3 * time.Minute)
				require.Empty(t, f.to.effects)
				require.Equal(t, events.Cursor{}, f.to.cursor)
				require.InDelta(t, len(from.asked), f.metric(t, "events_failures_total"), 1)
				require.InDelta(t, 180, f.metric(t, "events_lag_seconds"), 1)
				require.Equal(t, 1, strings.Count(f.log.String(), "\n"), "one log line, not one per failure")
				require.NotContains(t, f.log.String(), "secret")
				if name != "silent" { // whose requests time out instead
					for i, longest := range []float64{1, 2, 4, 8, 16, 30, 30} {
						wait := from.asked[i+1].Sub(from.asked[i]).Seconds()
						require.LessOrEqual(t, wait, longest)
						require.GreaterOrEqual(t, wait, longest/2)
					}
				}
				from.answer = nil
				f.wait(2 * time.Minute)
				require.Len(t, f.to.effects, 3)
				require.Contains(t, f.log.String(), "following events again")
				require.Less(t, f.metric(t, "events_lag_seconds"), 21.0)
			})
		})
	}
}

// TestASilentServiceTimesOut: a request times out after twice the long poll.
func TestASilentServiceTimesOut(t *testing.T) {
	from := &source{n: 3, answer: troubles["silent"]}
	follow(t, from, &sink{}, func(t *testing.T, f *followed) {
		f.wait(40*time.Second - time.Nanosecond)
		require.Zero(t, f.metric(t, "events_failures_total"))
		f.wait(time.Nanosecond)
		require.InDelta(t, 1, f.metric(t, "events_failures_total"), 0)
	})
}

// TestAFailedEventBlocksLaterEvents: an event is applied only after those before it.
func TestAFailedEventBlocksLaterEvents(t *testing.T) {
	failing := true
	to := &sink{fail: func(e *events.Event) error {
		if failing && e != nil && e.Subject == subjectOf(6) {
			return errors.New("the disk is full")
		}
		return nil
	}}
	follow(t, &source{n: 12}, to, func(t *testing.T, f *followed) {
		f.wait(10 * time.Minute)
		require.Len(t, to.effects, 1)
		require.Equal(t, cursorOf(3), to.cursor)
		require.Contains(t, f.log.String(), "the disk is full")
		require.Contains(t, f.log.String(), cursorOf(6).String())
		failing = false
		f.wait(time.Minute)
		require.Len(t, to.effects, 4)
	})
}

// TestAnotherReplicaMayMoveTheCursorFirst: ErrMoved is no failure. The follower continues at the
// new cursor without a delay.
func TestAnotherReplicaMayMoveTheCursorFirst(t *testing.T) {
	to := &sink{}
	to.fail = func(e *events.Event) error {
		if e != nil && e.Subject == subjectOf(6) && to.cursor != cursorOf(9) {
			to.cursor = cursorOf(9) // moved by the other replica
			return fmt.Errorf("written by another: %w", events.ErrMoved)
		}
		return nil
	}
	follow(t, &source{n: 12}, to, func(t *testing.T, f *followed) {
		f.wait(time.Second)
		require.Equal(t, cursorOf(12), to.cursor)
		require.Len(t, to.effects, 2)
		require.Equal(t, subjectOf(3), to.effects[0].Subject)
		require.Equal(t, subjectOf(12), to.effects[1].Subject, "effects of the other replica are not repeated")
		require.Zero(t, f.metric(t, "events_failures_total"))
		require.Empty(t, f.log.String())
	})
}

// TestACursorAtTheBeginningIsNotAcknowledged: another replica moved the cursor back to the
// beginning, after a restore of the source, and ended. There is nothing to acknowledge, and
// the source rejects an empty cursor.
func TestACursorAtTheBeginningIsNotAcknowledged(t *testing.T) {
	from, to := &source{n: 3}, &sink{}
	from.answer = func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) == `{"cursor":""}` {
				return respond(http.StatusUnprocessableEntity, "")
			}
		}
		return nil, nil
	}
	follow(t, from, to, func(t *testing.T, f *followed) {
		f.wait(time.Second)
		require.Len(t, to.effects, 1)
		to.cursor = events.Cursor{}
		f.wait(time.Minute)
		require.Equal(t, cursorOf(3), to.cursor)
		require.Zero(t, f.metric(t, "events_failures_total"))
	})
}

// TestAStopInterruptsEveryWait: a stop ends Run at once during a long poll, a silent request or a
// backoff. (follow asserts it.)
func TestAStopInterruptsEveryWait(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"for an event": nil, "for an answer": troubles["silent"], "for the next try": troubles["refused"],
	} {
		t.Run(name, func(t *testing.T) {
			follow(t, &source{n: 3, answer: answer}, &sink{}, func(t *testing.T, f *followed) {
				f.wait(time.Second)
				f.stop()
				require.NotContains(t, f.log.String(), context.Canceled.Error())
			})
		})
	}
}

// TestABusyFeedIsReadInBatches: on a busy feed, requests and transactions are limited
// per second, and don't grow with the events.
func TestABusyFeedIsReadInBatches(t *testing.T) {
	from := &source{n: 0}
	from.answer = func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet {
			from.n++
		}
		return nil, nil
	}
	follow(t, from, &sink{}, func(t *testing.T, f *followed) {
		f.wait(10 * time.Second)
		require.InDelta(t, 100, from.n, 2)
		require.Len(t, from.acknowledged, from.n-1)
		require.Len(t, f.to.effects, from.n/3)
	})
}

// TestARestoredFeedIsReadFromTheBeginning: the source was restored from a backup, and
// has other events at cursors that were already applied.
func TestARestoredFeedIsReadFromTheBeginning(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprint("restarted ", restarted), func(t *testing.T) {
			from, to := &source{n: 30}, &sink{}
			from.answer = func(r *http.Request) (*http.Response, error) {
				after, err := events.ParseCursor(r.URL.Query().Get("cursor"))
				if err != nil || r.Method == http.MethodPut {
					return nil, err
				}
				if after.Compare(cursorOf(from.n)) > 0 {
					return respond(http.StatusGone, "")
				}
				return nil, nil
			}
			back := func(t *testing.T, f *followed) {
				f.wait(time.Minute)
				require.Equal(t, cursorOf(12), to.cursor)
				require.Len(t, to.effects, 14, "events are applied again from the beginning")
				require.Contains(t, f.log.String(), "was lost by a restore")
				require.Zero(t, f.metric(t, "events_failures_total"))
			}
			follow(t, from, to, func(t *testing.T, f *followed) {
				f.wait(time.Second)
				require.Len(t, to.effects, 10)
				from.n = 12
				if !restarted {
					back(t, f)
				}
			})
			if restarted {
				follow(t, from, to, back)
			}
		})
	}
}

// TestReadingAgainWithdrawsNoAcknowledgement: a follower that reads a long feed again from
// the beginning acknowledges only when it is at the end. A cursor in between would withdraw
// the acknowledgement of what was applied long ago. The same is true of another replica, and
// of one that has begun in the middle.
func TestReadingAgainWithdrawsNoAcknowledgement(t *testing.T) {
	const n = 1700
	lost := events.Cursor{Turn: 1, Position: n}
	t.Run("in the middle", func(t *testing.T) {
		from, to := &source{n: n}, &sink{cursor: cursorOf(500), lost: lost}
		follow(t, from, to, func(t *testing.T, f *followed) {
			f.wait(time.Minute)
			require.Equal(t, []string{fmt.Sprintf(`{"cursor":%q}`, cursorOf(n))}, slices.Compact(from.acknowledged))
			require.Zero(t, to.lost)
		})
	})
	t.Run("another replica was faster", func(t *testing.T) {
		from, to := &source{n: n}, &sink{cursor: lost}
		from.answer = func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("cursor") == lost.String() {
				to.cursor, to.lost = cursorOf(500), lost // by the other replica, which then ends
				return respond(http.StatusGone, "")
			}
			return nil, nil
		}
		follow(t, from, to, func(t *testing.T, f *followed) {
			f.wait(time.Minute)
			require.Equal(t, []string{fmt.Sprintf(`{"cursor":%q}`, lost), fmt.Sprintf(`{"cursor":%q}`, cursorOf(n))}, slices.Compact(from.acknowledged))
			require.Zero(t, to.lost)
		})
	})
	from, to := &source{n: n}, &sink{cursor: lost}
	from.answer = func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet && r.URL.Query().Get("cursor") == lost.String() {
			return respond(http.StatusGone, "")
		}
		return nil, nil
	}
	follow(t, from, to, func(t *testing.T, f *followed) {
		f.wait(time.Minute)
		require.Len(t, to.effects, n/3)
		require.NotContains(t, from.acknowledged[1:], fmt.Sprintf(`{"cursor":%q}`, cursorOf(500)))
		require.Equal(t, fmt.Sprintf(`{"cursor":%q}`, cursorOf(n)), from.acknowledged[1], "the first is that of the lost cursor")
	})
}
