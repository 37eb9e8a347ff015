package resilience

import "sync"

// token is the price of one retry. Budgets count in integer thousandths, so that their
// bound is exact.
const token = 1000

// Budget limits how many retries a client adds to its requests, over all callers. Without
// one, N attempts per request multiply the load by N just when the called service is
// overloaded.
//
// It is a token bucket that is filled by requests, not by time: each request adds a
// fraction of a token, each retry takes a whole one. For any number of requests:
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

// NewBudget returns a full budget. ratio is the number of retries per request, rounded
// down to a thousandth: 0.2 is one retry per five requests. reserve is the number of
// retries available at first, and the most that can be saved. Negative values count as 0.
func NewBudget(ratio float64, reserve int) *Budget {
	limit := int64(max(reserve, 0)) * token
	return &Budget{
		tokens:  limit,
		limit:   limit,
		deposit: int64(max(ratio, 0) * token),
	}
}

// Deposit counts one request. Call it once per request, not per attempt.
func (b *Budget) Deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+b.deposit, b.limit)
}

// Withdraw takes one retry, and reports whether it may be made.
func (b *Budget) Withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < token {
		return false
	}
	b.tokens -= token
	return true
}
