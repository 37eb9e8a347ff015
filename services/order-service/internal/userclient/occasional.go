package userclient

import (
	"sync"
	"time"
)

// occasional keeps something that may go wrong thousands of times a second from
// filling the log.
type occasional struct {
	mu   sync.Mutex
	next time.Time
}

// due reports whether it has been a minute since it last returned true.
func (o *occasional) due() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Before(o.next) {
		return false
	}
	o.next = now.Add(time.Minute)
	return true
}
