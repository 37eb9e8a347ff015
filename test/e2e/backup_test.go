//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAVolumeIsLostAndRestored follows docs/grow.md: it makes a backup during writes, loses the
// volume, and restores the newest backup. No write acknowledged before the backup is missing,
// and the service accepts writes again.
func TestAVolumeIsLostAndRestored(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	on := installation{images: releases[0], values: "defaults: {backup: {enabled: true}}\n"}
	off := installation{images: releases[0], values: on.values + "services: {user-service: {replicas: 0}}\n"}
	n.install(on)
	load := n.startLoad(loadRate, "")
	acknowledged := map[string]bool{}
	for _, w := range load.report().Writes {
		if w.Kind == "user" && w.Status == http.StatusCreated {
			acknowledged[w.ID] = true
		}
	}
	require.NotEmpty(t, acknowledged)
	n.kubectl("create", "job", "backup-now", "--from=cronjob/shop-user-service-backup")
	n.kubectl("wait", "--for=condition=Complete", "job/backup-now", "--timeout=2m")
	report := load.stop()
	require.Empty(t, report.failures(), "writes failed during the backup")
	require.Contains(t, n.kubectl("logs", "job/backup-now"), `"file":"/backup/user-service-`)

	// Don't wait for pods: user-service has none, so order-service isn't ready either.
	stop := func() { n.helm(append(append([]string{"upgrade"}, off.arguments(t)...), "--wait=hookOnly")...) }
	stop()
	n.kubectl("wait", "--for=delete", "pod", "--selector=app.kubernetes.io/name=user-service", "--timeout=2m")
	n.kubectl("delete", "pod", "--selector=app.kubernetes.io/name=user-service-backup") // which would keep the volume in use
	n.kubectl("delete", "pvc", "shop-user-service-data")
	stop() // which creates an empty volume
	job, err := run(n.kubectl("create", "job", "restore", "--from=cronjob/shop-user-service-backup", "--dry-run=client", "--output=json"),
		kubectl, "patch", "--local", "--filename=-", "--type=json", "--output=json", "--patch", `[
			{"op": "remove", "path": "/spec/template/spec/affinity"},
			{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["restore", "/backup"]}]`)
	require.NoError(t, err, job)
	n.apply(job)
	n.kubectl("wait", "--for=condition=Complete", "job/restore", "--timeout=2m")
	n.upgrade(on)

	users := "http://" + n.forward("service/shop-user-service", 8000) + "/api/v1/users"
	there := list(t, users)
	for id := range acknowledged {
		require.Equal(t, 1, there[id], "user %s was acknowledged before the backup", id)
	}
	figure("backup and restore: writes acknowledged before the backup and lost", 0, "")
	ask(t, http.MethodPost, users, strings.Replace(aUser, "ada@", "after@", 1)).id(t)

	t.Run("not over existing data", func(t *testing.T) {
		again := strings.ReplaceAll(job, `"restore"`, `"again"`)
		again = strings.Replace(again, "\"again\",\n                            \"/backup\"", "\"restore\",\n                            \"/backup\"", 1)
		n.apply(strings.Replace(again, `"backoffLimit": 2`, `"backoffLimit": 0`, 1))
		n.kubectl("wait", "--for=condition=Failed", "job/again", "--timeout=2m")
		require.Contains(t, n.kubectl("logs", "job/again"), "stop the service first")
		require.Len(t, list(t, users), len(there)+1)
	})
}
