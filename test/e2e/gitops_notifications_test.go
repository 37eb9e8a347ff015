//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// channel receives the notifications for the team.
type channel struct {
	mu    sync.Mutex
	texts []string
}

// notify makes Argo CD send its notifications to the channel, as docs/gitops.md describes.
func (g *gitops) notify(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct{ Text string }
		err := json.NewDecoder(r.Body).Decode(&message)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		g.channel.mu.Lock()
		defer g.channel.mu.Unlock()
		g.channel.texts = append(g.channel.texts, message.Text)
	}))
	t.Cleanup(server.Close)
	argo := g.argo(t)
	secret, err := json.Marshal(map[string]any{"stringData": map[string]string{"team-webhook-url": server.URL}})
	require.NoError(t, err)
	argo.apply(`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-notifications-secret", "labels": {"app.kubernetes.io/part-of": "argocd"}}}`)
	argo.kubectl("patch", "secret", "argocd-notifications-secret", "--patch", string(secret))
	argo.kubectl("apply", "--server-side", "--force-conflicts", "--filename", filepath.Join(root, "argocd", "notifications.yaml"))
}

// length returns the number of messages so far.
func (c *channel) length() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.texts)
}

// told reports whether a message after the first after messages has all of the words.
func (c *channel) told(after int, words ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.texts[after:] {
		all := true
		for _, word := range words {
			all = all && strings.Contains(text, word)
		}
		if all {
			return true
		}
	}
	return false
}
