package config

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

var (
	hostName     = regexp.MustCompile(`^[\pL\pN]([\pL\pN._-]*[\pL\pN._])?$`)
	errEncoding  = "percent-encode the user and the password, each by itself: @ is %40, / is %2F, ? is %3F, # is %23, % is %25"
	errPort      = errors.New("has a port that is not in 1-65535")
	errHost      = errors.New("has a host with an invalid character; " + errEncoding)
	errBlank     = errors.New("has a blank or a line break in it; " + errEncoding)
	errFragment  = errors.New("has a # in it; " + errEncoding)
	errPercent   = errors.New("has a % without two hexadecimal digits after it; " + errEncoding)
	errManyAts   = errors.New("has more than one @ in it; " + errEncoding)
	errMisplaced = errors.New("has an @ after a / or ?; " + errEncoding)
)

// CheckURL returns why a URL with user and password is probably not what was meant, or
// nil (RFC 3986, section 3.2; hosts may be separated by commas). It is stricter than
// parsers: these take part of an unencoded password for a host, look it up, and put it
// into errors. The error contains no part of the URL. Its text continues after the name
// of the variable. scheme is an example of one.
func CheckURL(text, scheme string) error {
	_, rest, hasScheme := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	_, hosts, hasUser := strings.Cut(authority, "@")
	if !hasUser {
		hosts = authority
	}
	_, err := url.PathUnescape(text)
	switch {
	case !hasScheme:
		return errors.New("has no scheme, such as " + scheme + "://")
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return errBlank
	case strings.Contains(text, "#"):
		return errFragment
	case strings.Count(rest, "@") > 1:
		return errManyAts
	case !hasUser && strings.Contains(rest, "@"):
		return errMisplaced
	case err != nil:
		return errPercent
	case hosts == "":
		return nil // the reader has a default, or rejects it
	}
	for host := range strings.SplitSeq(hosts, ",") {
		err := checkHost(host)
		if err != nil {
			return err
		}
	}
	return nil
}

// checkHost checks host, host:port, [IPv6]:port, or the percent-encoded folder of a
// socket.
func checkHost(text string) error {
	host, port, hasPort := strings.Cut(text, ":")
	if strings.HasPrefix(text, "[") {
		var rest string
		var closed bool
		host, rest, closed = strings.Cut(text[1:], "]")
		address, err := netip.ParseAddr(host)
		if !closed || err != nil || !address.Is6() || rest != "" && !strings.HasPrefix(rest, ":") {
			return errHost
		}
		port, hasPort = strings.CutPrefix(rest, ":")
		host = "ipv6"
	}
	if !hostName.MatchString(host) && !strings.HasPrefix(strings.ToUpper(host), "%2F") {
		return errHost
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if hasPort && (err != nil || n == 0) {
		return errPort
	}
	return nil
}
