package events

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
)

// ScopeRead is the scope of services that may read the events of all users.
const ScopeRead = "events:read"

const (
	// maxWait is the maximum time of a long poll.
	maxWait = 30 * time.Second
	// interval is the time between two reads of the store during a long poll.
	interval = 250 * time.Millisecond
	// maxWaiting limits how many long polls wait at once, and maxOfCaller those of one
	// caller. All replicas of a service are one caller.
	maxWaiting, maxOfCaller = 32, 24
	// maxEvents is the maximum number of events in a batch, and batchMemory the memory to
	// render it, in bytes.
	maxEvents   = 500
	batchMemory = 256 << 10
)

// CloudEvent is an event on the wire (CloudEvents 1.0, JSON format).
type CloudEvent[Data any] struct {
	SpecVersion     string          `json:"specversion" enum:"1.0" doc:"The version of CloudEvents."`
	ID              string          `json:"id" doc:"The id of the event, unique in its source: the subject and its version." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d/2"`
	Source          string          `json:"source" format:"uri-reference" doc:"The path of the collection of the subject."`
	Type            string          `json:"type" doc:"The type of the change."`
	Subject         uuid.UUID       `json:"subject" format:"uuid" doc:"The id of the changed resource." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`
	Time            httpapi.Instant `json:"time" doc:"When the change was made."`
	DataContentType string          `json:"datacontenttype" enum:"application/json" doc:"The media type of data."`
	Cursor          string          `json:"cursor" doc:"The cursor to read the events after this one." example:"734-19"`
	Data            Data            `json:"data" doc:"What changed, without personal data except ids."`
}

// Feed serves the events of a store. Data is the type of the events' data, path the path
// of the collection, and noun the name of one resource, such as "user".
type Feed[Data any] struct {
	store      Store
	path, noun string
	waiting    polls
}

// polls counts the long polls that wait, by caller.
type polls struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

// enter counts a long poll, unless too many wait.
func (p *polls) enter(caller auth.Caller) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := caller.Key() // "" if the service is open: callers can't be told apart
	if p.all >= maxWaiting || key != "" && p.of[key] >= maxOfCaller {
		return nil, false
	}
	p.all++
	p.of[key]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		p.of[key]--
		if p.of[key] == 0 {
			delete(p.of, key)
		}
	}, true
}

// RegisterFeed adds the feed of a collection to an API.
func RegisterFeed[Data any](a *httpapi.API, path, noun, tag string, s Store) {
	f := &Feed[Data]{store: s, path: path, noun: noun, waiting: polls{of: map[string]int{}}}
	httpapi.Register(a, huma.Operation{
		OperationID: "get-" + noun + "-events", Method: http.MethodGet, Path: path + "/events", Tags: []string{tag},
		Summary: "Read the events of " + noun + "s, oldest first",
		Description: "For services; requires the scope " + ScopeRead + ". Store the cursor of the last event in the transaction of its effect, and send it to read the events that follow: each event then takes effect once. " +
			"Events of one " + noun + " are in the order of its versions. Each change has at least one event; new types may be added. Events are kept for at least EVENTS_TTL. Responds 410 if the cursor's event no longer exists, because it has expired or the database was restored or replaced: start again without a cursor.",
		Errors: []int{http.StatusGone, http.StatusServiceUnavailable},
	}, httpapi.Needs(ScopeRead).Memory(batchMemory).Unlimited(ScopeRead).Waits(maxWait), f.list)
	for _, content := range a.OpenAPI().Paths[path+"/events"].Get.Responses["200"].Content {
		event := a.OpenAPI().Components.Schemas.SchemaFromRef(content.Schema.Items.Ref)
		event.Properties["source"].Examples = []any{path}
		event.Properties["type"].Examples = []any{typePrefix + noun + ".updated"}
	}
}

type feedInput struct {
	Cursor CursorParam `query:"cursor" doc:"The cursor of the last event that was read; omit it to start with the oldest event."`
	Limit  int         `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"The maximum number of events in the response."`
	Wait   WaitParam   `query:"wait" doc:"How long to wait if there is no event, such as 20s; at most 30s."`
}

func (f *Feed[Data]) list(ctx context.Context, in *feedInput) (batch httpapi.Batch[CloudEvent[Data]], err error) {
	found, err := f.read(ctx, in)
	if err != nil {
		return batch, err
	}
	next := Cursor(in.Cursor)
	batch.Body = make([]CloudEvent[Data], len(found))
	for i, e := range found {
		batch.Body[i], err = f.toWire(e)
		if err != nil {
			return batch, err
		}
		next = e.Cursor
	}
	query := url.Values{"limit": {strconv.Itoa(in.Limit)}}
	if next != (Cursor{}) {
		query.Set("cursor", next.String())
	}
	if in.Wait > 0 {
		query.Set("wait", in.Wait.String())
	}
	batch.Link = "<" + f.path + "/events?" + query.Encode() + `>; rel="next"`
	return batch, nil
}

// read returns the events after a cursor. If there are none, it waits for in.Wait.
func (f *Feed[Data]) read(ctx context.Context, in *feedInput) ([]Event, error) {
	end := time.Now().Add(time.Duration(in.Wait))
	for held := false; ; {
		found, err := f.store.EventsAfter(ctx, Cursor(in.Cursor), in.Limit)
		left := time.Until(end)
		if errors.Is(err, ErrGone) {
			return nil, Gone()
		}
		if err != nil || len(found) > 0 || left <= 0 {
			return found, err
		}
		if !held {
			leave, ok := f.waiting.enter(auth.From(ctx))
			if !ok {
				return nil, httpapi.Unavailable("too many requests wait for events", time.Second)
			}
			defer leave()
			held = true
		}
		if !httpapi.Wait(ctx, min(interval, left)) {
			return nil, nil // the service is stopping: the client retries with another replica
		}
	}
}

// Gone returns the 410 for ErrGone.
func Gone() error {
	return httpapi.NewProblem(http.StatusGone, "the cursor's event no longer exists: it has expired, or the service's database was restored or replaced; start again without a cursor")
}

func (f *Feed[Data]) toWire(e Event) (CloudEvent[Data], error) {
	c := CloudEvent[Data]{
		SpecVersion: "1.0", ID: fmt.Sprintf("%s/%d", e.Subject, e.Version), Source: f.path, Type: typePrefix + f.noun + "." + e.Type,
		Subject: e.Subject, Time: httpapi.Instant(e.Time), DataContentType: "application/json", Cursor: e.Cursor.String(),
	}
	err := json.Unmarshal(e.Data, &c.Data)
	if err != nil {
		return c, fmt.Errorf("read the data of event %s: %w", c.Cursor, err)
	}
	return c, nil
}

// CursorPattern matches a cursor, except the beginning.
const CursorPattern = "^(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})$"

// CursorParam is a cursor in a query.
type CursorParam Cursor

// UnmarshalText calls ParseCursor.
func (c *CursorParam) UnmarshalText(b []byte) error {
	parsed, err := ParseCursor(string(b))
	*c = CursorParam(parsed)
	return err
}

// Schema describes a cursor.
func (*CursorParam) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: CursorPattern, Examples: []any{"734-19"}}
}

// WaitParam is the time of a long poll, 0 to maxWait.
type WaitParam time.Duration

// waitPattern is what WaitParam accepts.
const waitPattern = "^([0-9]{1,4}ms|[12]?[0-9]s|30s)$"

var (
	waits   = regexp.MustCompile(waitPattern)
	errWait = errors.New("must be a duration such as 20s or 500ms, at most 30s")
)

// String returns the time as UnmarshalText accepts it.
func (w WaitParam) String() string {
	d := time.Duration(w)
	if d%time.Second != 0 {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	return d.String()
}

// UnmarshalText parses a duration.
func (w *WaitParam) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil || !waits.Match(b) {
		return errWait
	}
	*w = WaitParam(d)
	return nil
}

// Schema describes a duration.
func (*WaitParam) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: waitPattern, Examples: []any{"20s"}}
}
