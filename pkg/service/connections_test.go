package service

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestASlowReaderGetsTheWholeAnswer: it reads one byte a second, so it never stalls for the
// timeout.
func TestASlowReaderGetsTheWholeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		conn := &steadyConn{Conn: here, timeout: 2 * time.Second}
		const text = "it takes many seconds to read this"
		written := make(chan error, 1)
		go func() {
			n, err := conn.Write([]byte(text))
			if n != len(text) {
				err = fmt.Errorf("%d bytes: %w", n, err)
			}
			written <- errors.Join(err, conn.Close())
		}()
		var got []byte
		for {
			time.Sleep(time.Second)
			one := make([]byte, 1)
			_, err := there.Read(one)
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
			got = append(got, one...)
		}
		require.Equal(t, text, string(got))
		require.NoError(t, <-written)
	})
}

func TestAReaderThatStopsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		conn := &steadyConn{Conn: here, timeout: 2 * time.Second}
		began := time.Now()
		go func() { _, _ = there.Read(make([]byte, 5)) }()
		n, err := conn.Write([]byte("more than five bytes"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 5, n)
		require.Equal(t, 4*time.Second, time.Since(began), "cut off within two timeouts of the last byte read")
	})
}

// TestWaitingConnectionsAreClosedFirst: connections without a request are closed first, then
// idle ones, never one with a request in flight.
func TestWaitingConnectionsAreClosedFirst(t *testing.T) {
	arrived, open := make(chan struct{}), make(chan struct{})
	c := &Config{MaxConnections: 4, HeaderTimeout: time.Hour, BodyTimeout: time.Hour, IdleTimeout: time.Hour, WriteTimeout: time.Hour}
	server := c.Server(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			arrived <- struct{}{}
			<-open
		}
	}), slog.New(slog.DiscardHandler))
	track, idled := server.ConnState, make(chan struct{}, 16)
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		track(conn, state)
		if state == http.StateIdle {
			idled <- struct{}{}
		}
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	dial := func(text string) net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		return conn
	}
	answered := func(conn net.Conn) {
		t.Helper()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		<-idled // it becomes idle shortly after the answer
	}
	closed := func(conn net.Conn) {
		t.Helper()
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	const whole, held = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /held HTTP/1.1\r\nHost: x\r\n\r\n"

	first := dial(held)
	<-arrived
	idle := dial(whole)
	answered(idle)
	half := []net.Conn{dial("GET / HTTP"), dial("GET / HTTP")}
	another := dial(whole)
	answered(another)
	closed(half[0])
	last := dial(held)
	<-arrived
	closed(half[1])
	second := dial(held)
	<-arrived
	closed(idle) // it has been idle longer than the other
	third := dial(held)
	<-arrived
	closed(another)
	closed(dial(whole)) // all have a request in flight: the newest is closed
	close(open)
	for _, conn := range []net.Conn{first, last, second, third} {
		answered(conn)
	}
}

// TestUnfinishedHeadersMakeRoomFirst: they may be a quarter of all connections, so that
// others aren't closed for them.
func TestUnfinishedHeadersMakeRoomFirst(t *testing.T) {
	c := newConnections(8)
	open := map[*steadyConn]net.Conn{}
	accept := func() *steadyConn {
		ours, theirs := net.Pipe()
		s := &steadyConn{Conn: ours, timeout: time.Hour}
		open[s] = theirs
		c.track(s, http.StateNew)
		return s
	}
	begin := func(s *steadyConn) {
		go func() { _, _ = io.WriteString(open[s], "GET / HTTP/1.1") }()
		_, err := s.Read(make([]byte, 100))
		require.NoError(t, err)
	}
	var silent, begun []*steadyConn
	for range 6 {
		silent = append(silent, accept())
	}
	for range 10 {
		begun = append(begun, accept())
		begin(begun[len(begun)-1])
	}
	for _, s := range silent {
		require.True(t, c.all[s], "they don't make room for unfinished headers")
	}
	require.Len(t, c.all, 8)
	require.True(t, c.all[begun[8]] && c.all[begun[9]], "the newest two remain")
	_, err := open[begun[7]].Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "the others are closed")
	for range 2 {
		silent = append(silent, accept())
	}
	require.Zero(t, c.begun.Len())
	accept()
	require.False(t, c.all[silent[0]], "then the oldest")
	require.Len(t, c.all, 8)
}

// TestMakingRoomLooksAtFewConnections: it samples maxLooked connections, and takes the
// one that waits longest.
func TestMakingRoomLooksAtFewConnections(t *testing.T) {
	c := newConnections(1)
	for range 10_000 {
		c.all[&steadyConn{}] = true
	}
	looked, last := int64(0), (*steadyConn)(nil)
	longest := c.longest(func(s *steadyConn) int64 {
		looked++
		last = s
		return 20_000 - looked
	}, 0)
	require.Equal(t, int64(256), looked)
	require.Same(t, last, longest)
}

// TestConnectionsIgnoreTheWallClock: with wall-clock times, a clock that is set back would
// keep connections from making room.
func TestConnectionsIgnoreTheWallClock(t *testing.T) {
	here, there := net.Pipe()
	s := &steadyConn{Conn: here, timeout: time.Hour}
	newConnections(1).track(s, http.StateIdle)
	require.Less(t, time.Duration(s.idle.Load()), 24*time.Hour, "times count from the start of the process")
	require.Positive(t, s.idle.Load())
	done := make(chan error, 1)
	go func() {
		_, err := s.Write([]byte("x"))
		done <- err
	}()
	require.Eventually(t, func() bool { return s.writing.Load() != 0 }, time.Minute, time.Millisecond)
	require.Less(t, time.Duration(s.writing.Load()), 24*time.Hour)
	require.Positive(t, s.writing.Load())
	require.NoError(t, there.Close())
	require.Error(t, <-done)
}

// serve serves on a real port with the service's limits.
func serve(t *testing.T, c *Config, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := listen(t.Context(), "127.0.0.1:0", "PORT")
	require.NoError(t, err)
	server := c.Server(handler, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return listener.Addr().String()
}

// TestALaterUnreadAnswerIsCutOff: the write timeout also applies after the first
// answer of a connection.
func TestALaterUnreadAnswerIsCutOff(t *testing.T) {
	cut := make(chan error, 1)
	address := serve(t, &Config{MaxConnections: 1, HeaderTimeout: time.Hour, BodyTimeout: time.Hour, WriteTimeout: time.Second}, func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path == "/large" {
			_, err := w.Write(make([]byte, 64<<10))
			if err != nil {
				cut <- err
				return
			}
		}
	})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	_, err = io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	select {
	case err := <-cut:
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	case <-time.After(time.Minute):
		require.Fail(t, "the write never ends")
	}
}

// TestAnUnreadAnswerStaysInTheProcess: an unread answer stays in the process, where its
// memory is counted, not in the kernel. Its connection makes room for another.
func TestAnUnreadAnswerStaysInTheProcess(t *testing.T) {
	var written atomic.Int64
	address := serve(t, &Config{MaxConnections: 1, HeaderTimeout: time.Hour, WriteTimeout: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/large" {
			return
		}
		for range 100 {
			n, err := w.Write(make([]byte, 64<<10))
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
		written.Add(1 << 40) // all of it was written
	})
	dial := func(path string) net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
		_, err = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		return conn
	}
	dial("/large")
	require.Eventually(t, func() bool { return written.Load() > 0 }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool {
		response, err := http.ReadResponse(bufio.NewReader(dial("/")), nil)
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond, "the connection is closed for another")
	require.Less(t, written.Load(), int64(4<<20), "the kernel holds little of it")
}

// TestAHeaderOfManyLinesIsRejected: each line takes more memory than its length.
func TestAHeaderOfManyLinesIsRejected(t *testing.T) {
	address := serve(t, &Config{MaxConnections: 10, HeaderTimeout: time.Hour, WriteTimeout: time.Hour, BodyTimeout: time.Hour}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	header := func(lines int) string { return "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("a:\r\n", lines) }
	body := strings.Repeat("\n", 1000)
	post := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", len(body))
	for name, c := range map[string]struct {
		parts []string
		want  []int
	}{
		"few lines":                     {[]string{header(100) + "\r\n"}, []int{200}},
		"many lines":                    {[]string{header(3000)}, []int{431}},
		"many lines, and the end":       {[]string{header(3000) + "\r\n"}, []int{431}},
		"many lines, one by one":        {strings.SplitAfter(header(300), "\n"), []int{431}},
		"a body of many lines":          {[]string{post + "\r\n" + body}, []int{200}},
		"its header ends in two parts":  {[]string{post + "\r", "\n" + body}, []int{200}},
		"again on the same connection":  {[]string{post + "\r\n" + body, post + "\r\n" + body, header(3000)}, []int{200, 200, 431}},
		"lines that end without return": {[]string{strings.ReplaceAll(post, "\r", "") + "\n" + body}, []int{200}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
			require.NoError(t, err)
			defer conn.Close()
			answers := bufio.NewReader(conn)
			for _, part := range c.parts {
				_, err = io.WriteString(conn, part)
				if c.want[len(c.want)-1] == http.StatusOK {
					require.NoError(t, err)
				}
			}
			for _, want := range c.want {
				response, err := http.ReadResponse(answers, nil)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, response.Body)
				require.NoError(t, err)
				require.Equal(t, want, response.StatusCode)
			}
			if c.want[len(c.want)-1] == http.StatusRequestHeaderFieldsTooLarge {
				require.NoError(t, conn.(*net.TCPConn).CloseWrite())
				rest, err := io.ReadAll(answers)
				require.NoError(t, err, "the connection is closed, not reset")
				require.Empty(t, rest, "there is no second answer")
			}
		})
	}
}
