package user

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"

	"github.com/example/microservices/pkg/text"
)

const (
	// MaxEmail is the maximum length of an address, in bytes (RFC 5321, section 4.5.3.1.3,
	// without the angle brackets).
	MaxEmail = 254
	maxLocal = 64
)

// Email is a valid address in the form dot-atom@domain (RFC 5322, section 3.4.1).
type Email struct {
	address, key string
}

var (
	errEmailForm   = errors.New("must be an email address such as ada@example.com")
	errEmailLocal  = errors.New("must have, before the @, 1 to 64 letters, digits or !#$%&'*+-/=?^_`{|}~, with single dots in between")
	errEmailDomain = errors.New("must have a domain name with a dot, such as example.com, after the @")

	domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true), idna.StrictDomainName(true), idna.ValidateLabels(true), idna.VerifyDNSLength(true))
)

// ParseEmail parses an address. It accepts international domain names, but no quoted local
// parts, IP literals, display names or comments. Its errors may be shown to the client.
func ParseEmail(s string) (Email, error) {
	s, err := text.Line(s, MaxEmail)
	if err != nil {
		return Email{}, err
	}
	if len(s) > MaxEmail {
		return Email{}, fmt.Errorf("must be at most %d bytes long", MaxEmail)
	}
	local, domain, found := strings.Cut(s, "@")
	if !found || strings.Contains(domain, "@") {
		return Email{}, errEmailForm
	}
	if !isDotAtom(local) || len(local) > maxLocal {
		return Email{}, errEmailLocal
	}
	ascii, err := domains.ToASCII(domain)
	// IDNA drops invisible characters except joiners, which it validates.
	unseen := strings.ContainsFunc(domain, func(r rune) bool { return text.Ignorable(r) && r != '\u200c' && r != '\u200d' })
	if err != nil || unseen || !isDotted(ascii) {
		return Email{}, errEmailDomain
	}
	key := strings.ToLower(local) + "@" + strings.ToLower(ascii)
	if len(key) > MaxEmail {
		return Email{}, fmt.Errorf("must be at most %d bytes long with its domain in ASCII", MaxEmail)
	}
	return Email{address: s, key: key}, nil
}

// UnmarshalText calls ParseEmail.
func (e *Email) UnmarshalText(b []byte) (err error) {
	*e, err = ParseEmail(string(b))
	return err
}

// EmailFromStore returns an address from the String and the Key of an Email.
func EmailFromStore(address, key string) Email { return Email{address: address, key: key} }

// String returns the address as the client wrote it.
func (e Email) String() string { return e.address }

// Key returns the form for comparison: lower case, with the domain in ASCII. The key of
// Ada@BÜCHER.example is ada@xn--bcher-kva.example.
func (e Email) Key() string { return e.key }

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			c := atom[i]
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
			if !letter && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", rune(c)) {
				return false
			}
		}
	}
	return true
}

// isDotted reports whether a domain name has a dot, and doesn't end like an IP address.
func isDotted(ascii string) bool {
	i := strings.LastIndexByte(ascii, '.')
	if i <= 0 || i == len(ascii)-1 {
		return false
	}
	return strings.Trim(ascii[i+1:], "0123456789") != ""
}
