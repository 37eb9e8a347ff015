package telemetry

import (
	"bytes"
	"os"
	"sync"
	"time"
)

const (
	// maxPending is how much may wait to be written, in bytes. Whoever writes more
	// waits, as for the file itself.
	maxPending = 1 << 20
	// patience is how long whoever writes waits.
	patience = time.Second
	// delay is how old a line may get before it is written: to wake a goroutine for each
	// costs more than the line.
	delay = 10 * time.Millisecond
)

// Output writes to a file from a goroutine of its own. The lines that come within ten
// milliseconds, or while a write is under way, go along with the first of them: many
// requests share what a write costs, and none waits for it. What comes while the file takes nothing,
// for so long that a service would stand still, is dropped and counted. It is safe
// for concurrent use.
type Output struct {
	file *os.File

	mu sync.Mutex
	// changed says that there is something to write, or that it has been.
	changed *sync.Cond
	// hurry says that what there is should be written at once.
	hurry   chan struct{}
	pending []byte
	writing bool
	// stuck says that somebody has waited in vain.
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

// Write is part of io.Writer. It never fails: that the file could not be written
// comes out too late, and there is no other place to say it.
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
	default: // it has been said
	}
}

func (o *Output) full() bool { return len(o.pending) > maxPending }

// await waits until there is room, or nobody should wait any more.
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

// Dropped returns how many lines were dropped, or could not be written.
func (o *Output) Dropped() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

// Flush waits until all has been written, or for so long.
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

// Fd is the file's descriptor.
func (o *Output) Fd() uintptr { return o.file.Fd() }

// run writes what comes, for ever. After a line that could be written in part only,
// the next one begins on a line of its own.
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
		n, _ := write(now) // there is no other place to say why; what is lost is counted
		torn = torn && n == 0 || n > 0 && now[n-1] != '\n'
		spare = now
		o.mu.Lock()
		o.dropped += bytes.Count(now[n:], newline)
		o.writing, o.stuck = false, false
		o.changed.Broadcast()
	}
}
