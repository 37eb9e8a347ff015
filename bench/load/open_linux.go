package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// openPoll is the interval at which the loop checks whether a request is due: the shortest
// timeout of epoll.
const openPoll = time.Millisecond

func runOpen(ctx context.Context, p OpenPlan, due []time.Duration) (_ OpenResult, err error) {
	poll, connections, err := open(p.Address, p.Connections)
	defer func() { err = errors.Join(err, closeAll(poll, connections)) }()
	if err != nil {
		return OpenResult{}, err
	}
	r := OpenResult{Latencies: map[int][]time.Duration{}}
	idle := make([]int, 0, len(connections))
	for i := range connections {
		idle = append(idle, i)
	}
	events := make([]syscall.EpollEvent, len(connections))
	start := time.Now()
	last := start
	warm, _ := slices.BinarySearch(due, p.Warm) // the number of requests that don't count
	end, sent := p.Warm+p.For, 0
	for {
		now := time.Now()
		for sent < len(due) && due[sent] <= now.Sub(start) && len(idle) > 0 && now.Sub(start) < end {
			i := idle[0] // in turn, because the server closes connections that are idle for long
			idle = idle[1:]
			c := &connections[i]
			err := c.sendBytes(p.Append(c.request[:0]))
			if err != nil {
				return r, err
			}
			c.sent = start.Add(due[sent])
			sent++
		}
		if now.Sub(start) >= end && len(idle) == len(connections) {
			break
		}
		n, err := syscall.EpollWait(poll, events, int(openPoll.Milliseconds()))
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return r, fmt.Errorf("epoll: %w", err)
		}
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if n <= 0 && len(idle) < len(connections) && time.Since(last) > silence {
			return r, fmt.Errorf("no answer for %s", silence)
		}
		for _, event := range events[:max(n, 0)] {
			c := &connections[event.Fd]
			status, done, err := c.receive()
			if err != nil {
				return r, err
			}
			if !done {
				continue
			}
			last = time.Now()
			if c.sent.Sub(start) >= p.Warm {
				r.Latencies[status] = append(r.Latencies[status], last.Sub(c.sent))
			}
			idle = append(idle, int(event.Fd))
		}
	}
	r.Due, r.Unsent = len(due)-warm, len(due)-max(sent, warm)
	r.Elapsed = last.Sub(start) - p.Warm
	return r, nil
}
