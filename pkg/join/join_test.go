package join_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/example/microservices/pkg/join"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var limits = join.Limits{AtOnce: 2, Patience: 100 * time.Millisecond, Within: 5 * time.Second}

var errMissing = errors.New("missing")

// server records the statements it gets, and answers each when told to. Keys below 1000
// have a value.
type server struct {
	mu         sync.Mutex
	statements [][]int
	answer     chan error
}

func (s *server) together(ctx context.Context, keys []int) (map[int]string, error) {
	s.mu.Lock()
	s.statements = append(s.statements, keys)
	s.mu.Unlock()
	select {
	case err := <-s.answer:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	values := map[int]string{}
	for _, k := range keys {
		if k == 13 {
			panic("13")
		}
		if k < 1000 {
			values[k] = strconv.Itoa(k)
		}
	}
	return values, nil
}

func (s *server) alone(ctx context.Context, key int) (string, error) {
	values, err := s.together(ctx, []int{key})
	value, found := values[key]
	if err == nil && !found {
		err = errMissing
	}
	return value, err
}

// busy returns a Joiner with the maximum of statements in flight, and a function that
// finishes them.
func busy(t *testing.T) (*join.Joiner[int, string], *server, func()) {
	s := &server{answer: make(chan error)}
	j := join.New(limits, s.alone, s.together, errMissing)
	first := start(t.Context(), j, 1, 2)
	synctest.Wait()
	require.Equal(t, [][]int{{1}, {2}}, sorted(s.statements), "below the limit, a call is sent at once")
	s.statements = nil
	return j, s, func() {
		s.answer <- nil
		s.answer <- nil
		synctest.Wait()
		for _, r := range first {
			require.NoError(t, (<-r).err)
		}
	}
}

func sorted(statements [][]int) [][]int {
	slices.SortFunc(statements, slices.Compare)
	return statements
}

type result struct {
	value string
	err   error
}

// start begins a call for each key, one after the other.
func start(ctx context.Context, j *join.Joiner[int, string], keys ...int) []chan result {
	var all []chan result
	for _, k := range keys {
		r := make(chan result, 1)
		go func() {
			value, err := j.Do(ctx, k)
			r <- result{value, err}
		}()
		synctest.Wait()
		all = append(all, r)
	}
	return all
}

func TestWaitingCallsShareAStatement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s, finish := busy(t)
		calls := start(t.Context(), j, 3, 4, 3, 1000)
		finish()
		require.Equal(t, [][]int{{3, 4, 1000}}, s.statements, "one statement with each key once")
		s.answer <- nil
		for i, want := range []result{{"3", nil}, {"4", nil}, {"3", nil}, {"", errMissing}} {
			require.Equal(t, want, <-calls[i])
		}
	})
}

// TestACallNeverJoinsAStatementInFlight: a statement in flight may not see what was committed
// after it was sent.
func TestACallNeverJoinsAStatementInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s, finish := busy(t)
		calls := start(t.Context(), j, 1, 3)
		finish()
		calls = append(calls, start(t.Context(), j, 1, 3)...)
		require.Equal(t, [][]int{{1, 3}, {1}}, s.statements, "the free slot is used")
		s.answer <- nil
		synctest.Wait()
		require.Equal(t, [][]int{{1, 3}, {1}, {3}}, s.statements)
		s.answer <- nil
		s.answer <- nil
		for _, c := range calls {
			require.NoError(t, (<-c).err)
		}
	})
}

func TestTheCallsOfAStatementAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s, finish := busy(t)
		var keys []int
		for k := range 150 {
			keys = append(keys, 100+k)
		}
		calls := start(t.Context(), j, keys...)
		finish()
		close(s.answer)
		for i, c := range calls {
			require.Equal(t, result{strconv.Itoa(100 + i), nil}, <-c)
		}
		synctest.Wait()
		require.Equal(t, [][]int{keys[:64], keys[64:128], keys[128:]}, sorted(s.statements))
	})
}

func TestACanceledCallIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s, finish := busy(t)
		ctx, leave := context.WithCancel(t.Context())
		before := start(ctx, j, 3)
		during, leaveLater := context.WithCancel(t.Context())
		first := start(during, j, 6)
		stay := start(t.Context(), j, 4, 5)
		leave()
		require.ErrorIs(t, (<-before[0]).err, context.Canceled, "the canceled call returns")
		finish()
		require.Equal(t, [][]int{{6, 4, 5}}, s.statements)
		leaveLater()
		require.ErrorIs(t, (<-first[0]).err, context.Canceled)
		s.answer <- nil
		require.Equal(t, result{"4", nil}, <-stay[0], "the other calls get their results")
		require.Equal(t, result{"5", nil}, <-stay[1])
	})
}

func TestAllCallersGetASharedError(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		keys []int
		do   func(*server)
		want func(*testing.T, error)
	}{
		"refused":  {[]int{3, 4}, func(s *server) { s.answer <- refused }, func(t *testing.T, err error) { require.ErrorIs(t, err, refused) }},
		"a panic":  {[]int{3, 13}, func(s *server) { s.answer <- nil }, func(t *testing.T, err error) { require.ErrorContains(t, err, "panic in a shared statement: 13") }},
		"too late": {[]int{3, 4}, func(*server) { time.Sleep(time.Minute) }, func(t *testing.T, err error) { require.ErrorIs(t, err, context.DeadlineExceeded) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, s, finish := busy(t)
				calls := start(t.Context(), j, c.keys...)
				finish()
				c.do(s)
				for _, call := range calls {
					c.want(t, (<-call).err)
				}
				again := start(t.Context(), j, 5)
				s.answer <- nil
				require.Equal(t, result{"5", nil}, <-again[0], "later calls work")
			})
		})
	}
}

func TestATracedCallIsSentAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s, _ := busy(t)
		ctx, span := trace.NewTracerProvider().Tracer("").Start(t.Context(), "request")
		defer span.End()
		traced := start(ctx, j, 3)
		require.Equal(t, [][]int{{3}}, s.statements, "the call is sent at once, alone")
		s.answer <- nil
		s.answer <- nil
		s.answer <- nil
		require.NoError(t, (<-traced[0]).err)
	})
}

// TestABlockedStatementDoesNotDelayWaitingCalls: the server may block a write for as long as another
// client holds a lock.
func TestABlockedStatementDoesNotDelayWaitingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s, finish := busy(t)
		calls := start(t.Context(), j, 3, 4)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, [][]int{{3, 4}}, s.statements, "the waiting calls are sent, although two statements are in flight")
		calls = append(calls, start(t.Context(), j, 5)...)
		require.Equal(t, [][]int{{3, 4}, {5}}, s.statements)
		finish()
		s.answer <- nil
		s.answer <- nil
		for i, want := range []string{"3", "4", "5"} {
			require.Equal(t, result{want, nil}, <-calls[i])
		}
	})
}
