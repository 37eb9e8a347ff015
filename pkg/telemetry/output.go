package telemetry

import (
	"bytes"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	// maxPending is how much may wait to be written, in bytes. Whoever writes more
	// waits, as for the file itself.
	maxPending = 1 << 20
	// patience is how long whoever writes waits.
	patience = time.Second
)

// Output writes to a file from a goroutine of its own. What comes while a write is
// under way goes along with the next one, so that the lines of many requests share
// what a write costs, and none waits for it. Nothing waits for more to come: a line
// is written as soon as the file takes it. What comes while the file takes nothing,
// for so long that a service would stand still, is dropped and counted. It is safe
// for concurrent use.
type Output struct {
	file *os.File

	mu sync.Mutex
	// changed says that there is something to write, or that it has been.
	changed *sync.Cond
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
	o := &Output{patience: patience}
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
	o.pending = append(o.pending, p...)
	o.changed.Broadcast()
	return len(p), nil
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
	o.mu.Lock()
	for {
		for len(o.pending) == 0 {
			o.changed.Wait()
		}
		// Whoever can run goes first, and may have a line that goes along.
		o.mu.Unlock()
		runtime.Gosched()
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
