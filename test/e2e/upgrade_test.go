//go:build e2e

package e2e

import (
	"net/http"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// earlierChart is the commit of the first chart, of which there are still releases.
const earlierChart = "964793a755a318b0a166b8e9190cd9f0cecb9162"

// TestAnUpgradeOfTheChart upgrades from the first chart, with both stores: one command is
// enough, nothing is lost, and with PostgreSQL no request fails. The objects that the old pods
// read stay until the release is uninstalled.
func TestAnUpgradeOfTheChart(t *testing.T) {
	folder := t.TempDir()
	out, err := exec.Command("bash", "-c", `git -C "$0" archive "$1" charts/microservices | tar -x -C "$2"`, root, earlierChart, folder).CombinedOutput()
	require.NoError(t, err, "the repository needs its history, back to the first chart: git fetch --unshallow\n%s", out)
	for _, store := range []string{"embedded", "postgres", "postgres by url"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel() // with each other only: other tests could delay requests
			n := newNamespace(t)
			release := installation{images: releases[0]}
			switch store {
			case "postgres":
				release.values = n.postgresMode()
			case "postgres by url":
				release.values = "database: {mode: postgres}\nservices:\n" +
					"  user-service: {database: {url: '" + newDatabase(t) + "'}}\n" +
					"  order-service: {database: {url: '" + newDatabase(t) + "'}}\n"
			}
			// The first chart's policies allow only port 5432.
			release.values += "networkPolicy: {enabled: false}\n"
			arguments := release.arguments(t)
			n.helm(append([]string{"install"}, replace(arguments, chart, folder+"/charts/microservices")...)...)
			user := ask(t, http.MethodPost, "http://"+n.forward("service/shop-user-service", 8000)+"/api/v1/users", aUser).id(t)
			order := ask(t, http.MethodPost, "http://"+n.forward("service/shop-order-service", 8001)+"/api/v1/orders", anOrder(user)).id(t)
			var load *generator
			if store != "embedded" {
				load = n.startLoad(loadRate, "")
			}

			n.upgrade(release)
			if load != nil {
				report := load.stop()
				t.Logf("%s", report)
				require.Empty(t, report.failures())
			}
			for service := range ports {
				n.kubectl("get", "configmap", "shop-"+service)
				if store == "postgres by url" {
					n.kubectl("get", "secret", "shop-"+service+"-database")
				}
			}
			found := list(t, "http://"+n.forward("service/shop-user-service", 8000)+"/api/v1/users")
			require.Equal(t, 1, found[user])
			found = list(t, "http://"+n.forward("service/shop-order-service", 8001)+"/api/v1/orders")
			require.Equal(t, 1, found[order])

			n.helm("rollback", name, "1", "--wait", "--timeout", "3m")
			n.upgrade(release)
			n.helm("uninstall", name, "--wait")
			left, err := n.try("get", "configmap", "shop-user-service")
			require.Error(t, err, left)
		})
	}
}
