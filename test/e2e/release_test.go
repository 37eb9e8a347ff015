//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	chart = root + "/charts/microservices"
	// name is the release's name.
	name = "shop"
)

var ports = map[string]int{"user-service": 8000, "order-service": 8001}

// adminPort is the port of each service's metrics in the chart's values.
const adminPort = 9090

// installation is the images and values of a release.
type installation struct {
	images images
	// values are the content of a values file.
	values string
}

// arguments returns the arguments of helm install and helm upgrade.
func (i installation) arguments(t *testing.T) []string {
	file := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(file, []byte(i.values), 0o600))
	return append([]string{name, chart, "--values", file, "--wait", "--timeout", "3m"}, i.images.values()...)
}

// install installs the chart, and waits until it is ready.
func (n *namespace) install(i installation) {
	n.t.Helper()
	n.helm(append([]string{"install"}, i.arguments(n.t)...)...)
}

// upgrade upgrades the release, and waits until it is ready.
func (n *namespace) upgrade(i installation) {
	n.t.Helper()
	n.helm(append([]string{"upgrade"}, i.arguments(n.t)...)...)
}

// postgresMode creates two new databases, and returns values with which a release uses them.
func (n *namespace) postgresMode() string {
	n.t.Helper()
	for service := range ports {
		n.kubectl("create", "secret", "generic", service+"-database", "--from-literal=DATABASE_URL="+newDatabase(n.t))
	}
	return postgresValues
}

// postgresValues are the chart's values for Secrets called SERVICE-database.
const postgresValues = `
database: {mode: postgres}
services:
  user-service: {database: {existingSecret: user-service-database}}
  order-service: {database: {existingSecret: order-service-database}}
`

// answer is a service's answer.
type answer struct {
	status int
	body   string
	took   time.Duration
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask sends a request, and fails the test without an answer. Any status will do.
func ask(t *testing.T, method, url, body string) answer {
	t.Helper()
	return askAs(t, "", method, url, body)
}

// askAs does the same with a token.
func askAs(t *testing.T, token, method, url, body string) answer {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	request.Header.Set("Content-Type", "application/json")
	start := time.Now()
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{status: response.StatusCode, body: string(read), took: time.Since(start)}
}

// id returns the id of the created resource.
func (a answer) id(t *testing.T) string {
	t.Helper()
	require.Equal(t, http.StatusCreated, a.status, a.body)
	var created struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(a.body), &created))
	return created.ID
}

const aUser = `{"name":"Ada Lovelace","email":"ada@example.com"}`

func anOrder(user string) string {
	return fmt.Sprintf(`{"user_id":%q,"shipping_address":"London","items":[{"product_id":"p","product_name":"P","quantity":1,"price":0.1}]}`, user)
}

// list returns how often a list has each id.
func list(t *testing.T, url string) map[string]int {
	t.Helper()
	ids := map[string]int{}
	query := "?limit=100"
	for query != "" {
		a := ask(t, http.MethodGet, url+query, "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		var page struct {
			Items      []struct{ ID string }
			NextCursor string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &page))
		for _, item := range page.Items {
			ids[item.ID]++
		}
		query = ""
		if page.NextCursor != "" {
			query = "?limit=100&cursor=" + page.NextCursor
		}
	}
	return ids
}

// metric returns a metric's value as text, or "" without the metric. address leads to a pod's
// adminPort.
func metric(t *testing.T, address, series string) string {
	t.Helper()
	a := ask(t, http.MethodGet, "http://"+address+"/metrics", "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	for _, line := range strings.Split(a.body, "\n") {
		value, found := strings.CutPrefix(line, series+" ")
		if found {
			return value
		}
	}
	return ""
}
