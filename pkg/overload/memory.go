package overload

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

var (
	// ErrFull means that the requests in flight hold all the memory for requests.
	ErrFull = errors.New("requests in flight hold too much memory")
	// ErrShare means that one caller's requests in flight hold the caller's share.
	ErrShare = errors.New("this caller's requests in flight hold too much memory")
)

const (
	mebibyte = 1 << 20
	// withoutLimit is the memory for requests without GOMEMLIMIT, in bytes.
	withoutLimit = 64 * mebibyte
	// ofLimit and ofMemory are divisors: requests may hold a quarter of GOMEMLIMIT, and one
	// caller a quarter of that.
	ofLimit, ofMemory = 4, 4
	// maxQueue limits how many requests wait for memory, and maxOwnQueue how many of one
	// caller wait for its share.
	maxQueue, maxOwnQueue = 500, 64
	// maxWrites limits one caller's concurrent writes. The database runs them one after the
	// other anyway, and writes to the same resource make each other start over.
	maxWrites = 8
	// keptAccounts is how many unused accounts are kept for reuse.
	keptAccounts = 64
)

// MemoryConfig configures the memory for requests.
type MemoryConfig struct {
	RequestMemoryMiB int64 `envconfig:"REQUEST_MEMORY_MIB" default:"0" min:"0" max:"1048576" desc:"memory for bodies and responses of requests in flight, in MiB; one caller may use a quarter of it; 0: a quarter of GOMEMLIMIT, or 64 without one"`
}

// Memory limits how many bytes the bodies and answers of requests in flight hold, in
// total and per caller, from before the body is read until the last byte of the answer is
// written. It is safe for concurrent use. A nil *Memory is unlimited.
type Memory struct {
	total, share int64
	all          *semaphore.Weighted
	patience     patience

	mu      sync.Mutex
	callers map[string]*account
	unused  []*account // at most keptAccounts

	byAll, byCaller prometheus.Counter
}

// account is what one caller holds. It exists while it has users.
type account struct {
	*semaphore.Weighted
	// writes limits the caller's concurrent writes.
	writes   *semaphore.Weighted
	patience patience
	users    int
}

// NewMemory returns the limit that c configures.
func NewMemory(c MemoryConfig, registerer prometheus.Registerer) *Memory {
	total := c.RequestMemoryMiB * mebibyte
	if total == 0 {
		total = withoutLimit
		if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
			total = max(mebibyte, limit/ofLimit)
		}
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "request_memory_refused_total",
		Help: "Requests rejected because requests in flight hold too much memory: those of all callers (all), or those of the same caller (caller).",
	}, []string{"held_by"})
	registerer.MustRegister(refused)
	m := &Memory{
		total: total, share: total / ofMemory, all: semaphore.NewWeighted(total), callers: map[string]*account{},
		byAll: refused.WithLabelValues("all"), byCaller: refused.WithLabelValues("caller"),
	}
	m.patience.start()
	return m
}

// Reserve reserves n bytes for a request of a caller, and waits for a while if they
// aren't free. More than a caller's share counts as the share. "" is for callers that
// can't be told apart, and has no share. changes says that the request writes: a caller
// may have maxWrites of these. The error is ErrShare, ErrFull or ctx's. Release the
// reservation.
func (m *Memory) Reserve(ctx context.Context, caller string, n int64, changes bool) (Reservation, error) {
	if m == nil || n <= 0 {
		return Reservation{}, nil
	}
	r := Reservation{memory: m, caller: caller, bytes: min(n, m.total)}
	if caller != "" {
		r.bytes = min(n, m.share)
		r.own = m.open(caller)
		if changes && !acquire(ctx, r.own.writes, &r.own.patience, maxOwnQueue, 1) {
			m.close(caller, r.own)
			return Reservation{}, refusal(ctx, ErrShare, m.byCaller)
		}
		r.changes = changes
		if !acquire(ctx, r.own.Weighted, &r.own.patience, maxOwnQueue, r.bytes) {
			r.close()
			return Reservation{}, refusal(ctx, ErrShare, m.byCaller)
		}
	}
	if !acquire(ctx, m.all, &m.patience, maxQueue, r.bytes) {
		r.giveBack(r.bytes)
		r.close()
		return Reservation{}, refusal(ctx, ErrFull, m.byAll)
	}
	return r, nil
}

// acquire waits for n bytes of s, in FIFO order.
func acquire(ctx context.Context, s *semaphore.Weighted, p *patience, most int, n int64) bool {
	return s.TryAcquire(n) || p.wait(ctx, most, func(ctx context.Context) error { return s.Acquire(ctx, n) })
}

// refusal counts a rejection, unless the caller has left.
func refusal(ctx context.Context, err error, counted prometheus.Counter) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	counted.Inc()
	return err
}

func (m *Memory) open(caller string) *account {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.callers[caller]
	if own == nil {
		own = m.newAccount()
		m.callers[caller] = own
	}
	own.users++
	return own
}

// newAccount returns an account that holds nothing.
func (m *Memory) newAccount() *account {
	if last := len(m.unused) - 1; last >= 0 {
		own := m.unused[last]
		m.unused = m.unused[:last]
		return own
	}
	own := &account{Weighted: semaphore.NewWeighted(m.share), writes: semaphore.NewWeighted(maxWrites)}
	own.patience.endless = true
	return own
}

func (m *Memory) close(caller string, own *account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	own.users--
	if own.users == 0 {
		delete(m.callers, caller)
		if len(m.unused) < keptAccounts {
			m.unused = append(m.unused, own)
		}
	}
}

// Reservation is the bytes that a request holds. The zero value holds none. It is not
// safe for concurrent use.
type Reservation struct {
	memory *Memory
	caller string
	own    *account // nil if the caller has no share
	bytes  int64
	// changes: the request holds one of the caller's maxWrites.
	changes bool
}

// Grow grows the reservation to n bytes, and waits for a while if they aren't free. It
// returns the errors of Reserve, and then keeps the old size.
func (r *Reservation) Grow(ctx context.Context, n int64) error {
	if r.memory == nil {
		return nil
	}
	n = min(n, r.memory.total)
	if r.own != nil {
		n = min(n, r.memory.share)
	}
	more := n - r.bytes
	if more <= 0 {
		return nil
	}
	if r.own != nil && !acquire(ctx, r.own.Weighted, &r.own.patience, maxOwnQueue, more) {
		return refusal(ctx, ErrShare, r.memory.byCaller)
	}
	if !acquire(ctx, r.memory.all, &r.memory.patience, maxQueue, more) {
		r.giveBack(more)
		return refusal(ctx, ErrFull, r.memory.byAll)
	}
	r.bytes = n
	return nil
}

// Shrink gives back all but n bytes.
func (r *Reservation) Shrink(n int64) {
	if r.memory == nil || n >= r.bytes {
		return
	}
	r.memory.all.Release(r.bytes - n)
	r.giveBack(r.bytes - n)
	r.bytes = n
}

// giveBack gives bytes back to the caller's share.
func (r *Reservation) giveBack(n int64) {
	if r.own != nil {
		r.own.Release(n)
	}
}

// Release gives all bytes back. Further calls do nothing.
func (r *Reservation) Release() {
	if r.memory == nil {
		return
	}
	r.Shrink(0)
	r.close()
	r.memory = nil
}

func (r *Reservation) close() {
	if r.own == nil {
		return
	}
	if r.changes {
		r.own.writes.Release(1)
	}
	r.memory.close(r.caller, r.own)
}
