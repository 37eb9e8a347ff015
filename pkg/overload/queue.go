package overload

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// queued is how many goroutines may wait for each processor. A request is two
	// of them: one answers it, one watches its connection.
	queued = 32
	// forLight is how many times of that may wait until callers are refused who have
	// asked for little lately: it is the others who ask for too much.
	forLight = 8
	// patienceTime is how long there must be more until a request is refused, and
	// no more until none is: a burst is no overload (as in RFC 8289, section 3.2).
	patienceTime = 100 * time.Millisecond
	// glance is the time between two looks at the queue.
	glance = 200 * time.Microsecond
)

// queue sees that requests wait for a processor. One that needs nothing else is
// under way only while it has one, and what waits before it waits where a bound on
// what is under way doesn't see it: for its goroutine to run. It is safe for
// concurrent use.
type queue struct {
	// waiting returns how many goroutines wait for a processor.
	waiting func() float64
	began   time.Time

	// next is when to look again, after began.
	next atomic.Int64

	mu sync.Mutex
	// looked is when it was looked at last, after began.
	looked    time.Duration
	all, some standing
}

// standing is whether the queue has been too long for a while.
type standing struct {
	full atomic.Bool
	// since when it is as long or as short as it was when it was looked at last.
	since             time.Duration
	tooLong, shedding bool
}

func newQueue() *queue { return &queue{waiting: runnable, began: time.Now()} }

// runnable returns how many goroutines are ready to run and don't.
func runnable() float64 {
	sample := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}

// bound is how many may wait.
func bound() float64 { return float64(queued * runtime.GOMAXPROCS(0)) }

// Full reports whether so many wait that whoever asks is too much. A light caller is
// so later than others.
func (q *queue) Full(light bool) bool {
	now := time.Since(q.began)
	next := q.next.Load()
	if int64(now) >= next && q.next.CompareAndSwap(next, int64(now+glance)) {
		q.look(now)
	}
	if light {
		return q.all.full.Load()
	}
	return q.some.full.Load()
}

func (q *queue) look(now time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting, fresh := q.waiting(), now-q.looked >= patienceTime // who doesn't ask for long isn't many
	q.some.note(now, waiting > bound(), fresh)
	q.all.note(now, waiting > forLight*bound(), fresh)
	q.looked = now
}

func (s *standing) note(now time.Duration, tooLong, fresh bool) {
	if tooLong != s.tooLong || fresh {
		s.tooLong, s.since = tooLong, now
	}
	if now-s.since >= patienceTime {
		s.shedding = tooLong
	}
	s.full.Store(tooLong && s.shedding)
}
