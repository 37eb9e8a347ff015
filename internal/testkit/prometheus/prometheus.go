// Package prometheus runs a real Prometheus for a test.
package prometheus

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/stretchr/testify/require"
)

// Server is a running Prometheus.
type Server struct {
	// API is its HTTP API.
	v1.API
	// URL is its base URL.
	URL string
}

// startTimeout is far more than a start needs.
const startTimeout = time.Minute

// Start starts the Prometheus pinned under root/.ci/tools with a configuration file, on a
// free port of 127.0.0.1, with exemplar storage. It ends, and its data is removed, with
// the test.
func Start(t testing.TB, root, config string) *Server {
	t.Helper()
	built, err := exec.CommandContext(t.Context(), filepath.Join(root, ".ci", "tool"), "--path", "prometheus").Output()
	require.NoError(t, err, "build prometheus")
	ctx, stop := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, strings.TrimSpace(string(built)), "--config.file="+config, "--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address=127.0.0.1:0", "--enable-feature=exemplar-storage", "--log.format=json")
	said, err := command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	address, log := make(chan string, 1), make(chan string, 1)
	go func() {
		defer close(log)
		var all strings.Builder
		for lines := bufio.NewScanner(said); lines.Scan(); {
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "Listening on" {
				address <- line.Address
			}
			all.WriteString(lines.Text() + "\n")
		}
		log <- all.String()
	}()
	t.Cleanup(func() {
		stop()
		all := <-log
		_ = command.Wait()
		if t.Failed() {
			t.Logf("log of Prometheus:\n%s", all)
		}
	})
	s := &Server{}
	select {
	case at := <-address:
		s.URL = "http://" + at
	case <-time.After(startTimeout):
		require.Fail(t, "Prometheus does not listen")
	case all := <-log:
		require.Fail(t, "Prometheus has ended", all)
	}
	client, err := api.NewClient(api.Config{Address: s.URL, Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	require.NoError(t, err)
	s.API = v1.NewAPI(client)
	require.Eventually(t, func() bool {
		_, err := s.Runtimeinfo(t.Context())
		return err == nil
	}, startTimeout, 5*time.Millisecond, "Prometheus is not ready")
	return s
}

// Node is a node of a query's syntax tree. Its Type decides which fields are set.
type Node struct {
	Type string
	// Name is the metric of a selector, and Matchers its label matchers.
	Name     string
	Matchers []struct{ Name string }
	// Grouping are the labels of an aggregation (by or, if Without is set, without).
	Grouping []string
	Without  bool
	// Child nodes.
	Expr, LHS, RHS, Param *Node
	Args                  []*Node
	// Matching are the labels that match the two sides of an operation.
	Matching *struct{ Labels, Include []string }
}

// Parts returns the node's children.
func (n *Node) Parts() []*Node {
	var all []*Node
	for _, part := range append([]*Node{n.Expr, n.LHS, n.RHS, n.Param}, n.Args...) {
		if part != nil {
			all = append(all, part)
		}
	}
	return all
}

// Selectors returns the selectors in the node.
func (n *Node) Selectors() []*Node {
	var all []*Node
	if n.Name != "" {
		all = append(all, n)
	}
	for _, part := range n.Parts() {
		all = append(all, part.Selectors()...)
	}
	return all
}

// Labels returns the names of the labels that a selector matches.
func (n *Node) Labels() []string {
	var names []string
	for _, m := range n.Matchers {
		names = append(names, m.Name)
	}
	return names
}

// Parse returns the syntax tree of a query. It fails the test if the query is invalid.
func (s *Server) Parse(t testing.TB, query string) *Node {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/v1/parse_query?query="+url.QueryEscape(query), nil)
	require.NoError(t, err)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  *Node
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Empty(t, answer.Error, query)
	return answer.Data
}
