package resilience

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// ErrOpen is returned by Breaker.Do when the call was not made: the breaker is
// open, or half-open and its probe has not come back yet.
var ErrOpen = errors.New("circuit breaker is open")

// State is the state of a Breaker.
type State = gobreaker.State

// The states of a Breaker.
const (
	Closed   = gobreaker.StateClosed
	HalfOpen = gobreaker.StateHalfOpen
	Open     = gobreaker.StateOpen
)

// States lists every state a Breaker can be in.
var States = [...]State{Closed, HalfOpen, Open}

// BreakerConfig describes a Breaker. Every field is required, except OnChange.
type BreakerConfig struct {
	// Window is the time over which outcomes are counted while closed. It rolls
	// in tenths.
	Window time.Duration
	// OpenFor is the time for which calls are refused after a trip. Then one
	// probe is let through; it decides between closing and opening again.
	OpenFor time.Duration
	// Minimum is the number of outcomes in the window below which nothing trips.
	Minimum int
	// Ratio is the share of failures among the outcomes, in (0, 1], that trips.
	Ratio float64
	// IsFailure reports whether a call's error, never nil, speaks against the
	// other side.
	IsFailure func(error) bool
	// IsExcluded reports whether a call's error, never nil, says nothing about
	// the other side, such as its caller having given up. Such a call counts
	// neither way.
	IsExcluded func(error) bool
	// OnChange is told of every change of state, in order, and never under the
	// breaker's lock: it may log, and it may ask for the State.
	OnChange func(from, to State)
}

// Breaker stops calling a side that keeps failing. It is gobreaker, set up so
// that its sharp edges are out of reach: it trips on a ratio of outcomes rather
// than on failures in a row, it ignores calls still in flight, and it tells of
// its changes outside its lock.
//
// The calls given to Do must end by themselves. A probe that hangs keeps the
// breaker half-open, and every other call refused, for as long as it hangs: put
// a deadline on the try. A Breaker is safe for concurrent use.
type Breaker struct {
	inner     *gobreaker.CircuitBreaker[struct{}]
	openUntil atomic.Pointer[time.Time]
	onChange  func(from, to State)

	mu      sync.Mutex // guards changes; may be taken under gobreaker's lock
	changes []change
	pending atomic.Int64
	telling sync.Mutex // held by the one goroutine that calls onChange
}

type change struct{ from, to State }

// NewBreaker returns a closed breaker.
func NewBreaker(cfg BreakerConfig) *Breaker {
	b := &Breaker{onChange: cfg.OnChange}
	b.inner = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  1,
		Interval:     cfg.Window,
		BucketPeriod: max(cfg.Window/10, 1),
		Timeout:      cfg.OpenFor,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			// Counts.Requests holds the calls still in flight and the excluded
			// ones too; a ratio over it would never trip while many hang.
			done := counts.TotalSuccesses + counts.TotalFailures
			return int64(done) >= int64(cfg.Minimum) &&
				float64(counts.TotalFailures) >= cfg.Ratio*float64(done)
		},
		// Both are called with nil after a call that succeeded.
		IsSuccessful: func(err error) bool { return err == nil || !cfg.IsFailure(err) },
		IsExcluded:   func(err error) bool { return err != nil && cfg.IsExcluded(err) },
		OnStateChange: func(_ string, from, to State) {
			// This runs under gobreaker's lock: only take notes.
			if to == Open {
				until := time.Now().Add(cfg.OpenFor)
				b.openUntil.Store(&until)
			}
			b.mu.Lock()
			b.changes = append(b.changes, change{from, to})
			b.mu.Unlock()
			b.pending.Add(1)
		},
	})
	return b
}

// Do makes the call, unless the breaker refuses it with ErrOpen, and returns the
// call's own error. A panic in the call counts as a failure and goes on.
func (b *Breaker) Do(call func() error) error {
	defer b.tell()
	_, err := b.inner.Execute(func() (struct{}, error) { return struct{}{}, call() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return ErrOpen
	}
	return err
}

// State returns the state as of now. An open breaker whose time is over is
// half-open, whether or not a call has come since.
func (b *Breaker) State() State {
	defer b.tell()
	return b.inner.State()
}

// OpenLeft returns the time until an open breaker lets a probe through, and 0
// when it isn't open.
func (b *Breaker) OpenLeft() time.Duration {
	if b.State() != Open {
		return 0
	}
	return max(0, time.Until(*b.openUntil.Load()))
}

// tell hands the noted changes to onChange, one goroutine at a time so that they
// arrive in order. Whoever finds another one at it leaves the rest to that one,
// which looks again after letting go. It follows that onChange may use b.
func (b *Breaker) tell() {
	for b.pending.Load() > 0 {
		if !b.telling.TryLock() {
			return
		}
		b.mu.Lock()
		changes := b.changes
		b.changes = nil
		b.mu.Unlock()
		b.pending.Add(-int64(len(changes)))
		for _, c := range changes {
			if b.onChange != nil {
				b.onChange(c.from, c.to)
			}
		}
		b.telling.Unlock()
	}
}
