package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
)

// maxLine is how much of a line is buffered, in bytes, to write it in one piece.
const maxLine = 64 << 10

// output merges the output of several services, line by line.
type output struct {
	mu     sync.Mutex
	writer io.Writer
	color  bool
}

func newOutput(writer io.Writer, color bool) *output {
	return &output{writer: writer, color: color}
}

// print writes a message of the runner.
func (o *output) print(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = io.WriteString(o.writer, text) // there is nowhere to report an error
}

// lines returns a writer that prefixes each line with name.
func (o *output) lines(name string, color int) *lineWriter {
	prefix := fmt.Sprintf("%-13s | ", name)
	if o.color {
		prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", color, prefix)
	}
	return &lineWriter{output: o, prefix: []byte(prefix)}
}

// lineWriter passes whole lines on to an output.
type lineWriter struct {
	output *output
	prefix []byte
	rest   []byte // an incomplete line
}

// Write never fails: a service must not block or exit because the terminal is closed.
func (w *lineWriter) Write(part []byte) (int, error) {
	w.rest = append(w.rest, part...)
	var whole []byte
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found && len(w.rest) < maxLine {
			break
		}
		whole = append(whole, w.prefix...)
		whole = append(whole, line...)
		whole = append(whole, '\n')
		w.rest = rest
	}
	if len(whole) > 0 {
		w.output.print(string(whole))
	}
	return len(part), nil
}

// flush writes an incomplete last line.
func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		_, _ = w.Write([]byte("\n")) // Write never fails
	}
}

// onTerminal reports whether file is a terminal that shows colours.
func onTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == ""
}
