//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unreachable is a database address at which nothing answers.
const unreachable = "postgres://shop:hunter2@10.255.255.1:5432/shop?connect_timeout=2"

// TestAMisspelledValueIsRefused: helm rejects it before it installs anything.
func TestAMisspelledValueIsRefused(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	out, err := n.tryHelm("install", name, chart, "--set", "databse.mode=postgres")
	require.Error(t, err)
	require.Contains(t, out, "databse")
	require.Empty(t, n.objects(), "there are objects")
}

// TestAMissingSecretIsNamed: the pod's events name the Secret, and the pod starts once the
// Secret exists.
func TestAMissingSecretIsNamed(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	values := n.postgresMode()
	url := n.kubectl("get", "secret", "user-service-database", "--output=jsonpath={.data.DATABASE_URL}")
	n.kubectl("delete", "secret", "user-service-database")
	arguments := installation{images: releases[0], values: values}.arguments(t)
	n.helm(append([]string{"install"}, without(arguments, "--wait")...)...)
	n.eventually("kubectl describe names the Secret", func() bool {
		return strings.Contains(n.kubectl("describe", "pods", "--selector=app.kubernetes.io/name=user-service"), `secret "user-service-database" not found`)
	})
	n.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: user-service-database}\ndata: {DATABASE_URL: " + url + "}\n")
	n.rolledOut()
}

// TestAnUnreachableDatabase: the upgrade fails, the pod's message says why, the old pods keep
// running, and a rollback removes the new ones.
func TestAnUnreachableDatabase(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	good := installation{images: releases[0], values: n.postgresMode()}
	n.install(good)
	users := n.forward("pod/"+n.pods("user-service")[0].Metadata.Name, 8000)
	before := n.podNames()
	n.kubectl("create", "secret", "generic", "wrong", "--from-literal=DATABASE_URL="+unreachable)

	bad := good
	bad.values = strings.Replace(good.values, "existingSecret: user-service-database", "existingSecret: wrong", 1)
	arguments := bad.arguments(t)
	out, err := n.tryHelm(append([]string{"upgrade"}, replace(arguments, "3m", "15s")...)...)
	require.Error(t, err, out)

	said := ""
	n.eventually("the migration says why it failed", func() bool {
		for _, p := range n.pods("user-service") {
			for _, c := range p.Status.InitContainerStatuses {
				said += c.State.Terminated.Message + c.LastState.Terminated.Message
			}
		}
		return said != ""
	})
	require.Contains(t, said, "DATABASE_URL")
	require.Contains(t, said, "10.255.255.1")
	require.NotContains(t, said, "hunter2")
	require.Subset(t, n.podNames(), before, "an old pod is gone")
	require.Equal(t, http.StatusOK, ask(t, http.MethodGet, "http://"+users+"/health/ready", "").status)
	ask(t, http.MethodPost, "http://"+users+"/api/v1/users", aUser).id(t)

	n.helm("rollback", name, "1", "--wait", "--timeout", "3m")
	n.eventually("only the old pods are left", func() bool { return strings.Join(n.podNames(), " ") == strings.Join(before, " ") })
}

// TestAWrongSettingDoesNotReachOldPods: an upgrade with a wrong setting fails. Old pods that are
// deleted or added afterwards still start with the old settings, and no request fails.
func TestAWrongSettingDoesNotReachOldPods(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	good := installation{images: releases[0], values: n.postgresMode()}
	n.install(good)
	load := n.startLoad(loadRate, "")
	bad := good
	bad.values += "defaults: {env: {LOG_LEVEL: loud}}\n"
	out, err := n.tryHelm(append([]string{"upgrade"}, replace(bad.arguments(t), "3m", "15s")...)...)
	require.Error(t, err, out)

	for service := range ports {
		before := n.ready(service)
		require.Len(t, before, 2)
		n.evict(before[0])
		n.eventually("the evicted pod is replaced", func() bool {
			now := n.ready(service)
			return len(now) == 2 && !slices.Contains(now, before[0])
		})
		n.kubectl("scale", "deployment/shop-"+service, "--replicas=5")
		n.eventually("the old ReplicaSet has more pods", func() bool { return len(n.ready(service)) > 2 })
	}
	report := load.stop()
	t.Logf("%s", report)
	require.Empty(t, report.failures())
	n.helm("rollback", name, "1", "--force-conflicts", "--wait", "--timeout", "3m")
}

// evict evicts a pod, as draining its node does: the disruption budget must allow it.
func (n *namespace) evict(pod string) {
	n.t.Helper()
	eviction := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, n.name)
	n.eventually("the disruption budget allows the eviction", func() bool {
		out, err := run(eviction, kubectl, "create", "--raw", "/api/v1/namespaces/"+n.name+"/pods/"+pod+"/eviction", "--filename=-")
		require.True(n.t, err == nil || strings.Contains(out, "disruption budget"), out)
		return err == nil
	})
}

// ready returns the names of a service's ready pods.
func (n *namespace) ready(service string) []string {
	n.t.Helper()
	var names []string
	for _, p := range n.pods(service) {
		if slices.ContainsFunc(p.Status.Conditions, func(c condition) bool { return c.Type == "Ready" && c.Status == "True" }) {
			names = append(names, p.Metadata.Name)
		}
	}
	return names
}

// TestTwoReleasesInOneNamespace: two releases share nothing.
func TestTwoReleasesInOneNamespace(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	first := installation{images: releases[0]}
	n.install(first)
	other := first.arguments(t)
	other[0] = "market"
	n.helm(append([]string{"install"}, other...)...)
	ask(t, http.MethodPost, "http://"+n.forward("service/shop-user-service", 8000)+"/api/v1/users", aUser).id(t)
	a := ask(t, http.MethodGet, "http://"+n.forward("service/market-user-service", 8000)+"/api/v1/users", "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.NotContains(t, a.body, "Ada Lovelace")
	for _, release := range []string{name, "market"} {
		n.smokeTest(release)
	}
	n.helm("uninstall", "market", "--wait")
	n.smokeTest(name)
	out, err := n.tryHelm(append([]string{"install"}, first.arguments(t)...)...)
	require.Error(t, err)
	require.Contains(t, out, "in use", "the error doesn't say that the name is in use")
}

// without returns the words without one.
func without(words []string, word string) []string { return replace(words, word, "") }

// replace returns the words with one replaced, or removed if by is "".
func replace(words []string, old, by string) []string {
	var out []string
	for _, w := range words {
		if w == old {
			w = by
		}
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// TestAnUpgradeDoesNotOverwriteAManualScale: an upgrade fails instead of changing a replica count that was
// set by hand. It changes the count only with --force-conflicts.
func TestAnUpgradeDoesNotOverwriteAManualScale(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	release := installation{images: releases[0], values: n.postgresMode()}
	n.install(release)
	n.kubectl("scale", "deployment/shop-user-service", "--replicas=3")
	n.rolledOut()
	out, err := n.tryHelm(append([]string{"upgrade"}, release.arguments(t)...)...)
	require.Error(t, err)
	require.Contains(t, out, ".spec.replicas")
	require.Len(t, n.pods("user-service"), 3)
	n.helm(append([]string{"upgrade", "--force-conflicts"}, release.arguments(t)...)...)
	n.eventually("there are as many pods as the values set", func() bool { return len(n.pods("user-service")) == 2 })
}
