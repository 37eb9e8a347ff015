package userclient

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// The errors about an answer never quote it: it may hold a name and an address.
var (
	errUnknown   = errors.New("user-service knows no such user")
	errMediaType = errors.New("user-service's answer has the wrong content type")
	errNotUser   = errors.New("user-service's answer is not a JSON object with an id")
	errWrongUser = errors.New("user-service's answer is about another user")
	errNotFound  = errors.New("404, but not user-service's own")
)

// judgeUser accepts a 200 only when it is the user asked for.
func judgeUser(header http.Header, body []byte, id uuid.UUID) error {
	if mediaType(header) != "application/json" {
		return &failure{outcome: invalid, err: errMediaType}
	}
	err := decodeUser(body, id)
	if err != nil {
		return &failure{outcome: invalid, err: err}
	}
	return nil
}

// decodeUser returns nil when body is one JSON object (RFC 8259; no duplicate
// names, nothing after it) whose id is the one given. Other members are
// user-service's own business, present and future.
func decodeUser(body []byte, id uuid.UUID) error {
	var user struct {
		ID *string `json:"id"`
	}
	err := json.Unmarshal(body, &user)
	if err != nil || user.ID == nil {
		return errNotUser
	}
	// The id's text is lower case in answers (RFC 9562 section 4), upper case is
	// the same id; uuid.Parse alone would also take braces and URNs.
	if !strings.EqualFold(*user.ID, id.String()) {
		return errWrongUser
	}
	return nil
}

// noSuchPath is the type of user-service's 404 for a path that it doesn't have,
// as when the base URL has a wrong prefix.
const noSuchPath = "urn:problem-type:no-such-path"

// judgeNotFound takes a 404 for "no such user" only when it is a problem document
// (RFC 9457) that doesn't say otherwise. A proxy, a mesh or a web server in the way
// also answers 404, and knows nothing of users.
func judgeNotFound(header http.Header, body []byte) error {
	if mediaType(header) != "application/problem+json" {
		return &failure{outcome: invalid, err: errNotFound}
	}
	// Optional members, yet an object: null leaves the pointer nil.
	var problem *struct {
		Type   string `json:"type"`
		Status *int   `json:"status"`
	}
	err := json.Unmarshal(body, &problem)
	if err != nil || problem == nil || problem.Status != nil && *problem.Status != http.StatusNotFound || problem.Type == noSuchPath {
		return &failure{outcome: invalid, err: errNotFound}
	}
	return &failure{outcome: unknown, err: errUnknown}
}

func mediaType(header http.Header) string {
	t, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// maxRetryAfter is the longest Retry-After that is passed on.
const maxRetryAfter = time.Hour

// parseRetryAfter reads a Retry-After header (RFC 9110 section 10.2.3): seconds,
// or a date. The result lies between 0 and maxRetryAfter; false means that there
// is none that can be understood.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	isDigits := value != "" && strings.Trim(value, "0123456789") == ""
	if isDigits {
		seconds, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return maxRetryAfter, true // more than fits is still a number
		}
		return min(time.Duration(seconds)*time.Second, maxRetryAfter), true
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(date.Sub(now), 0), maxRetryAfter), true
}
