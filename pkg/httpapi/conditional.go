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

// IfMatch is the condition of an update or a deletion.
type IfMatch struct {
	Header string `header:"If-Match" doc:"Go on only if the resource still has this ETag (RFC 9110, section 13.1.1)."`
}

// IfNoneMatch is the condition of a read.
type IfNoneMatch struct {
	Header string `header:"If-None-Match" doc:"Answer 304 if the resource still has this ETag (RFC 9110, section 13.1.2)."`
}

// Resolve checks the form of the header. It is called by huma.
func (c *IfMatch) Resolve(ctx huma.Context) []error { return checkTags(ctx, "If-Match", c.Header) }

// Resolve checks the form of the header. It is called by huma.
func (c *IfNoneMatch) Resolve(ctx huma.Context) []error {
	return checkTags(ctx, "If-None-Match", c.Header)
}

// Check returns a 412 problem unless the resource's tag is one of those that
// the client expects. Weak tags never match.
func (c *IfMatch) Check(etag string) error {
	if c.Header == "" || c.Header == "*" {
		return nil
	}
	tags, err := parseTags(c.Header)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if tag == etag {
			return nil
		}
	}
	return NewProblem(http.StatusPreconditionFailed, "the resource has changed since: its ETag is "+etag).with("ETag", etag)
}

// Check returns a 304 when the client has the resource with this tag already.
// Weak tags match, too.
func (c *IfNoneMatch) Check(etag string) error {
	if c.Header == "" {
		return nil
	}
	tags, err := parseTags(c.Header)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return (&Problem{Status: http.StatusNotModified}).with("ETag", etag)
		}
	}
	return nil
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

// NotModified is the documentation of a 304, for an operation with
// IfNoneMatch.
func NotModified() map[string]*huma.Response {
	return map[string]*huma.Response{"304": {Description: "The resource still has one of the ETags in If-None-Match."}}
}
