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
	// standing is how long there must be more until a request is refused, and
	// no more until none is: a burst is no overload (as in RFC 8289, section 3.2).
	standing = 100 * time.Millisecond
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
	full atomic.Bool

	mu sync.Mutex
	// looked is when it was looked at last, since when it is as long or as short
	// as it was then; both after began.
	looked, since     time.Duration
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

// Full reports whether so many wait that whoever asks is too much.
func (q *queue) Full() bool {
	now := time.Since(q.began)
	next := q.next.Load()
	if int64(now) >= next && q.next.CompareAndSwap(next, int64(now+glance)) {
		q.look(now)
	}
	return q.full.Load()
}

func (q *queue) look(now time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	tooLong := q.waiting() > bound()
	if tooLong != q.tooLong || now-q.looked >= standing { // who doesn't ask for long isn't many
		q.tooLong, q.since = tooLong, now
	}
	q.looked = now
	if now-q.since >= standing {
		q.shedding = tooLong
	}
	q.full.Store(tooLong && q.shedding)
}
