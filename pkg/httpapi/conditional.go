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
	IfMatch     string `header:"If-Match" doc:"Go on only if the resource still has one of these ETags; else 412 (RFC 9110, section 13.1.1)."`
	IfNoneMatch string `header:"If-None-Match" doc:"Go on only if the resource has none of these ETags; else 304 for a GET, and 412 for a change (RFC 9110, section 13.1.2)."`
}

// Resolve checks the form of the headers. It is called by huma.
func (c *Conditions) Resolve(ctx huma.Context) []error {
	return append(checkTags(ctx, "If-Match", c.IfMatch), checkTags(ctx, "If-None-Match", c.IfNoneMatch)...)
}

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
	tags, _ := parseTags(c.IfMatch) // Resolve has seen it
	weak := false
	for _, tag := range tags {
		if tag == "*" || tag == etag {
			return nil
		}
		weak = weak || tag == "W/"+etag
	}
	switch {
	case len(tags) == 0:
		return nil
	case weak:
		return NewProblem(http.StatusPreconditionFailed, "If-Match has a weak tag, W/"+etag+", which never matches; send the ETag as it was read, "+etag).with("ETag", etag)
	}
	return NewProblem(http.StatusPreconditionFailed, "the resource has changed since: its ETag is "+etag).with("ETag", etag)
}

// noneMatches reports whether If-None-Match, which compares weakly, has the tag.
func (c *Conditions) noneMatches(etag string) bool {
	tags, _ := parseTags(c.IfNoneMatch)
	for _, tag := range tags {
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// checkTags refuses a header that is there and is no condition, even an empty
// one: what was meant to be conditional must not be done without a condition.
func checkTags(ctx huma.Context, name, header string) []error {
	if countHeader(ctx, name) == 0 {
		return nil
	}
	_, err := parseTags(header)
	if err != nil {
		return []error{&Detail{Location: "header." + name, Message: err.Error()}}
	}
	return nil
}

// countHeader returns how often a header was sent, empty or not.
func countHeader(ctx huma.Context, name string) (n int) {
	ctx.EachHeader(func(each, _ string) {
		if http.CanonicalHeaderKey(each) == name {
			n++
		}
	})
	return n
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
