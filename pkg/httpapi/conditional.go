package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// ETag returns the strong entity tag of a version (RFC 9110, section 8.8.3), such as "3"
// with the quotes.
func ETag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

// Conditions are the preconditions of a request on one resource (RFC 9110, section 13),
// for any method.
type Conditions struct {
	IfMatch     Tags `header:"If-Match" doc:"Process the request only if the resource still has one of these ETags; otherwise respond 412 (RFC 9110, section 13.1.1)."`
	IfNoneMatch Tags `header:"If-None-Match" doc:"Process the request only if the resource has none of these ETags; otherwise respond 304 to a GET, and 412 to a change (RFC 9110, section 13.1.2)."`
}

// Tags is a list of entity tags, or "*". A header without any tag is rejected, even if it
// is empty: a request that was meant to be conditional must not run unconditionally.
type Tags []string

// UnmarshalText parses a list of entity tags (RFC 9110, section 13.1.1).
func (t *Tags) UnmarshalText(b []byte) (err error) {
	*t, err = parseTags(string(b))
	return err
}

// Schema describes a list of entity tags.
func (Tags) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, MinLength: new(1)}
}

// isList allows the header to be sent in several lines.
func (Tags) isList() {}

// CheckRead returns a 412 or 304 *Problem if the preconditions ask for it, given the
// current ETag, otherwise nil.
func (c *Conditions) CheckRead(etag string) error {
	err := c.checkMatch(etag)
	if err == nil && c.noneMatches(etag) {
		return (&Problem{Status: http.StatusNotModified}).with("ETag", etag)
	}
	return err
}

// CheckChange returns a 412 *Problem if the preconditions forbid a change, given the
// current ETag, otherwise nil.
func (c *Conditions) CheckChange(etag string) error {
	err := c.checkMatch(etag)
	if err == nil && c.noneMatches(etag) {
		return NewProblem(http.StatusPreconditionFailed, "the resource exists with the ETag "+etag+", which If-None-Match excludes").with("ETag", etag)
	}
	return err
}

// refuseConditions rejects the preconditions of a request whose target has no ETag, and so
// matches none (RFC 9110, sections 13.1.1 and 13.1.2): it must not run as if it had none.
func (o *operation) refuseConditions(h http.Header) *Problem {
	switch {
	case !o.unversioned:
		return nil
	case h["If-Match"] != nil && (!o.reads || strings.TrimSpace(strings.Join(h["If-Match"], ",")) != "*"): // a list exists
		return withoutETag()
	case h["If-None-Match"] != nil && !o.reads:
		return NewProblem(http.StatusPreconditionFailed, "If-None-Match can't be evaluated: what this request is about has no ETag; omit the header")
	}
	return nil
}

func withoutETag() *Problem {
	return NewProblem(http.StatusPreconditionFailed, "If-Match can't match: what this request is about has no ETag; omit the header")
}

func changedSince(etag string) *Problem {
	return NewProblem(http.StatusPreconditionFailed, "the resource has changed since: its ETag is "+etag).with("ETag", etag)
}

// checkMatch evaluates If-Match with the strong comparison: weak tags never match.
func (c *Conditions) checkMatch(etag string) error {
	weak := false
	for _, tag := range c.IfMatch {
		if tag == "*" || tag == etag {
			return nil
		}
		weak = weak || tag == "W/"+etag
	}
	switch {
	case len(c.IfMatch) == 0:
		return nil
	case weak:
		return NewProblem(http.StatusPreconditionFailed, "If-Match has a weak tag, W/"+etag+", which never matches; send the ETag as it was read, "+etag).with("ETag", etag)
	}
	return changedSince(etag)
}

// noneMatches reports whether If-None-Match contains the tag, by the weak comparison.
func (c *Conditions) noneMatches(etag string) bool {
	for _, tag := range c.IfNoneMatch {
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

var errTags = errors.New(`must be * or a list of entity tags, such as "3"`)

// parseTags parses a list of entity tags (RFC 9110, section 13.1.1).
func parseTags(header string) ([]string, error) {
	if strings.TrimSpace(header) == "*" {
		return []string{"*"}, nil
	}
	var tags []string
	rest := strings.Trim(header, ", \t") // ignore empty elements (RFC 9110, section 5.6.1)
	for rest != "" {
		weak := ""
		if strings.HasPrefix(rest, "W/") {
			weak, rest = "W/", rest[2:]
		}
		if !strings.HasPrefix(rest, `"`) {
			return nil, errTags
		}
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return nil, errTags
		}
		tags = append(tags, weak+rest[:end+2])
		rest = strings.TrimLeft(rest[end+2:], " \t")
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return nil, errTags
		}
		rest = strings.TrimLeft(rest, ", \t")
	}
	if len(tags) == 0 {
		return nil, errTags
	}
	return tags, nil
}

// NotModified documents the 304 of a GET with Conditions.
func NotModified() map[string]*huma.Response {
	return map[string]*huma.Response{"304": {Description: "The resource still has one of the ETags in If-None-Match."}}
}
