package overload

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// queued is how many runnable goroutines per CPU are accepted. A request has two: one
	// answers it, one watches its connection.
	queued = 32
	// forLight multiplies queued for callers who have sent few requests lately: the
	// overload comes from others.
	forLight = 8
	// patienceTime is how long the queue must be too long before requests are rejected, and
	// short enough before none is: a burst is no overload (as in RFC 8289, section 3.2).
	patienceTime = 100 * time.Millisecond
	// glance is the time between two measurements of the queue.
	glance = 200 * time.Microsecond
)

// queue detects a long CPU queue. A concurrency limit can't: a request that needs only
// CPU counts as running only while it runs. Before that, it waits in the scheduler's
// queue. It is safe for concurrent use.
type queue struct {
	// waiting returns how many goroutines wait for a CPU.
	waiting func() float64
	began   time.Time

	// next is when to measure again. It counts from began, like the times below.
	next atomic.Int64

	mu sync.Mutex
	// looked is when the queue was last measured.
	looked    time.Duration
	all, some standing
}

// standing tells whether the queue has been too long for a while.
type standing struct {
	full atomic.Bool
	// since when tooLong has its value
	since             time.Duration
	tooLong, shedding bool
}

func newQueue() *queue { return &queue{waiting: runnable, began: time.Now()} }

// runnable returns how many goroutines are runnable but not running.
func runnable() float64 {
	sample := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}

// bound is the maximum length of the queue.
func bound() float64 { return float64(queued * runtime.GOMAXPROCS(0)) }

// Full reports whether a request must be rejected. Light callers are rejected at a longer
// queue than others.
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
	waiting, fresh := q.waiting(), now-q.looked >= patienceTime // a queue that nobody asked about for long isn't too long
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
