package chart

import (
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestAnUpgradeKeepsTheObjectsThatOldPodsRead: old pods may be restarted or added while the new ones
// fail. So no object that pods read changes its content under the same name.
func TestAnUpgradeKeepsTheObjectsThatOldPodsRead(t *testing.T) {
	helm := tool(t, "helm")
	postgres := []string{"--values", "testdata/postgres.yaml"}
	url := []string{
		"--set", "database.mode=postgres", "--set", "services.user-service.database.url=postgres://a@b/c",
		"--set", "services.order-service.database.url=postgres://a@b/d",
	}
	for name, change := range map[string]struct{ before, set []string }{
		"a variable":                      {nil, []string{"--set", "defaults.env.LOG_LEVEL=loud"}},
		"a port":                          {nil, []string{"--set", "services.user-service.port=1"}},
		"memory":                          {nil, []string{"--set", "defaults.resources.limits.memory=64Mi"}},
		"issuers":                         {postgres, []string{"--set", "auth.issuers[0].issuer=https://nobody.example.com"}},
		"a collector":                     {postgres, []string{"--set", "traces.endpoint=http://nowhere:1"}},
		"a DSN":                           {url, []string{"--set", "services.user-service.database.url=postgres://a@elsewhere/c"}},
		"the same database from a Secret": {url, []string{"--set", "services.user-service.database.url=", "--set", "services.user-service.database.existingSecret=a"}},
	} {
		t.Run(name, func(t *testing.T) {
			arguments := append(templateArguments(t, nil), change.before...)
			before := readByPods(t, run(t, "", helm, arguments...))
			after := readByPods(t, run(t, "", helm, append(arguments, change.set...)...))
			for object, content := range before {
				if _, kept := after[object]; kept {
					require.Equal(t, content, after[object], object)
				} else {
					// earlier.yaml has it from the cluster: tests/database_test.yaml.
					require.Contains(t, content, "immutable: true", "%s is deleted by the upgrade", object)
					require.Contains(t, content, "kind: Secret", object)
				}
			}
		})
	}
}

// readByPods returns the ConfigMaps and Secrets of a rendering that its pods refer to.
func readByPods(t *testing.T, rendering string) map[string]string {
	t.Helper()
	objects, pods := map[string]string{}, ""
	for _, document := range documents(rendering) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		switch object.Kind {
		case "ConfigMap", "Secret":
			objects[object.Metadata.Name] = document
		case "Deployment", "Job":
			pods += document
		}
	}
	pods = strings.ReplaceAll(pods, `"`, "")
	maps.DeleteFunc(objects, func(name, _ string) bool { return !strings.Contains(pods, "name: "+name+"\n") })
	return objects
}

// earlier is the commit of the first chart, of which there are still releases.
const earlier = "964793a755a318b0a166b8e9190cd9f0cecb9162"

// TestAnUpgradeKeepsNamesAndImmutableFields: objects of a release of the first chart keep their names and
// their immutable fields.
func TestAnUpgradeKeepsNamesAndImmutableFields(t *testing.T) {
	folder := t.TempDir()
	out, err := exec.Command("bash", "-c", `git -C "$0" archive "$1" charts/microservices | tar -x -C "$2"`, root, earlier, folder).CombinedOutput()
	require.NoError(t, err, "the repository needs its history, back to the first chart: git fetch --unshallow\n%s", out)
	helm := tool(t, "helm")
	for _, installation := range [][]string{
		nil,
		{"--values", "testdata/postgres.yaml"},
		{"--values", folder + "/charts/microservices/values-staging.yaml"},
		{"--values", folder + "/charts/microservices/values-prod.yaml"},
	} {
		arguments := append(templateArguments(t, nil), installation...)
		after := fixed(t, run(t, "", helm, arguments...))
		arguments[2] = folder + "/charts/microservices"
		before := fixed(t, run(t, "", helm, arguments...))
		require.NotEmpty(t, before)
		for object, content := range before {
			if strings.HasPrefix(object, "ConfigMap ") {
				continue // earlier.yaml keeps an existing one
			}
			require.Equal(t, content, after[object], "%s of %v", object, installation)
		}
	}
}

// fixed returns the objects of a rendering by kind and name, with their immutable fields and
// the labels that other objects select.
func fixed(t *testing.T, rendering string) map[string]any {
	t.Helper()
	objects := map[string]any{}
	for _, document := range documents(rendering) {
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Spec     struct {
				Selector         any
				Ports            any
				AccessModes      any `yaml:"accessModes"`
				StorageClassName any `yaml:"storageClassName"`
				Resources        any
				Target           any
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		objects[object.Kind+" "+object.Metadata.Name] = object
	}
	return objects
}
