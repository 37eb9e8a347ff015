// Package text validates texts that people write: their length and their characters.
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
	errNoCharacter  = errors.New("must not contain Unicode noncharacters, such as U+FFFE")
	errHidden       = errors.New("must not contain hidden text: characters that change the text direction, or several invisible characters in a row")
	errControl      = errors.New("must not contain control characters or line breaks")
	errBlockControl = errors.New("must not contain control characters other than tabs and line breaks")
)

// Line returns s without surrounding white space. It rejects a text that is then not 1 to
// max characters (Unicode code points) long, or that contains a control character, a line
// break or hidden text. Its errors may be shown to the client.
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

// Ignorable reports whether a character has Unicode's property
// Default_Ignorable_Code_Point (DerivedCoreProperties.txt, in the version of the unicode
// package): it isn't displayed by itself.
func Ignorable(r rune) bool {
	switch {
	case r < '\u00ad': // the first one
		return false
	case unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark), r >= 0xfff9 && r <= 0xfffb, r >= 0x13430 && r <= 0x13440:
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// isBlank reports whether a graphic character shows nothing, although it is neither white
// space nor ignorable: a Braille pattern, two hieroglyphs, a filler of the Khitan script and
// a note without a head.
func isBlank(r rune) bool {
	switch r {
	case '\u2800', '\U00013441', '\U00013442', '\U00016fe4', '\U0001d159':
		return true
	}
	return false
}

// isNoncharacter reports whether a code point is never a character (Unicode, section 23.7).
// RFC 7493, section 2.1, forbids them in JSON.
func isNoncharacter(r rune) bool { return r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef }

// visible reports whether a character is visible.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.Is(unicode.White_Space, r) && !invisible(r)
}

// invisible reports whether a character shows nothing, and isn't white space.
func invisible(r rune) bool {
	return Ignorable(r) || isBlank(r) || unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// isSpace reports whether a character is white space for Go or for JavaScript, in whose
// patterns \s includes U+FEFF.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' }

// turnsDirection reports whether a character embeds, overrides or isolates the direction
// of the following text (UAX #9, section 2): a name with one would change how the page
// around it reads. The marks (U+200E, U+200F, U+061C) don't.
func turnsDirection(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

const (
	// blackFlag begins a region's flag: up to maxTags tags follow, and lastTag is the last
	// (UTS #51, section 1.4.9).
	blackFlag, lastTag, maxTags = '\U0001f3f4', '\U000e007f', 6
	// maxInvisible is the maximum number of consecutive invisible characters: an emoji has
	// a variation selector and a joiner.
	maxInvisible = 2
)

func isTag(r rune) bool { return r >= 0xe0020 && r <= 0xe007f }

// hides reports whether a text has parts that its reader doesn't see.
func hides(s string) bool {
	inARow, tags := 0, 0 // the number of tags that may follow
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
		case invisible(r):
			inARow++
			if inARow > maxInvisible {
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
	if strings.ContainsFunc(s, isNoncharacter) {
		return "", errNoCharacter
	}
	s = strings.TrimFunc(s, isSpace)
	if !strings.ContainsFunc(s, visible) {
		return "", errors.New("must not be blank")
	}
	if hides(s) {
		return "", errHidden
	}
	if n := utf8.RuneCountInString(s); n > max {
		return "", fmt.Errorf("must be at most %d characters long, but has %d", max, n)
	}
	return s, nil
}
