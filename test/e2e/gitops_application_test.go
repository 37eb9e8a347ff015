//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// application has the fields of an Argo CD Application that the tests use.
type application struct {
	Spec struct {
		SyncPolicy struct{ SyncOptions []string }
	}
	Operation *struct{}
	Status    struct {
		Sync         struct{ Status, Revision string }
		Health       struct{ Status string }
		Conditions   []struct{ Type, Message string }
		ReconciledAt time.Time
		Resources    []struct {
			Kind, Name, Status string
			Health             struct{ Status, Message string }
		}
		OperationState struct {
			Phase, Message string
			StartedAt      time.Time
			SyncResult     struct {
				Revision  string
				Resources []struct{ Kind, Name, Status, Message string }
			}
		}
	}
}

// good reports whether the cluster has what git has, and is healthy.
func (a application) good() bool {
	return a.Status.Sync.Status == "Synced" && a.Status.Health.Status == "Healthy"
}

// runs reports whether the cluster has a commit, or a later one, and is healthy.
func (g *gitops) runs(commit string) func(application) bool {
	return func(a application) bool { return a.good() && g.repository.Contains(a.Status.Sync.Revision, commit) }
}

// says returns the messages of an application's conditions, operation and objects.
func (a application) says() string {
	said := []string{a.Status.OperationState.Message}
	for _, c := range a.Status.Conditions {
		said = append(said, c.Type+": "+c.Message)
	}
	for _, r := range a.Status.OperationState.SyncResult.Resources {
		said = append(said, r.Kind+" "+r.Name+": "+r.Message)
	}
	for _, r := range a.Status.Resources {
		if r.Health.Message != "" {
			said = append(said, r.Kind+" "+r.Name+" "+r.Health.Status+": "+r.Health.Message)
		}
	}
	return strings.Join(said, "\n")
}

// application returns an application.
func (n *namespace) application(name string) application {
	n.t.Helper()
	var a application
	n.get(&a, "applications.argoproj.io", name)
	return a
}

// becomes polls an application until is returns true, and returns the application.
func (n *namespace) becomes(name, what string, is func(application) bool) application {
	n.t.Helper()
	var a application
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); {
		out, err := n.try("get", "applications.argoproj.io", name, "--output=json")
		if err == nil {
			a = application{}
			require.NoError(n.t, json.Unmarshal([]byte(out), &a))
			if is(a) {
				return a
			}
		}
		<-time.After(500 * time.Millisecond)
	}
	yaml, _ := n.try("get", "applications.argoproj.io", name, "--output=yaml")
	require.Fail(n.t, name+" never became "+what, yaml)
	return a
}

// refresh makes Argo CD read the repository at once, as a webhook does.
func (n *namespace) refresh(name string) {
	n.t.Helper()
	n.kubectl("annotate", "applications.argoproj.io", name, "argocd.argoproj.io/refresh=normal", "--overwrite")
}

// reconciled makes Argo CD read the repository, waits until it has, and returns the
// application.
func (n *namespace) reconciled(name string) application {
	n.t.Helper()
	before := n.application(name).Status.ReconciledAt // in seconds
	return n.becomes(name, "reconciled", func(a application) bool {
		if a.Status.ReconciledAt.After(before) {
			return true
		}
		n.refresh(name)
		return false
	})
}

// sync starts a sync, like argocd app sync or the button in the user interface.
func (n *namespace) sync(name string, options ...string) {
	n.t.Helper()
	if len(options) == 0 {
		options = n.application(name).Spec.SyncPolicy.SyncOptions
	}
	patch, err := json.Marshal(map[string]any{"operation": map[string]any{
		"initiatedBy": map[string]any{"username": "e2e"}, "sync": map[string]any{"syncOptions": options},
	}})
	require.NoError(n.t, err)
	n.kubectl("patch", "applications.argoproj.io", name, "--type=merge", "--patch", string(patch))
}
