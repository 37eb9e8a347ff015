//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// application is what the tests look at of an Argo CD Application.
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

// good reports whether what is in git is in the cluster, and works.
func (a application) good() bool {
	return a.Status.Sync.Status == "Synced" && a.Status.Health.Status == "Healthy"
}

// runs reports whether a commit, or one after it, is in the cluster, and works.
func (g *gitops) runs(commit string) func(application) bool {
	return func(a application) bool { return a.good() && g.repository.Contains(a.Status.Sync.Revision, commit) }
}

// says returns what an application's conditions, operation and objects say.
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

// becomes polls until something is true of an application, and returns it.
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
	require.Fail(n.t, name+" never was "+what, yaml)
	return a
}

// refresh makes Argo CD look at the repository at once, as a webhook does.
func (n *namespace) refresh(name string) {
	n.t.Helper()
	n.kubectl("annotate", "applications.argoproj.io", name, "argocd.argoproj.io/refresh=normal", "--overwrite")
}

// reconciled makes Argo CD look at the repository, waits until it has, and returns
// what it has found.
func (n *namespace) reconciled(name string) application {
	n.t.Helper()
	before := n.application(name).Status.ReconciledAt // in seconds
	return n.becomes(name, "looked at", func(a application) bool {
		if a.Status.ReconciledAt.After(before) {
			return true
		}
		n.refresh(name)
		return false
	})
}

// sync is what somebody does with argocd app sync, or with the page's button.
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
