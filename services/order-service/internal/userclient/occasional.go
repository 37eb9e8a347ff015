package userclient

import (
	"sync"
	"time"
)

// occasional limits a log message that may occur thousands of times a second.
type occasional struct {
	mu   sync.Mutex
	next time.Time
}

// due reports whether a minute has passed since it last returned true.
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
