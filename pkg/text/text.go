// Package text holds the rules of texts that people write: how long they may
// be, and which characters they may hold.
package text

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	errNotUTF8      = errors.New("must be valid UTF-8")
	errControl      = errors.New("must not contain control characters or line breaks")
	errBlockControl = errors.New("must not contain control characters other than tabs and line breaks")
)

// Line returns s without the white space around it. It refuses a text that is
// not 1 to max characters (Unicode code points) long after that, or that holds
// a control character or a line break anywhere. Its errors are fit to be shown
// to whoever sent s.
func Line(s string, max int) (string, error) {
	return check(s, max, errControl, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}

// Block is Line for texts of several lines: tabs and line breaks are allowed.
func Block(s string, max int) (string, error) {
	return check(s, max, errBlockControl, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r'
	})
}

// visible says that a character leaves a mark: it is neither white space nor
// one that only formats others, such as a zero-width space.
func visible(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

func check(s string, max int, refusal error, refused func(rune) bool) (string, error) {
	if !utf8.ValidString(s) {
		return "", errNotUTF8
	}
	if strings.ContainsFunc(s, refused) {
		return "", refusal
	}
	s = strings.TrimSpace(s)
	if !strings.ContainsFunc(s, visible) {
		return "", errors.New("must not be blank")
	}
	if n := utf8.RuneCountInString(s); n > max {
		return "", fmt.Errorf("must be at most %d characters long, and has %d", max, n)
	}
	return s, nil
}
