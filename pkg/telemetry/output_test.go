package telemetry

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutputWritesAllOfIt(t *testing.T) {
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

func TestOutputWaitsForNothingMoreToCome(t *testing.T) {
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

func TestWhoeverReadsSlowlyIsWaitedForAndLosesNothing(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	output := NewOutput(writer)
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
		require.LessOrEqual(t, pending, maxPending+len(line), "what waits is bounded")
		count++
	}
	require.NoError(t, scanner.Err())
	<-written
	require.Equal(t, lines, count)
}
