package argocd

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Namespace is the namespace of Argo CD's own objects.
const Namespace = "argocd"

// Start runs Argo CD for the cluster of kubectl ($KUBECONFIG), until the test ends. Then
// it removes the namespace and the custom resource definitions, and with them all
// Applications. What those installed stays.
func Start(t testing.TB, root string, kubectl []string) {
	t.Helper()
	root, err := filepath.Abs(root)
	require.NoError(t, err)
	kube := func(stdin string, arguments ...string) string {
		return must(t, root, stdin, kubectl[0], append(append([]string{}, kubectl[1:]...), arguments...)...)
	}

	// What an installation applies, except the pods.
	manifests := filepath.Join(must(t, filepath.Join(root, ".ci/tools/argocd"), "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3"), "manifests")
	t.Cleanup(func() {
		kube("", "delete", "namespace", Namespace, "--ignore-not-found")
		kube("", "delete", "--kustomize", filepath.Join(manifests, "crds"), "--ignore-not-found")
	})
	kube("", "apply", "--server-side", "--kustomize", filepath.Join(manifests, "crds"))
	kube("", "create", "namespace", Namespace)
	kube("", "apply", "--namespace", Namespace, "--kustomize", filepath.Join(manifests, "base", "config"))
	// The server would write it at its first start.
	kube("", "patch", "secret", "argocd-secret", "--namespace", Namespace, "--patch", fmt.Sprintf(`{"stringData": {"server.secretkey": %q}}`, rand.Text()))

	bin, state := t.TempDir(), t.TempDir()
	install(t, root, bin, filepath.Dir(manifests))
	for _, folder := range []string{"tls", "ssh", "gpg", "plugins", "tmp"} {
		require.NoError(t, os.Mkdir(filepath.Join(state, folder), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(state, "ssh", "ssh_known_hosts"), nil, 0o600))
	environment := []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + state, "TMPDIR=" + filepath.Join(state, "tmp"), "KUBECONFIG=" + os.Getenv("KUBECONFIG"),
		"ARGOCD_FAKE_IN_CLUSTER=true", // https://kubernetes.default.svc means the kubeconfig's cluster
		"ARGOCD_TLS_DATA_PATH=" + filepath.Join(state, "tls"), "ARGOCD_SSH_DATA_PATH=" + filepath.Join(state, "ssh"),
		"ARGOCD_GPG_ENABLED=false", "ARGOCD_GNUPGHOME=" + filepath.Join(state, "gpg"), "ARGOCD_PLUGINSOCKFILEPATH=" + filepath.Join(state, "plugins"),
	}
	address := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	redis, repo := freePort(t), freePort(t)
	program := filepath.Join(bin, "argocd")
	namespace := "--namespace=" + Namespace

	processes := map[string]*process{
		"redis-server": start(t, "redis-server", environment, "redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(redis), "--save", "", "--appendonly", "no", "--dir", state),
		"argocd-repo-server": start(t, "argocd-repo-server", environment, program, "argocd-repo-server",
			"--address=127.0.0.1", fmt.Sprintf("--port=%d", repo), "--metrics-address=127.0.0.1", fmt.Sprintf("--metrics-port=%d", freePort(t)),
			"--redis="+address(redis), "--client-ca-path="),
	}
	require.Eventually(t, func() bool {
		return listens(redis) && listens(repo) || !processes["argocd-repo-server"].running()
	}, time.Minute, 50*time.Millisecond, "the repo server listens")
	processes["argocd-application-controller"] = start(t, "argocd-application-controller", environment, program, "argocd-application-controller", namespace,
		"--repo-server="+address(repo), "--redis="+address(redis), fmt.Sprintf("--metrics-port=%d", freePort(t)),
		// Records in the Application why an object isn't healthy: docs/gitops.md.
		"--persist-resource-health")
	processes["argocd-applicationset-controller"] = start(t, "argocd-applicationset-controller", environment, program, "argocd-applicationset-controller", namespace,
		"--argocd-repo-server="+address(repo), "--metrics-addr=0", "--probe-addr=0", "--webhook-addr="+address(freePort(t)))
	processes["argocd-notifications-controller"] = start(t, "argocd-notifications-controller", environment, program, "argocd-notifications-controller", namespace,
		"--argocd-repo-server="+address(repo), fmt.Sprintf("--metrics-port=%d", freePort(t)))
	for name, p := range processes {
		require.True(t, p.running(), "%s has ended:\n%s", name, p.tail(4000))
	}
}

// install fills bin with the programs that Argo CD expects on its PATH.
func install(t testing.TB, root, bin, module string) {
	t.Helper()
	for _, tool := range []string{"argocd", "helm", "kustomize"} {
		require.NoError(t, os.Symlink(must(t, root, "", ".ci/tool", "--path", tool), filepath.Join(bin, tool)))
	}
	wrapper, err := os.ReadFile(filepath.Join(module, "hack", "git-verify-wrapper.sh"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "git-verify-wrapper.sh"), wrapper, 0o755))
}

// must runs a program in a folder and returns its output.
func must(t testing.TB, folder, stdin, program string, arguments ...string) string {
	t.Helper()
	command := exec.Command(program, arguments...)
	command.Dir = folder
	command.Stdin = strings.NewReader(stdin)
	var out, said strings.Builder
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	require.NoError(t, err, "%s %s\n%s%s", program, strings.Join(arguments, " "), out.String(), said.String())
	return strings.TrimSpace(out.String())
}
