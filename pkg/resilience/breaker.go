package resilience

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// ErrOpen is returned by Breaker.Do if it made no call: the breaker is open, or half-open
// with a probe in flight.
var ErrOpen = errors.New("circuit breaker is open")

// State is the state of a Breaker.
type State = gobreaker.State

// States of a Breaker.
const (
	Closed   = gobreaker.StateClosed
	HalfOpen = gobreaker.StateHalfOpen
	Open     = gobreaker.StateOpen
)

// States lists all states.
var States = [...]State{Closed, HalfOpen, Open}

// BreakerConfig configures a Breaker. All fields except OnChange are required.
type BreakerConfig struct {
	// Window is the rolling time window over which outcomes are counted while closed. It
	// moves in tenths.
	Window time.Duration
	// OpenFor is how long calls are rejected after a trip. Then one probe is let through,
	// which closes or reopens the breaker.
	OpenFor time.Duration
	// Minimum is the number of outcomes in the window below which the breaker doesn't trip.
	Minimum int
	// Ratio is the share of failures, in (0, 1], at which the breaker trips.
	Ratio float64
	// IsFailure reports whether an error, never nil, counts as a failure of the called
	// service.
	IsFailure func(error) bool
	// IsExcluded reports whether an error, never nil, says nothing about the called
	// service, for example because the caller gave up. Such a call isn't counted.
	IsExcluded func(error) bool
	// OnChange is called for every change of state, in order, and outside the breaker's
	// lock: it may log, and call State.
	OnChange func(from, to State)
}

// Breaker is a circuit breaker. It wraps gobreaker such that it trips on a ratio of
// outcomes instead of consecutive failures, ignores calls in flight, and reports changes
// outside its lock.
//
// Calls given to Do must have a deadline: a probe that hangs keeps the breaker half-open,
// and all other calls rejected. A Breaker is safe for concurrent use.
type Breaker struct {
	inner     *gobreaker.CircuitBreaker[struct{}]
	openUntil atomic.Pointer[time.Time]
	onChange  func(from, to State)

	mu      sync.Mutex // guards changes; may be taken under gobreaker's lock
	changes []change
	pending atomic.Int64
	telling sync.Mutex // held by the goroutine that calls onChange
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
			// Counts.Requests includes calls in flight and excluded ones: a ratio over it would
			// never trip while many calls hang.
			done := counts.TotalSuccesses + counts.TotalFailures
			return int64(done) >= int64(cfg.Minimum) &&
				float64(counts.TotalFailures) >= cfg.Ratio*float64(done)
		},
		// gobreaker calls both with nil after a success.
		IsSuccessful: func(err error) bool { return err == nil || !cfg.IsFailure(err) },
		IsExcluded:   func(err error) bool { return err != nil && cfg.IsExcluded(err) },
		OnStateChange: func(_ string, from, to State) {
			// This runs under gobreaker's lock: only record the change.
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

// Do makes the call and returns its error, or ErrOpen without making it. A panic in the
// call counts as an error with the panic's text, which IsFailure and IsExcluded judge;
// then it continues.
func (b *Breaker) Do(call func() error) error {
	defer b.tell()
	_, err := b.inner.Execute(func() (struct{}, error) { return struct{}{}, call() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return ErrOpen
	}
	return err
}

// State returns the current state. An open breaker becomes half-open after OpenFor, even
// without a call.
func (b *Breaker) State() State {
	defer b.tell()
	return b.inner.State()
}

// OpenLeft returns the time until an open breaker lets a probe through, or 0 if it isn't
// open.
func (b *Breaker) OpenLeft() time.Duration {
	if b.State() != Open {
		return 0
	}
	return max(0, time.Until(*b.openUntil.Load()))
}

// tell passes the recorded changes to onChange. One goroutine at a time does, so that
// they arrive in order; others leave their changes to it, and it checks again after
// unlocking. So onChange may use b.
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
