package resilience

import "sync"

// token is the worth of one retry. Budgets count in thousandths, as whole
// numbers, so that the bound they keep is exact.
const token = 1000

// Budget bounds how many retries a client adds to its requests, over all of its
// callers. Without one, N tries per request become N times the load at the very
// moment when the other side can bear it least.
//
// It is a token bucket that time does not fill: every request puts in a fraction
// of a token, every retry takes out a whole one. For any number of requests:
//
//	retries <= reserve + ratio * requests
//
// A Budget is safe for concurrent use.
type Budget struct {
	mu      sync.Mutex
	tokens  int64
	limit   int64
	deposit int64
}

// NewBudget returns a full budget. Ratio is the number of retries earned by one
// request, to a thousandth: 0.2 is one retry for five requests. Reserve is the
// number of retries that may be made before any is earned, and the most that can
// be saved up. Negative values count as 0.
func NewBudget(ratio float64, reserve int) *Budget {
	limit := int64(max(reserve, 0)) * token
	return &Budget{
		tokens:  limit,
		limit:   limit,
		deposit: int64(max(ratio, 0) * token),
	}
}

// Deposit counts one request. Call it once per request, not once per try.
func (b *Budget) Deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+b.deposit, b.limit)
}

// Withdraw asks for one retry and reports whether it may be made.
func (b *Budget) Withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < token {
		return false
	}
	b.tokens -= token
	return true
}
