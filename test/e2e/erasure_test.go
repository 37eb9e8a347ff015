//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDeletionsWhileVersionsAreMixed upgrades from the previous version to this one, rolls
// back, and upgrades again, while users with orders are deleted. No request fails, and every
// deleted user is erased, whichever version deleted it.
func TestDeletionsWhileVersionsAreMixed(t *testing.T) {
	n := newNamespace(t)
	// Without the cache, every order needs a lookup, as in TestNoRequestFailsDuringRollouts.
	values := n.postgresMode() + "defaults: {env: {USER_CLIENT_CACHE_TTL: 0s}}\n"
	before := installation{images: imagesOf(t, previousVersion(t)), values: values}
	after := installation{images: releases[0], values: values}
	n.install(before)
	load := n.startLoadOf(loadRate, "", "yes")
	for _, release := range []installation{after, before, after} {
		enough := len(load.report().Writes) + 5*loadRate
		n.upgrade(release)
		n.eventually("there were writes", func() bool { return len(load.report().Writes) > enough })
	}
	report := load.stop()
	t.Logf("%s", report)
	require.Empty(t, report.failures())
	users := "http://" + n.forward("service/shop-user-service", 8000) + "/api/v1/users/"
	orders := "http://" + n.forward("service/shop-order-service", 8001) + "/api/v1/orders/user/"
	deleted, began := 0, time.Now()
	for _, w := range report.Writes {
		if w.Kind != "deletion" {
			continue
		}
		deleted++
		n.eventually("the erasure is complete", func() bool {
			a := ask(t, http.MethodGet, users+w.ID+"/erasure", "")
			require.Equal(t, http.StatusOK, a.status, a.body)
			return strings.Contains(a.body, `"complete":true`)
		})
		var list struct {
			Items []struct {
				Status  string
				Address *string `json:"shipping_address"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(ask(t, http.MethodGet, orders+w.ID, "").body), &list))
		require.Len(t, list.Items, 1)
		require.Equal(t, "cancelled", list.Items[0].Status)
		require.Nil(t, list.Items[0].Address)
	}
	require.Greater(t, deleted, 10)
	figure("users deleted and erased during a rollout with two versions", float64(deleted), "")
	figure("from the end of that rollout to the last erasure", time.Since(began).Seconds(), "s")
}

func previousVersion(t *testing.T) string {
	t.Helper()
	commit, err := os.ReadFile(filepath.Join(root, "test/versions/previous"))
	require.NoError(t, err)
	return strings.TrimSpace(string(commit))
}

// imagesOf builds the images of a commit.
func imagesOf(t *testing.T, commit string) images {
	t.Helper()
	folder := t.TempDir()
	out, err := exec.Command("bash", "-c", `git -C "$0" archive "$1" | tar -x -C "$2"`, root, commit, folder).CombinedOutput()
	require.NoError(t, err, "the repository needs its history, back to %s\n%s", commit, out)
	built, err := buildImages(folder, "v0.0.0-before")
	require.NoError(t, err)
	return built
}
