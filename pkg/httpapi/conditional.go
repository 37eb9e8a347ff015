package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// ETag returns the strong entity tag of the version of a resource (RFC 9110,
// section 8.8.3).
func ETag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

// Conditions are those of a request on one resource (RFC 9110, section 13). They are
// looked at on every method.
type Conditions struct {
	IfMatch     Tags `header:"If-Match" doc:"Go on only if the resource still has one of these ETags; else 412 (RFC 9110, section 13.1.1)."`
	IfNoneMatch Tags `header:"If-None-Match" doc:"Go on only if the resource has none of these ETags; else 304 for a GET, and 412 for a change (RFC 9110, section 13.1.2)."`
}

// Tags is a list of entity tags, or "*". A header that is there and has none is refused,
// even an empty one: what was meant to be conditional must not be done without a condition.
type Tags []string

// UnmarshalText reads a list (RFC 9110, section 13.1.1).
func (t *Tags) UnmarshalText(b []byte) (err error) {
	*t, err = parseTags(string(b))
	return err
}

// Schema describes a list.
func (Tags) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, MinLength: new(1)}
}

// isList says that it may be sent in several lines.
func (Tags) isList() {}

// CheckRead returns the answer in place of a resource with this tag, if the conditions
// want one: a 412, or a 304. It is nil otherwise.
func (c *Conditions) CheckRead(etag string) error {
	err := c.checkMatch(etag)
	if err == nil && c.noneMatches(etag) {
		return (&Problem{Status: http.StatusNotModified}).with("ETag", etag)
	}
	return err
}

// CheckChange returns a 412 problem unless a resource with this tag may be changed.
func (c *Conditions) CheckChange(etag string) error {
	err := c.checkMatch(etag)
	if err == nil && c.noneMatches(etag) {
		return NewProblem(http.StatusPreconditionFailed, "the resource is there, with the ETag "+etag+", and If-None-Match asks for none such").with("ETag", etag)
	}
	return err
}

// checkMatch is If-Match, which compares strongly: weak tags never match.
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
	return NewProblem(http.StatusPreconditionFailed, "the resource has changed since: its ETag is "+etag).with("ETag", etag)
}

// noneMatches reports whether If-None-Match, which compares weakly, has the tag.
func (c *Conditions) noneMatches(etag string) bool {
	for _, tag := range c.IfNoneMatch {
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

var errTags = errors.New(`must be * or a list of entity tags, such as "3"`)

// parseTags splits a list of entity tags (RFC 9110, section 13.1.1).
func parseTags(header string) ([]string, error) {
	if strings.TrimSpace(header) == "*" {
		return []string{"*"}, nil
	}
	var tags []string
	rest := strings.Trim(header, ", \t") // empty elements count for nothing (RFC 9110, section 5.6.1)
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

// NotModified is the documentation of a 304, for a GET with Conditions.
func NotModified() map[string]*huma.Response {
	return map[string]*huma.Response{"304": {Description: "The resource still has one of the ETags in If-None-Match."}}
}
