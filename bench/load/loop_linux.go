package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

const (
	// silence is how long to wait for any answer.
	silence = 30 * time.Second
	// pollInterval is the maximum time that the loop blocks.
	pollInterval = 100 * time.Millisecond
	// answerBytes is room for the largest answer: a page of a list.
	answerBytes = 256 << 10
)

// connection is a connection to the server with one request in flight.
type connection struct {
	fd      int
	sent    time.Time
	request []byte
	answer  []byte
	got     int
}

func run(ctx context.Context, p Plan) (_ Result, err error) {
	poll, connections, err := open(p.Address, p.Connections)
	defer func() { err = errors.Join(err, closeAll(poll, connections)) }()
	if err != nil {
		return Result{}, err
	}
	return loop(ctx, p, poll, connections)
}

// open opens connections to an address, and an epoll instance for them. The caller must close
// both, even after an error.
func open(address string, n int) (poll int, connections []connection, err error) {
	poll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return 0, nil, fmt.Errorf("epoll: %w", err)
	}
	connections = make([]connection, n)
	for i := range connections {
		c := &connections[i]
		c.answer = make([]byte, answerBytes)
		err := c.connect(address)
		if err != nil {
			return poll, connections, err
		}
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}
		err = syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, c.fd, &event)
		if err != nil {
			return poll, connections, fmt.Errorf("epoll: %w", err)
		}
	}
	return poll, connections, nil
}

func closeAll(poll int, connections []connection) error {
	var errs []error
	for i := range connections {
		if connections[i].fd > 0 {
			errs = append(errs, syscall.Close(connections[i].fd))
		}
	}
	if poll > 0 {
		errs = append(errs, syscall.Close(poll))
	}
	return errors.Join(errs...)
}

func loop(ctx context.Context, p Plan, poll int, connections []connection) (Result, error) {
	r := Result{Latencies: make([]time.Duration, 0, 1<<17)}
	start := time.Now()
	for i := range connections {
		err := connections[i].send(p, i)
		if err != nil {
			return r, err
		}
	}
	end, last := start.Add(p.For), start
	events := make([]syscall.EpollEvent, len(connections))
	for busy := len(connections); busy > 0; {
		n, err := syscall.EpollWait(poll, events, int(pollInterval.Milliseconds()))
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return r, fmt.Errorf("epoll: %w", err)
		}
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if n <= 0 && time.Since(last) > silence {
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
			if status != p.Status {
				return r, fmt.Errorf("answered %d instead of %d: %s", status, p.Status, c.answer[:min(c.got, 1000)])
			}
			last = time.Now()
			r.Requests++
			r.Latencies = append(r.Latencies, last.Sub(c.sent))
			if last.After(end) {
				busy--
				continue
			}
			err = c.send(p, int(event.Fd))
			if err != nil {
				return r, err
			}
		}
	}
	r.Elapsed = last.Sub(start)
	return r, nil
}

func (c *connection) connect(address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	c.fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	err = syscall.Connect(c.fd, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	err = syscall.SetsockoptInt(c.fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if err != nil {
		return fmt.Errorf("TCP_NODELAY: %w", err)
	}
	return syscall.SetNonblock(c.fd, true)
}

// send sends the next request. One request always fits in an empty socket.
func (c *connection) send(p Plan, i int) error {
	c.sent = time.Now()
	return c.sendBytes(p.Append(c.request[:0], i))
}

func (c *connection) sendBytes(request []byte) error {
	c.request, c.got = request, 0
	n, err := syscall.Write(c.fd, c.request)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if n < len(c.request) {
		return errors.New("send: the socket accepted only a part")
	}
	return nil
}

// receive reads the available bytes, and reports whether the answer is complete, and its
// status.
func (c *connection) receive() (status int, done bool, err error) {
	n, err := syscall.Read(c.fd, c.answer[c.got:])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("receive: %w", err)
	case n == 0 && c.got == len(c.answer):
		return 0, false, errors.New("the answer is too large")
	case n == 0:
		return 0, false, errors.New("the server has closed the connection")
	}
	c.got += n
	return whole(c.answer[:c.got])
}
