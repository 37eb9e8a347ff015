package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// umbrella renders a parent chart with these dependencies and values.
func umbrella(t *testing.T, helm, dependencies, values string) (string, error) {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(folder, "charts", "microservices"), os.DirFS(chart)))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Chart.yaml"), []byte("apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n"+dependencies), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "values.yaml"), []byte(values), 0o600))
	out, said, err := try(t, "", tool(t, helm), "template", "shop", folder, "--namespace", "shops", "--kube-version", kubernetes)
	if err != nil {
		return said, err
	}
	return out, nil
}

// names returns the kinds and names of a rendering's objects.
func names(t *testing.T, rendering string) []string {
	t.Helper()
	var all []string
	for _, document := range documents(rendering) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		if object.Kind != "" {
			all = append(all, object.Kind+" "+object.Metadata.Name)
		}
	}
	return all
}

// TestAParentChartMayIncludeIt: a parent chart can include this one under a condition, as it is or
// under aliases, and set the images' registry and the storage class.
func TestAParentChartMayIncludeIt(t *testing.T) {
	const dependency = "  - {name: microservices, version: '*', condition: microservices.enabled}\n"
	const aliases = "  - {name: microservices, version: '*', alias: first, condition: first.enabled}\n" +
		"  - {name: microservices, version: '*', alias: second, condition: second.enabled}\n"
	alone := names(t, render(t, "helm", nil))
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			out, err := umbrella(t, helm, dependency, "microservices: {enabled: true}\n")
			require.NoError(t, err, out)
			require.ElementsMatch(t, alone, names(t, out), "the objects' names must not change")

			out, err = umbrella(t, helm, dependency, "microservices: {enabled: false}\n")
			require.NoError(t, err, out)
			require.Empty(t, names(t, out))

			out, err = umbrella(t, helm, aliases, "first: {enabled: true}\nsecond: {enabled: true}\n")
			require.NoError(t, err, out)
			twice := names(t, out)
			require.Len(t, twice, 2*len(alone))
			seen := map[string]bool{}
			for _, name := range twice {
				require.False(t, seen[name], "%s exists twice", name)
				seen[name] = true
			}
			require.Contains(t, twice, "Service shop-first-user-service")
			require.Contains(t, out, "http://shop-second-user-service.shops.svc:8000")
			require.NotContains(t, out, `app.kubernetes.io/instance: "shop"`, "each alias selects its own pods")

			for alias, problem := range map[string]string{"shopEu": "shop-shopEu becomes part of host names", "shop_eu": "shop-shop_eu becomes part of host names"} {
				aliased := "  - {name: microservices, version: '*', alias: " + alias + "}\n"
				out, err = umbrella(t, helm, aliased, "")
				require.Error(t, err)
				require.Contains(t, out, problem)
				require.Contains(t, out, "set nameOverride")
				out, err = umbrella(t, helm, aliased, alias+": {nameOverride: eu}\n")
				require.NoError(t, err, out)
				require.Contains(t, names(t, out), "Service shop-eu-user-service")
			}

			out, err = umbrella(t, helm, dependency, `
global: {imageRegistry: mirror.example.com:5000/, imagePullSecrets: [one, {name: two}], storageClass: fast}
microservices: {services: {order-service: {image: {repository: registry.example.com/orders, tag: v3}}}}
`)
			require.NoError(t, err, out)
			require.Equal(t, 2, strings.Count(out, `storageClassName: "fast"`))
			for _, p := range podTemplates(t, out) {
				require.Equal(t, []any{map[string]any{"name": "one"}, map[string]any{"name": "two"}}, p.Spec["imagePullSecrets"])
				for _, c := range p.containers() {
					require.Contains(t, []any{"mirror.example.com:5000/orders:v3", "mirror.example.com:5000/example/microservices/user-service:v0.1.0"}, c["image"])
				}
			}
		})
	}
}

// TestNamesCanBeOverridden: with the usual keys of charts.
func TestNamesCanBeOverridden(t *testing.T) {
	for set, want := range map[string]string{
		"":                         "http://shop-user-service.shops.svc:8000",
		"nameOverride=a":           "http://shop-a-user-service.shops.svc:8000",
		"fullnameOverride=a":       "http://a-user-service.shops.svc:8000",
		"namespaceOverride=market": "http://shop-user-service.market.svc:8000",
	} {
		arguments := templateArguments(t, nil)
		if set != "" {
			arguments = append(arguments, "--set", set)
		}
		out := run(t, "", tool(t, "helm"), arguments...)
		require.Contains(t, out, want)
		if strings.HasPrefix(set, "namespace") {
			require.NotContains(t, out, `namespace: "shops"`)
		}
	}
}

// TestALongPrefixFitsIntoALabel: a release name and an alias that are too long together are
// truncated, because a label's value has at most 63 characters.
func TestALongPrefixFitsIntoALabel(t *testing.T) {
	const release = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53"
	instances := map[string]bool{}
	for _, alias := range []string{"a-long-alias-of-one", "a-long-alias-of-another"} {
		for _, helm := range helms {
			out := run(t, "", tool(t, helm), "template", release, chart, "--kube-version", kubernetes, "--set", "nameOverride="+alias)
			for _, p := range podTemplates(t, out) {
				instance := p.Metadata.Labels["app.kubernetes.io/instance"]
				require.LessOrEqual(t, len(instance), 63)
				instances[instance] = true
			}
		}
	}
	require.Len(t, instances, 2, "each alias has its own label")
}

// TestSkipTestsLeavesTheSmokeTestOut: otherwise helm template | kubectl apply would start it at once.
func TestSkipTestsLeavesTheSmokeTestOut(t *testing.T) {
	for _, helm := range helms {
		out := run(t, "", tool(t, helm), append(templateArguments(t, nil), "--skip-tests")...)
		require.NotContains(t, out, "helm.sh/hook")
		require.NotContains(t, out, "kind: Job")
	}
}

// TestTagAndDigestAgree: an image always matches its tag and its pod's version label.
func TestTagAndDigestAgree(t *testing.T) {
	digest := "sha256:" + strings.Repeat("1", 64)
	released := t.TempDir()
	require.NoError(t, os.CopyFS(released, os.DirFS(chart)))
	file := filepath.Join(released, "Chart.yaml")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	// As .ci/release does.
	content = append(content, "annotations:\n  image-digest/user-service: "+digest+"\n"...)
	require.NoError(t, os.WriteFile(file, content, 0o600))
	const image = "ghcr.io/example/microservices/user-service"
	for _, test := range []struct {
		name, chart    string
		set            []string
		image, version string
		refused        string
	}{
		{name: "as released", chart: released, image: image + ":v0.1.0@" + digest, version: "v0.1.0"},
		{name: "another tag of all", chart: released, set: []string{"image.tag=v2"}, image: image + ":v2", version: "v2"},
		{name: "another tag of one", chart: released, set: []string{"services.user-service.image.tag=v2"}, image: image + ":v2", version: "v2"},
		{name: "another digest", chart: released, set: []string{"services.user-service.image.digest=sha256:" + strings.Repeat("2", 64)}, image: image + "@sha256:" + strings.Repeat("2", 64)},
		{name: "both", chart: chart, set: []string{"services.user-service.image.tag=v2", "services.user-service.image.digest=" + digest}, image: image + ":v2@" + digest, version: "v2"},
		{name: "both in one", chart: chart, set: []string{"services.user-service.image.tag=v2@" + digest}, image: image + ":v2@" + digest, version: "v2"},
		{name: "another tag over both in one", chart: chart, set: []string{"services.user-service.image.tag=v2@" + digest, "services.user-service.image.tag=v3"}, image: image + ":v3", version: "v3"},
		{name: "a digest, and a tag of all", chart: chart, set: []string{"image.tag=v2", "services.user-service.image.digest=" + digest}, refused: "services.user-service.image.digest is set, so image.tag=v2 would have no effect"},
		{name: "two digests", chart: chart, set: []string{"services.user-service.image.tag=v2@" + digest, "services.user-service.image.digest=sha256:" + strings.Repeat("2", 64)}, refused: "tag and digest contain different digests"},
	} {
		t.Run(test.name, func(t *testing.T) {
			arguments := []string{"template", "shop", test.chart, "--kube-version", kubernetes}
			for _, set := range test.set {
				arguments = append(arguments, "--set", set)
			}
			out, said, err := try(t, "", tool(t, "helm"), arguments...)
			if test.refused != "" {
				require.Error(t, err)
				require.Contains(t, said, test.refused)
				return
			}
			require.NoError(t, err, said)
			for _, p := range podTemplates(t, out) {
				if p.of == "shop-user-service" {
					require.Equal(t, test.image, p.containers()[0]["image"])
					require.Equal(t, test.version, p.Metadata.Labels["app.kubernetes.io/version"])
				}
			}
		})
	}
}
