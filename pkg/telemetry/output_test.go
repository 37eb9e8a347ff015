package telemetry

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutputWritesEveryLine(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	output := NewOutput(file)

	const writers, lines = 8, 1000
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			for line := range lines {
				_, err := fmt.Fprintf(output, "%d %d\n", writer, line)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	output.Flush(time.Minute)

	written, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	next := map[string]int{}
	for line := range strings.Lines(string(written)) {
		writer, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		require.Equal(t, fmt.Sprint(next[writer]), number, "the lines of a writer keep their order")
		next[writer]++
	}
	require.Len(t, next, writers)
	for writer, count := range next {
		require.Equal(t, lines, count, "of writer %s", writer)
	}
}

func TestOutputDoesNotWaitForMoreLines(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	defer writer.Close()
	_, err = NewOutput(writer).Write([]byte("a line\n"))
	require.NoError(t, err)
	line, err := bufio.NewReader(reader).ReadString('\n') // without a flush
	require.NoError(t, err)
	require.Equal(t, "a line\n", line)
}

func TestASlowReaderLosesNoLines(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	output := NewOutput(writer)
	output.patience = time.Hour
	const lines = 3 * maxPending / 1024
	line := strings.Repeat("x", 1023) + "\n"
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range lines {
			_, _ = output.Write([]byte(line))
		}
		output.Flush(time.Minute)
		_ = writer.Close()
	}()

	scanner := bufio.NewScanner(reader)
	count := 0
	for scanner.Scan() {
		output.mu.Lock()
		pending := len(output.pending)
		output.mu.Unlock()
		require.LessOrEqual(t, pending, maxPending+len(line), "the buffer is bounded")
		count++
	}
	require.NoError(t, scanner.Err())
	<-written
	require.Equal(t, lines, count)
}

func TestUnreadLinesAreDroppedAndCounted(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	output := NewOutput(writer)
	output.patience = time.Millisecond
	const lines = 3 * maxPending / 1024
	for n := range lines {
		_, err := fmt.Fprintf(output, "%1023d\n", n)
		require.NoError(t, err)
	}
	dropped := output.Dropped()
	require.Positive(t, dropped)

	// The reader continues: all buffered lines arrive in order, and new ones as well.
	read := make(chan []string)
	go func() {
		var all []string
		for scanner := bufio.NewScanner(reader); scanner.Scan(); {
			all = append(all, strings.TrimSpace(scanner.Text()))
		}
		read <- all
	}()
	output.Flush(time.Minute)
	_, err = fmt.Fprintln(output, lines)
	require.NoError(t, err)
	output.Flush(time.Minute)
	require.NoError(t, writer.Close())
	all := <-read
	require.Len(t, all, lines-dropped+1)
	for n, line := range all[:len(all)-1] {
		require.Equal(t, fmt.Sprint(n), line)
	}
	require.Equal(t, fmt.Sprint(lines), all[len(all)-1])
	require.Equal(t, dropped, output.Dropped())
}

// TestATornLineDoesNotAffectOthers: the disk is full for a while, so a line is written in part.
func TestATornLineDoesNotAffectOthers(t *testing.T) {
	var file strings.Builder
	room := []int{5, 0, 0} // bytes accepted by each write; later writes accept all
	output := newOutput(func(b []byte) (int, error) {
		if len(room) == 0 {
			return file.Write(b)
		}
		n := min(room[0], len(b))
		room = room[1:]
		file.Write(b[:n])
		return n, io.ErrShortWrite
	})
	for _, line := range []string{"line 1\n", "line 2\n", "line 3\n", "line 4\n"} {
		_, err := output.Write([]byte(line))
		require.NoError(t, err)
		output.Flush(time.Minute)
	}
	require.Equal(t, "line \nline 3\nline 4\n", file.String())
	require.Equal(t, 2, output.Dropped())
}
