package ratelimit

import "sync"

// debts are the requests that callers have yet to pay for: what a request costs is
// known when its answer is there. Only who asks for much owes anything. The zero
// value has none.
type debts struct {
	mu sync.Mutex
	of map[string]int
}

// take returns what a caller owes, most at a time, and takes it off.
func (d *debts) take(caller string, most int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.of) == 0 {
		return 0
	}
	owed := d.of[caller]
	paid := min(owed, most)
	if paid == owed {
		delete(d.of, caller)
	} else {
		d.of[caller] = owed - paid
	}
	return paid
}

// add adds to what a caller owes, which is most in all. When as many owe as are
// remembered, all is forgiven.
func (d *debts) add(caller string, n, most int) {
	if n == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = map[string]int{}
	}
	if len(d.of) >= callers {
		clear(d.of)
	}
	d.of[caller] = min(d.of[caller]+n, most)
}
