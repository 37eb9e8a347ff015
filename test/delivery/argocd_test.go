package delivery

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/example/microservices/internal/testkit/checkout"
)

// tool returns the path of a pinned tool.
func tool(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command(root+"/.ci/tool", "--path", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// application has the fields of an Argo CD Application that these tests use.
type application struct {
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Spec struct {
		Destination struct{ Name, Namespace string }
		Source      struct {
			TargetRevision string `yaml:"targetRevision"`
			Helm           struct {
				ValueFiles []string `yaml:"valueFiles"`
			}
		}
		Sources []struct {
			RepoURL, Chart, Path string
			TargetRevision       string `yaml:"targetRevision"`
			Directory            struct{ Include string }
		}
	}
}

// applications returns the Applications of a folder of argocd/, by name. Argo CD's own code
// generates them, and checks that its AppProjects allow them on these clusters.
func applications(t *testing.T, folder string, clusters ...string) (map[string]application, error) {
	t.Helper()
	objects := must(t, folder, tool(t, "kustomize"), "build", "argocd")
	out, err := try(folder, objects, tool(t, "argocd"), append([]string{"permitted"}, clusters...)...)
	if err != nil {
		return nil, &exec.Error{Name: out, Err: err}
	}
	all := map[string]application{}
	for _, document := range strings.Split(out, "---\n")[1:] {
		var a application
		require.NoError(t, yaml.Unmarshal([]byte(document), &a))
		all[a.Metadata.Name] = a
	}
	return all, nil
}

// edit changes a file of a checkout.
func edit(t *testing.T, folder, file, old, by string) {
	t.Helper()
	text := read(t, folder, file)
	require.Contains(t, text, old, file)
	require.NoError(t, os.WriteFile(filepath.Join(folder, file), []byte(strings.ReplaceAll(text, old, by)), 0o600))
}

// TestAnEnvironmentMayHaveAClusterOfItsOwn: it takes two lines; without the one in the
// AppProject, Argo CD rejects the environment. (This runs Argo CD's generator and rules without
// a cluster. TestGitOps tests it on a cluster.)
func TestAnEnvironmentMayHaveAClusterOfItsOwn(t *testing.T) {
	folder := checkout.New(t, root)
	all, err := applications(t, folder, "in-cluster")
	require.NoError(t, err)
	require.Len(t, all, 4)
	for _, environment := range []string{"dev", "staging", "prod"} {
		a := all["microservices-"+environment]
		require.Equal(t, "in-cluster", a.Spec.Destination.Name)
		require.Equal(t, "microservices-"+environment, a.Spec.Destination.Namespace)
		for _, file := range a.Spec.Source.Helm.ValueFiles {
			require.FileExists(t, filepath.Join(folder, "charts/microservices", file))
		}
		require.Len(t, a.Spec.Source.Helm.ValueFiles, 3)
	}

	edit(t, folder, "argocd/applicationset.yaml", "environment: prod\n            cluster: in-cluster", "environment: prod\n            cluster: eks-prod")
	_, err = applications(t, folder, "in-cluster", "eks-prod")
	require.ErrorContains(t, err, "namespace microservices-prod of cluster eks-prod is not permitted in project microservices")
	edit(t, folder, "argocd/project.yaml", "name: in-cluster\n      namespace: microservices-prod", "name: eks-prod\n      namespace: microservices-prod")
	_, err = applications(t, folder, "in-cluster")
	require.ErrorContains(t, err, "there is no cluster eks-prod")
	all, err = applications(t, folder, "in-cluster", "eks-prod")
	require.NoError(t, err)
	require.Equal(t, "eks-prod", all["microservices-prod"].Spec.Destination.Name)
	require.Equal(t, "in-cluster", all["microservices-staging"].Spec.Destination.Name)
}

// TestAddonsAreOffUntilTheyAreSwitchedOn: one line turns them on. Each is then pinned, allowed,
// and installed before the environments.
func TestAddonsAreOffUntilTheyAreSwitchedOn(t *testing.T) {
	folder := checkout.New(t, root)
	edit(t, folder, "argocd/kustomization.yaml", "  # - addons", "  - addons")
	all, err := applications(t, folder, "in-cluster")
	require.NoError(t, err)
	for _, name := range []string{"microservices", "microservices-dev", "microservices-staging", "microservices-prod"} {
		require.Contains(t, all, name)
		delete(all, name)
	}
	files, err := filepath.Glob(root + "/argocd/addons/*.yaml")
	require.NoError(t, err)
	require.Len(t, all, len(files)-2, "every file but kustomization.yaml and project.yaml is an addon")
	address := regexp.MustCompile(`repoURL: (\S+)`).FindStringSubmatch(read(t, folder, "argocd/root.yaml"))[1]
	for name, a := range all {
		require.Regexp(t, `^-[12]$`, a.Metadata.Annotations["argocd.argoproj.io/sync-wave"], name)
		require.NotEmpty(t, a.Spec.Sources, name)
		for _, source := range a.Spec.Sources {
			if source.Chart != "" {
				require.Regexp(t, `^v?\d+\.\d+\.\d+$`, source.TargetRevision, name)
				continue
			}
			require.FileExists(t, filepath.Join(folder, source.Path, source.Directory.Include), name)
		}
	}
	require.NotContains(t, must(t, folder, tool(t, "kustomize"), "build", "argocd"), "REPOSITORY", "every address must be "+address)

	edit(t, folder, "argocd/addons/traces.yaml", "https://grafana-community.github.io", "https://grafana.example")
	edit(t, folder, "argocd/addons/logs.yaml", "namespace: logging", "namespace: default")
	_, err = applications(t, folder, "in-cluster")
	require.ErrorContains(t, err, "traces: https://grafana.example/helm-charts is not permitted in project addons")
	require.ErrorContains(t, err, "logs: namespace default of cluster in-cluster is not permitted in project addons")
}
