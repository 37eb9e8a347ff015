package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/example/microservices/internal/catalog"
)

const chart = root + "/charts/microservices"

// services returns the services that all other files must name: each has a program, and a file
// that describes it.
func services(t *testing.T) []string {
	t.Helper()
	mains, err := filepath.Glob(root + "/services/*/main.go")
	require.NoError(t, err)
	all, err := catalog.Read(root)
	require.NoError(t, err)
	names := catalog.Names(all)
	require.Len(t, mains, len(names))
	for _, main := range mains {
		require.Contains(t, names, filepath.Base(filepath.Dir(main)))
	}
	return names
}

// decode reads the first document of a YAML file.
func decode(t *testing.T, file string, into any) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(read(t, root, file)), into), file)
}

// object has the fields of a Kubernetes object that these tests use.
type object struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Template struct {
			Spec struct{ Containers []struct{ Image string } }
		}
	}
}

func objects(t *testing.T, file string) []object {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, root, file)))
	var all []object
	for {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, o)
	}
}

type skaffold struct {
	Build struct {
		Artifacts []struct {
			Image string
			Ko    struct {
				Main         string
				Dependencies struct{ Paths, Ignore []string }
			}
		}
	}
	Deploy struct {
		Helm struct {
			Releases []struct {
				Name, Namespace   string
				ChartPath         string            `yaml:"chartPath"`
				SetValueTemplates map[string]string `yaml:"setValueTemplates"`
			}
		}
	}
	PortForward []struct {
		ResourceName string `yaml:"resourceName"`
		Namespace    string
		Port         int
		LocalPort    int `yaml:"localPort"`
	} `yaml:"portForward"`
}

// TestEveryServiceIsBuiltEverywhere: ko, Skaffold, Compose and the chart have the same services
// with the same paths and ports.
func TestEveryServiceIsBuiltEverywhere(t *testing.T) {
	var values struct {
		Services map[string]struct{ Port int }
	}
	decode(t, "charts/microservices/values.yaml", &values)
	var ko struct{ Builds []struct{ ID, Main string } }
	decode(t, ".ko.yaml", &ko)
	var sk skaffold
	decode(t, "skaffold.yaml", &sk)
	var compose struct {
		Services map[string]struct {
			Image       string
			Ports       []string
			Healthcheck struct{ Test []string }
		}
	}
	decode(t, "docker-compose.yml", &compose)

	names := services(t)
	require.Len(t, values.Services, len(names))
	require.Len(t, ko.Builds, len(names))
	require.Len(t, sk.Build.Artifacts, len(names))
	require.Len(t, sk.PortForward, len(names))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			port := values.Services[name].Port
			require.NotZero(t, port, "charts/microservices/values.yaml lacks the service")

			found := 0
			for _, build := range ko.Builds {
				if build.Main == "./services/"+name {
					found++
					require.Equal(t, name, build.ID)
				}
			}
			require.Equal(t, 1, found, ".ko.yaml must build it once")

			found = 0
			for _, artifact := range sk.Build.Artifacts {
				if artifact.Image == name {
					found++
					require.Equal(t, "./services/"+name, artifact.Ko.Main)
					watched(t, name, artifact.Ko.Dependencies.Paths, artifact.Ko.Dependencies.Ignore)
				}
			}
			require.Equal(t, 1, found, "skaffold.yaml must build it once")
			for _, what := range []string{"repository", "tag", "digest"} {
				require.Contains(t, sk.Deploy.Helm.Releases[0].SetValueTemplates, "services."+name+".image."+what)
			}
			found = 0
			for _, forward := range sk.PortForward {
				if forward.ResourceName == sk.Deploy.Helm.Releases[0].Name+"-"+name {
					found++
					require.Equal(t, port, forward.Port)
					require.Equal(t, port, forward.LocalPort)
					require.Equal(t, sk.Deploy.Helm.Releases[0].Namespace, forward.Namespace)
				}
			}
			require.Equal(t, 1, found, "skaffold.yaml must forward its port once")

			in := compose.Services[name]
			require.Contains(t, in.Image, "/"+name+":")
			require.Len(t, in.Ports, 1)
			require.True(t, strings.HasSuffix(in.Ports[0], fmt.Sprintf(":%d", port)), in.Ports[0])
			require.Contains(t, in.Ports[0], fmt.Sprintf(":-%d}", port))
			require.Equal(t, []string{"CMD", "/ko-app/" + name, "healthcheck"}, in.Healthcheck.Test)
		})
	}
}

// watched checks that Skaffold watches all of a service's sources: its packages, those that they
// import, and embedded files.
func watched(t *testing.T, service string, paths, ignored []string) {
	t.Helper()
	module := strings.TrimSpace(must(t, root, "go", "list", "-m"))
	decoder := json.NewDecoder(strings.NewReader(must(t, root, "go", "list", "-deps", "-json=Dir,ImportPath,GoFiles,EmbedFiles", "./services/"+service)))
	absolute, err := filepath.Abs(root)
	require.NoError(t, err)
	files := []string{"go.mod", "go.sum", ".ko.yaml"}
	embedded := 0
	for decoder.More() {
		var p struct {
			Dir, ImportPath     string
			GoFiles, EmbedFiles []string
		}
		require.NoError(t, decoder.Decode(&p))
		if !strings.HasPrefix(p.ImportPath, module+"/") {
			continue
		}
		embedded += len(p.EmbedFiles)
		for _, file := range append(p.GoFiles, p.EmbedFiles...) {
			relative, err := filepath.Rel(absolute, filepath.Join(p.Dir, file))
			require.NoError(t, err)
			files = append(files, relative)
		}
	}
	require.NotZero(t, embedded, "no embedded file was found, although migrations are embedded")
	for _, file := range files {
		require.True(t, matches(t, file, paths), "skaffold.yaml doesn't watch %s, a source of %s", file, service)
		require.False(t, matches(t, file, ignored), "skaffold.yaml ignores %s, a source of %s", file, service)
	}
}

// matches reports whether a path matches a pattern, in which ** is any number of folders.
func matches(t *testing.T, file string, patterns []string) bool {
	t.Helper()
	for _, pattern := range patterns {
		expression := regexp.QuoteMeta(pattern)
		expression = strings.NewReplacer(`\*\*/`, `(.*/)?`, `\*\*`, `.*`, `\*`, `[^/]*`).Replace(expression)
		if regexp.MustCompile("^" + expression + "$").MatchString(file) {
			return true
		}
	}
	return false
}

// TestSkaffoldSetsValuesThatTheChartHas: otherwise a misspelled value would fail only at the end
// of a build, and a wrong profile only when somebody uses it.
func TestSkaffoldSetsValuesThatTheChartHas(t *testing.T) {
	var sk skaffold
	decode(t, "skaffold.yaml", &sk)
	require.Len(t, sk.Deploy.Helm.Releases, 1)
	release := sk.Deploy.Helm.Releases[0]
	require.Equal(t, "charts/microservices", release.ChartPath)
	digest := digests[0]
	for _, environment := range []string{"dev", "staging", "prod"} {
		arguments := []string{"template", release.Name, release.ChartPath, "--kube-version", "1.34.4", "--values", "charts/microservices/values-" + environment + ".yaml"}
		for key, template := range release.SetValueTemplates {
			require.Regexp(t, `^\{\{\.IMAGE_(REPO|TAG|DIGEST)_[a-z0-9_]+\}\}$`, template)
			value := map[string]string{"REPO": "registry.test/x", "TAG": "v1", "DIGEST": digest}[strings.Split(template, "_")[1]]
			arguments = append(arguments, "--set", key+"="+value)
		}
		rendering := must(t, root, helm(t), arguments...)
		require.Contains(t, rendering, "registry.test/x:v1@"+digest)
	}
}

// TestDevelopmentFindsItsDatabase: values-dev.yaml, k8s/ and Compose name the same database.
func TestDevelopmentFindsItsDatabase(t *testing.T) {
	var values struct {
		Services map[string]struct {
			Database struct {
				ExistingSecret string `yaml:"existingSecret"`
			}
		}
	}
	decode(t, "charts/microservices/values-dev.yaml", &values)
	secrets, image := map[string]object{}, ""
	for _, o := range objects(t, "k8s/database.yaml") {
		if o.Kind == "Secret" {
			secrets[o.Metadata.Name] = o
		}
		if o.Kind == "StatefulSet" {
			image = o.Spec.Template.Spec.Containers[0].Image
		}
	}
	for _, name := range services(t) {
		secret := secrets[values.Services[name].Database.ExistingSecret]
		require.Contains(t, secret.StringData["DATABASE_URL"], strings.ReplaceAll(name, "-", "_"))
	}
	var compose struct {
		Postgres struct{ Image string } `yaml:"x-postgres"`
	}
	decode(t, "docker-compose.yml", &compose)
	require.NotEmpty(t, image)
	require.Equal(t, compose.Postgres.Image, image)
}

// TestEveryEnvironmentIsComplete: each environment has values, images and a namespace for Argo
// CD.
func TestEveryEnvironmentIsComplete(t *testing.T) {
	var set struct {
		Spec struct {
			Generators []struct {
				List struct {
					Elements []struct{ Environment string }
				}
			}
		}
	}
	decode(t, "argocd/applicationset.yaml", &set)
	namespaces := map[string]object{}
	for _, o := range objects(t, "k8s/namespaces.yaml") {
		namespaces[o.Metadata.Name] = o
	}
	elements := set.Spec.Generators[0].List.Elements
	require.Len(t, elements, 3)
	require.Len(t, namespaces, 3)
	for _, element := range elements {
		for _, file := range []string{"values", "cluster", "images"} {
			_, err := os.Stat(chart + "/" + file + "-" + element.Environment + ".yaml")
			require.NoError(t, err)
		}
		namespace := namespaces["microservices-"+element.Environment]
		require.Equal(t, "restricted", namespace.Metadata.Labels["pod-security.kubernetes.io/enforce"], element.Environment)
		require.Contains(t, read(t, root, "argocd/project.yaml"), "namespace: microservices-"+element.Environment+"\n")
	}
}
