package system

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// visitor sends requests with a person's data everywhere, and records each service's
// statuses.
type visitor struct {
	t      *testing.T
	client *http.Client
	sent   int
	// met are the recorded statuses, by the service's address.
	met map[string]map[int]bool
}

// everywhere returns headers that a client may set freely, with the person's data.
func everywhere() http.Header {
	h := http.Header{}
	for _, name := range []string{"User-Agent", "Referer", "Cookie", "From", "Accept-Language", "Forwarded", "X-Forwarded-For", "X-Real-Ip", "Origin", "B3"} {
		h.Set(name, canary.email)
	}
	h.Set("X-Request-Id", canary.email) // invalid as an id, so it is not logged
	h.Set("Accept", "application/"+canary.name)
	h.Set("Baggage", "who="+canary.name+",mail="+canary.email)
	h.Set("Tracestate", "who="+canary.name)
	h.Set("Content-Type", "application/json")
	return h
}

// send sends a request with a token ("" is none) and additional headers, and returns the
// status.
func (v *visitor) send(method, url, token, body string, headers ...string) int {
	v.t.Helper()
	status, _ := v.ask(method, url, token, body, headers...)
	return status
}

// ask does the same, and returns the body as well.
func (v *visitor) ask(method, url, token, body string, headers ...string) (int, string) {
	v.t.Helper()
	v.sent++
	request, err := http.NewRequestWithContext(v.t.Context(), method, url, strings.NewReader(body))
	require.NoError(v.t, err)
	request.Header = everywhere()
	request.Header.Set("Idempotency-Key", fmt.Sprint(canary.email, v.sent))
	// Alternately a sampled trace, and an invalid one.
	request.Header.Set("Traceparent", []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", canary.name}[v.sent%2])
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.client.Do(request)
	require.NoError(v.t, err)
	return v.read(request.URL.Host, response)
}

// begin sends a request with an incomplete body, and returns a function that reads the
// answer.
func (v *visitor) begin(address, path, token, body string, missing int) func() int {
	v.t.Helper()
	conn, err := new(net.Dialer).DialContext(v.t.Context(), "tcp", address)
	require.NoError(v.t, err)
	v.t.Cleanup(func() { _ = conn.Close() })
	var head strings.Builder
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n", path, len(body)+missing, token)
	require.NoError(v.t, everywhere().Write(&head))
	_, err = io.WriteString(conn, head.String()+"\r\n"+body)
	require.NoError(v.t, err)
	return func() int {
		v.t.Helper()
		require.NoError(v.t, conn.SetDeadline(time.Now().Add(time.Minute)))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(v.t, err)
		status, _ := v.read(address, response)
		return status
	}
}

// read reads an answer. A problem may name the method and the location of an error as the
// client wrote them, and must not contain other data of the request.
func (v *visitor) read(address string, response *http.Response) (int, string) {
	v.t.Helper()
	body, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	require.NoError(v.t, response.Body.Close())
	status := response.StatusCode
	if v.met[address] == nil {
		v.met[address] = map[int]bool{}
	}
	v.met[address][status] = true
	if status >= http.StatusBadRequest {
		requireNoCanary(v.t, fmt.Sprint(response.Header))
		requireNoCanary(v.t, withoutPlaces(v.t, body))
	}
	return status, string(body)
}

// withoutPlaces returns a problem without the method and the locations.
func withoutPlaces(t *testing.T, body []byte) string {
	t.Helper()
	if string(body) == "431 Request Header Fields Too Large" { // net/http's own
		return string(body)
	}
	var problem map[string]any
	require.NoError(t, json.Unmarshal(body, &problem), "%s", body)
	places, _ := problem["errors"].([]any)
	for _, place := range places {
		delete(place.(map[string]any), "location")
	}
	text, err := json.Marshal(problem)
	require.NoError(t, err)
	return strings.Replace(string(text), "this path does not support "+canary.name+";", "", 1)
}

// requireMet fails the test unless a service answered with each of the statuses.
func (v *visitor) requireMet(address string, statuses ...int) {
	v.t.Helper()
	met := slices.Sorted(maps.Keys(v.met[address]))
	require.Subset(v.t, met, statuses, "the test did not provoke each of these statuses")
}
