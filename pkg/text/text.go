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
	errHidden       = errors.New("must not contain hidden text: characters that change the direction of the text around them, or several in a row that can't be seen")
	errControl      = errors.New("must not contain control characters or line breaks")
	errBlockControl = errors.New("must not contain control characters other than tabs and line breaks")
)

// Line returns s without the white space around it. It refuses a text that is
// not 1 to max characters (Unicode code points) long after that, or that holds
// a control character, a line break or hidden text anywhere. Its errors are fit to be
// shown to whoever sent s.
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

// Ignorable says that a character is not displayed by itself: it has the property
// Default_Ignorable_Code_Point of Unicode (DerivedCoreProperties.txt, of the version
// that the unicode package names).
func Ignorable(r rune) bool {
	switch {
	case r < '\u00ad': // the first of them
		return false
	case unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark), r >= 0xfff9 && r <= 0xfffb, r >= 0x13430 && r <= 0x13440:
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// brailleBlank is the one graphic character that shows nothing, and isn't ignorable.
const brailleBlank = '\u2800'

// visible says that a character leaves a mark.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.Is(unicode.White_Space, r) && !Ignorable(r) && r != brailleBlank
}

// turnsDirection says that a character embeds, overrides or isolates the direction of
// the text after it (UAX #9, section 2): a name with one changes how the page around it
// reads. The marks (U+200E, U+200F, U+061C) don't.
func turnsDirection(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

const (
	// blackFlag begins the flag of a region, which is written in tags, some at most, up
	// to the last of them (UTS #51, section 1.4.9).
	blackFlag, lastTag, maxTags = '\U0001f3f4', '\U000e007f', 6
	// maxIgnorable is how many ignorable characters there may be in a row: an emoji has
	// a variation selector and a joiner.
	maxIgnorable = 2
)

func isTag(r rune) bool { return r >= 0xe0020 && r <= 0xe007f }

// hides says that a text has parts that its reader doesn't see.
func hides(s string) bool {
	inARow, tags := 0, 0 // of tags, how many may follow
	for _, r := range s {
		switch {
		case turnsDirection(r):
			return true
		case isTag(r):
			if tags == 0 {
				return true
			}
			tags--
			if r == lastTag {
				tags = 0
			}
		case Ignorable(r):
			inARow++
			if inARow > maxIgnorable {
				return true
			}
		default:
			inARow, tags = 0, 0
			if r == blackFlag {
				tags = maxTags
			}
		}
	}
	return false
}

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
	if hides(s) {
		return "", errHidden
	}
	if n := utf8.RuneCountInString(s); n > max {
		return "", fmt.Errorf("must be at most %d characters long, and has %d", max, n)
	}
	return s, nil
}
