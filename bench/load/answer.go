package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

var (
	endOfHeader   = []byte("\r\n\r\n")
	endOfLine     = []byte("\r\n")
	contentLength = []byte("\r\nContent-Length: ") // as Go writes it
	chunked       = []byte("\r\nTransfer-Encoding: chunked\r\n")

	errFraming = errors.New("an answer with neither Content-Length nor chunks")
)

// whole reports whether b has a whole answer, and returns its status.
func whole(b []byte) (status int, ok bool, err error) {
	end := bytes.Index(b, endOfHeader)
	if end < 0 {
		return 0, false, nil
	}
	header, body := b[:end+2], b[end+4:]
	if len(header) < len("HTTP/1.1 200") {
		return 0, false, errFraming
	}
	status, err = strconv.Atoi(string(header[9:12]))
	if err != nil {
		return 0, false, fmt.Errorf("not an HTTP answer: %q", header)
	}
	if bytes.Contains(header, chunked) {
		ok, err = wholeChunks(body)
		return status, ok, err
	}
	_, value, found := bytes.Cut(header, contentLength)
	if !found {
		return 0, false, errFraming
	}
	value, _, _ = bytes.Cut(value, endOfLine)
	length, err := strconv.Atoi(string(value))
	if err != nil {
		return 0, false, fmt.Errorf("Content-Length: %w", err)
	}
	return status, len(body) >= length, nil
}

// wholeChunks reports whether b holds all chunks of a body (RFC 9112, section
// 7.1).
func wholeChunks(b []byte) (bool, error) {
	for {
		line, rest, found := bytes.Cut(b, endOfLine)
		if !found {
			return false, nil
		}
		size, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return false, fmt.Errorf("size of a chunk: %w", err)
		}
		next := int(size) + len(endOfLine)
		if len(rest) < next {
			return false, nil
		}
		if size == 0 {
			return true, nil
		}
		b = rest[next:]
	}
}
