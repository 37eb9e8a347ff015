package userclient

import (
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// These errors never quote the response, which may contain a name and an email address.
var (
	errUnknown   = errors.New("user-service knows no such user")
	errMediaType = errors.New("user-service's response has the wrong content type")
	errNotUser   = errors.New("user-service's response is not a JSON object with an id")
	errNotUsers  = errors.New("user-service's response is not a JSON object with ids")
	errWrongUser = errors.New("user-service's response is about another user")
	errNotFound  = errors.New("the 404 is not user-service's response about a user")
)

// judgeUser returns nil only if a 200 response contains the requested user.
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

// decodeUser returns nil if body is one JSON object (RFC 8259; no duplicate names, nothing
// after it) with the given id. It ignores other members, so user-service may add some.
func decodeUser(body []byte, id uuid.UUID) error {
	var user struct {
		ID *string `json:"id"`
	}
	err := json.Unmarshal(body, &user)
	if err != nil || user.ID == nil {
		return errNotUser
	}
	// Upper and lower case are the same id (RFC 9562 section 4). Not uuid.Parse, which
	// also accepts braces and URNs.
	if !strings.EqualFold(*user.ID, id.String()) {
		return errWrongUser
	}
	return nil
}

// joinIDs returns ids separated by commas.
func joinIDs(ids []uuid.UUID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, ",")
}

// judgeUsers returns the users in a 200 response, which must be some of ids.
func judgeUsers(header http.Header, body []byte, ids []uuid.UUID) (map[uuid.UUID]struct{}, error) {
	if mediaType(header) != "application/json" {
		return nil, &failure{outcome: invalid, err: errMediaType}
	}
	var users struct {
		IDs *[]uuid.UUID `json:"ids"`
	}
	err := json.Unmarshal(body, &users)
	if err != nil || users.IDs == nil {
		return nil, &failure{outcome: invalid, err: errNotUsers}
	}
	exist := make(map[uuid.UUID]struct{}, len(ids))
	for _, id := range *users.IDs {
		if !slices.Contains(ids, id) {
			return nil, &failure{outcome: invalid, err: errWrongUser}
		}
		exist[id] = struct{}{}
	}
	return exist, nil
}

// noSuchPath is the problem type of user-service's 404 for an unknown path, for example if
// the base URL has a wrong prefix.
const noSuchPath = "urn:problem-type:no-such-path"

// judgeNotFound treats a 404 as "no such user" only if it is a problem document (RFC 9457)
// without another type or status. A proxy, a service mesh or a web server in between may
// also respond with 404.
func judgeNotFound(header http.Header, body []byte) error {
	if mediaType(header) != "application/problem+json" {
		return &failure{outcome: invalid, err: errNotFound}
	}
	// All members are optional, but null is not an object: it leaves the pointer nil.
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

// maxRetryAfter caps the Retry-After that clients get.
const maxRetryAfter = time.Hour

// parseRetryAfter parses a Retry-After header (RFC 9110 section 10.2.3): seconds or a date.
// It returns a duration from 0 to maxRetryAfter, or false if value is not valid.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	isDigits := value != "" && strings.Trim(value, "0123456789") == ""
	if isDigits {
		seconds, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return maxRetryAfter, true // too large to parse
		}
		return min(time.Duration(seconds)*time.Second, maxRetryAfter), true
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(date.Sub(now), 0), maxRetryAfter), true
}
