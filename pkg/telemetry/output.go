package telemetry

import (
	"bytes"
	"os"
	"sync"
	"time"
)

const (
	// maxPending limits the buffered bytes. Beyond it, Write blocks.
	maxPending = 1 << 20
	// patience is how long Write blocks before it drops lines.
	patience = time.Second
	// delay is the maximum age of a buffered line: waking a goroutine for each line costs
	// more than the line.
	delay = 10 * time.Millisecond
)

// Output writes to a file from its own goroutine. Lines that arrive within delay, or
// during a write, are written together, so that many requests share a write and none
// waits for it. If the file accepts nothing for longer than patience, lines are dropped
// and counted. It is safe for concurrent use.
type Output struct {
	file *os.File

	mu sync.Mutex
	// changed signals that there is something to write, or that it was written.
	changed *sync.Cond
	// hurry makes run write at once.
	hurry   chan struct{}
	pending []byte
	writing bool
	// stuck: a Write has waited for patience in vain.
	stuck    bool
	dropped  int
	patience time.Duration
}

var newline = []byte{'\n'}

// NewOutput returns an output to a file, which must stay open.
func NewOutput(file *os.File) *Output {
	o := newOutput(file.Write)
	o.file = file
	return o
}

func newOutput(write func([]byte) (int, error)) *Output {
	o := &Output{patience: patience, hurry: make(chan struct{}, 1)}
	o.changed = sync.NewCond(&o.mu)
	go o.run(write)
	return o
}

// Write implements io.Writer. It never fails: a write error is known too late, and there
// is nowhere else to report it.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.full() && !o.stuck {
		o.await()
	}
	if o.full() {
		o.dropped++
		return len(p), nil
	}
	first := len(o.pending) == 0
	o.pending = append(o.pending, p...)
	switch {
	case first:
		o.changed.Broadcast()
	case o.full():
		o.writeNow()
	}
	return len(p), nil
}

func (o *Output) writeNow() {
	select {
	case o.hurry <- struct{}{}:
	default: // already requested
	}
}

func (o *Output) full() bool { return len(o.pending) > maxPending }

// await waits until there is room, or the output is stuck.
func (o *Output) await() {
	timer := time.AfterFunc(o.patience, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.stuck = o.full()
		o.changed.Broadcast()
	})
	defer timer.Stop()
	for o.full() && !o.stuck {
		o.changed.Wait()
	}
}

// Dropped returns how many lines were dropped or could not be written.
func (o *Output) Dropped() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

// Flush waits until everything is written, for at most the given time.
func (o *Output) Flush(within time.Duration) {
	written := make(chan struct{})
	o.writeNow()
	go func() {
		defer close(written)
		o.mu.Lock()
		defer o.mu.Unlock()
		for o.writing || len(o.pending) > 0 {
			o.changed.Wait()
		}
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C:
	}
}

// Fd returns the file descriptor.
func (o *Output) Fd() uintptr { return o.file.Fd() }

// run writes buffered lines, for ever. After a partly written line it starts a new line.
func (o *Output) run(write func([]byte) (int, error)) {
	var spare []byte
	torn := false
	timer := time.NewTimer(delay)
	o.mu.Lock()
	for {
		for len(o.pending) == 0 {
			o.changed.Wait()
		}
		o.mu.Unlock()
		timer.Reset(delay)
		select {
		case <-timer.C:
		case <-o.hurry:
		}
		o.mu.Lock()
		now := o.pending
		o.pending, o.writing = spare[:0], true
		o.mu.Unlock()
		if torn {
			_, err := write(newline)
			torn = err != nil
		}
		n, _ := write(now) // lost lines are counted; there is nowhere to report the error
		torn = torn && n == 0 || n > 0 && now[n-1] != '\n'
		spare = now
		o.mu.Lock()
		o.dropped += bytes.Count(now[n:], newline)
		o.writing, o.stuck = false, false
		o.changed.Broadcast()
	}
}
