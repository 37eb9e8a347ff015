package telemetry

import (
	"os"
	"runtime"
	"sync"
	"time"
)

// maxPending is how much may wait to be written, in bytes. Whoever writes more
// waits, as for the file itself.
const maxPending = 1 << 20

// Output writes to a file from a goroutine of its own. What comes while a write is
// under way goes along with the next one, so that the lines of many requests share
// what a write costs, and none waits for it. Nothing waits for more to come: a line
// is written as soon as the file takes it. It is safe for concurrent use.
type Output struct {
	file *os.File

	mu sync.Mutex
	// changed says that there is something to write, or that it has been.
	changed *sync.Cond
	pending []byte
	writing bool
}

// NewOutput returns an output to a file, which must stay open.
func NewOutput(file *os.File) *Output {
	o := &Output{file: file}
	o.changed = sync.NewCond(&o.mu)
	go o.run()
	return o
}

// Write is part of io.Writer. It never fails: that the file could not be written
// comes out too late, and there is no other place to say it.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) > maxPending {
		o.changed.Wait()
	}
	o.pending = append(o.pending, p...)
	o.changed.Broadcast()
	return len(p), nil
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

func (o *Output) run() {
	var spare []byte
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
		_, _ = o.file.Write(now)
		spare = now
		o.mu.Lock()
		o.writing = false
		o.changed.Broadcast()
	}
}
