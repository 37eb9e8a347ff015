package clients

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/errors"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
	"github.com/example/microservices/pkg/page"
)

var (
	requestsFor  = flag.Duration("requests-for", 20*time.Second, "how long TestGeneratedRequests sends requests; 10m for the long form")
	requestsSeed = flag.Int("requests-seed", 0, "the seed of the requests, apart from values of earlier answers; 0: a new seed")
)

// TestGeneratedRequests sends valid and invalid requests that testdata/requests/generate.mjs
// generates from the documents to both services. Each answer must be documented and match its
// schema, and none is a 5xx. The document must allow every accepted request, so that it never
// allows less than the service.
func TestGeneratedRequests(t *testing.T) {
	seed := *requestsSeed
	if seed == 0 {
		seed = int(rand.Int32())
	}
	t.Logf("-requests-seed=%d", seed)
	users, orders := startServices(t)
	there := &things{"user": {process.CreateUser(t, users)}}
	there.add("order", createOrder(t, orders, there.at("user", 0)))
	services := map[string]*process.Process{"user-service": users, "order-service": orders}
	for service, p := range services {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			newTrial(t, service, p, there).run(seed)
		})
	}
}

// things are the ids of existing resources, by kind.
type things map[string][]string

var thingsLock sync.Mutex

func (h things) add(kind, id string) {
	thingsLock.Lock()
	defer thingsLock.Unlock()
	h[kind] = append(h[kind][max(0, len(h[kind])-9):], id)
}

// at returns an id of a kind, chosen by luck.
func (h things) at(kind string, luck int) string {
	thingsLock.Lock()
	defer thingsLock.Unlock()
	return h[kind][luck%len(h[kind])]
}

func createOrder(t *testing.T, orders *process.Process, user string) string {
	t.Helper()
	body := `{"user_id":"` + user + `","shipping_address":"x","items":[{"product_id":"p","product_name":"P","quantity":1,"price":1}]}`
	response, err := http.Post(orders.URL+"/api/v1/orders", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusCreated, response.StatusCode)
	return filepath.Base(response.Header.Get("Location"))
}

// trial sends the generated requests to one service.
type trial struct {
	t        *testing.T
	service  *process.Process
	kind     string // of the service's resources
	there    *things
	document string // the file of the served document
	// operations are the service's operations, in the form of name.
	operations []string
	validate   validator.Validator
	client     *http.Client

	mu       sync.Mutex
	counts   map[string]int    // by operation and status
	done     map[string]bool   // operations with an accepted request
	accepted map[string][2]int // requests sent and accepted, by kind of body
	etag     string
	cursor   string
	wrong    int
}

func newTrial(t *testing.T, service string, p *process.Process, there *things) *trial {
	t.Helper()
	response, err := http.Get(p.URL + "/openapi.json")
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	parsed, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	v, errs := validator.NewValidator(parsed)
	require.Empty(t, errs)
	path := filepath.Join(t.TempDir(), "openapi.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	transport := &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	r := &trial{
		t: t, service: p, kind: strings.TrimSuffix(service, "-service"), there: there, document: path, validate: v,
		client: &http.Client{Transport: transport},
		counts: map[string]int{}, done: map[string]bool{}, accepted: map[string][2]int{}, etag: `"1"`, cursor: page.Request{Before: uuid.Max}.Cursor(),
	}
	var described struct {
		Paths map[string]map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &described))
	for path, item := range described.Paths {
		for method := range item {
			r.operations = append(r.operations, strings.ToUpper(method)+" "+r.name(path))
		}
	}
	return r
}

// request is a line of the output of generate.mjs.
type request struct {
	Kind, Method, Path string
	Headers            map[string]string
	Body               *string
	luck               [2]int // chooses the user and the order
}

// maxWrong is the maximum number of wrong answers that a trial reports.
const maxWrong = 20

func (r *trial) run(seed int) {
	folder := copyFolder(r.t, "requests")
	require.NoError(r.t, os.Symlink(tool(r.t, "request-generator"), filepath.Join(folder, "node_modules")))
	generator := exec.CommandContext(r.t.Context(), "node", "generate.mjs", r.document, strconv.Itoa(seed))
	var said bytes.Buffer
	generator.Dir, generator.Stderr = folder, &said
	out, err := generator.StdoutPipe()
	require.NoError(r.t, err)
	require.NoError(r.t, generator.Start())
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	made, luck := make(chan request), rand.New(rand.NewPCG(uint64(seed), 0))
	var sending sync.WaitGroup
	for range 4 {
		sending.Go(func() {
			for q := range made {
				r.try(q)
			}
		})
	}
	for end := time.Now().Add(*requestsFor); time.Now().Before(end) && !r.enough() && lines.Scan(); {
		var q request
		require.NoError(r.t, json.Unmarshal(lines.Bytes(), &q))
		q.luck = [2]int{luck.Int(), luck.Int()}
		made <- q
	}
	close(made)
	sending.Wait()
	require.NoError(r.t, lines.Err())
	_ = generator.Process.Kill()
	_ = generator.Wait() // ends with an error, as it was killed
	require.Empty(r.t, said.String())
	r.report()
}

// enough reports whether there were so many wrong answers that more would not help.
func (r *trial) enough() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrong >= maxWrong
}

func (r *trial) try(q request) {
	r.mu.Lock()
	etag, cursor := r.etag, r.cursor
	r.mu.Unlock()
	fill := strings.NewReplacer("{user}", r.there.at("user", q.luck[0]), "{order}", r.there.at("order", q.luck[1]), "{etag}", etag, "{cursor}", cursor).Replace
	body := ""
	if q.Body != nil {
		body = fill(*q.Body)
	}
	url := r.service.URL + fill(q.Path)
	made := func() *http.Request {
		sent, err := http.NewRequestWithContext(r.t.Context(), q.Method, url, strings.NewReader(body))
		if err != nil {
			panic(err) // the generator writes valid URLs
		}
		for name, value := range q.Headers {
			sent.Header.Set(name, fill(value))
		}
		return sent
	}
	response, err := r.client.Do(made())
	if err != nil {
		r.complain(q, body, "no answer: "+err.Error())
		return
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		r.complain(q, body, "incomplete answer: "+err.Error())
		return
	}
	r.judge(q, body, made, response, answer)
}

func (r *trial) judge(q request, body string, made func() *http.Request, response *http.Response, answer []byte) {
	template, _, _ := strings.Cut(q.Path, "?")
	r.mu.Lock()
	operation := q.Method + " " + r.name(template)
	r.counts[fmt.Sprintf("%s %d", operation, response.StatusCode)]++
	tally := r.accepted[q.Kind]
	tally[0]++
	if response.StatusCode < http.StatusBadRequest {
		tally[1]++
		r.done[operation] = true
	}
	r.accepted[q.Kind] = tally
	if tag := response.Header.Get("ETag"); tag != "" {
		r.etag = tag
	}
	var list struct {
		Next string `json:"next_cursor"`
	}
	if json.Unmarshal(answer, &list) == nil && list.Next != "" {
		r.cursor = list.Next
	}
	r.mu.Unlock()
	if response.StatusCode >= http.StatusInternalServerError {
		r.complain(q, body, fmt.Sprintf("%d: %s", response.StatusCode, answer))
		return
	}
	if location := response.Header.Get("Location"); location != "" {
		r.there.add(r.kind, filepath.Base(location))
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	if valid, problems := r.validate.ValidateHttpResponse(made(), response); !valid {
		r.complain(q, body, fmt.Sprintf("the answer, %d, does not match the document: %s\n%s", response.StatusCode, problemsOf(problems), answer))
	}
	if response.StatusCode < http.StatusBadRequest {
		if valid, problems := r.validate.ValidateHttpRequest(made()); !valid {
			r.complain(q, body, fmt.Sprintf("answered %d, although the document forbids the request: %s", response.StatusCode, problemsOf(problems)))
		}
	}
}

// name returns the operation's path with its parameters removed.
func (r *trial) name(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 4 && parts[1] == "api" {
		at := map[string]int{"user": 5, "events": 6}[parts[4]] // positions of an id, or of a name
		if at = cmp.Or(at, 4); at < len(parts) {
			parts[at] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}

func problemsOf(problems []*errors.ValidationError) string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Message+": "+p.Reason)
		for _, s := range p.SchemaValidationErrors {
			all = append(all, s.Reason+" at "+s.FieldPath)
		}
	}
	return strings.Join(all, "; ")
}

func (r *trial) complain(q request, body, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong++
	r.t.Errorf("%s %s %v\n%.2000q\n%s", q.Method, q.Path, q.Headers, body, what)
}

// report logs how often each answer occurred.
func (r *trial) report() {
	for _, what := range slices.Sorted(maps.Keys(r.counts)) {
		r.t.Logf("%8d  %s", r.counts[what], what)
	}
	for kind, tally := range r.accepted {
		r.t.Logf("bodies %s: %d sent, %d accepted", kind, tally[0], tally[1])
	}
	for _, operation := range r.operations {
		require.True(r.t, r.done[operation], "%s was never accepted", operation)
	}
}
