//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	containers "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/cmd/images/standin"
)

// prometheusOperator installs the Prometheus Operator, for the whole run, and returns the image
// of the Prometheus that it starts. Operator, reloader and Prometheus are built from the
// modules that .ci/tools pins.
var prometheusOperator = sync.OnceValues(func() (string, error) {
	operator, err := toolImage("prometheus-operator")
	if err != nil {
		return "", err
	}
	reloader, err := toolImage("prometheus-config-reloader")
	if err != nil {
		return "", err
	}
	prometheus, err := toolImage("prometheus")
	if err != nil {
		return "", err
	}
	bundle, err := operatorBundle()
	if err != nil {
		return "", err
	}
	for published, built := range map[string]string{"prometheus-operator": operator, "prometheus-config-reloader": reloader} {
		image := regexp.MustCompile(`quay\.io/prometheus-operator/` + published + `:\S+`)
		if !image.MatchString(bundle) {
			return "", fmt.Errorf("the operator's bundle has no image %s", published)
		}
		bundle = image.ReplaceAllString(bundle, built)
	}
	operatorTouched.Store(true)
	out, err := run(bundle, kubectl, "apply", "--server-side", "--filename=-")
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return prometheus, nil
})

// operatorTouched reports whether there may be something to remove.
var operatorTouched atomic.Bool

// usesOperator installs the operator and its custom resources for a test.
func usesOperator(t *testing.T) (prometheusImage string) {
	t.Helper()
	image, err := prometheusOperator()
	require.NoError(t, err)
	return image
}

// removeOperator removes what usesOperator has installed.
func removeOperator() error {
	if !operatorTouched.Load() {
		return nil
	}
	bundle, err := operatorBundle()
	if err != nil {
		return err
	}
	out, err := run(bundle, kubectl, "delete", "--ignore-not-found", "--wait=false", "--filename=-")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// operatorBundle returns the operator's objects, from its release.
func operatorBundle() (string, error) {
	command := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus-operator/prometheus-operator")
	command.Dir = filepath.Join(root, ".ci", "tools", "prometheus-operator")
	module, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("find the operator's module: %w", err)
	}
	bundle, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "bundle.yaml"))
	return string(bundle), err
}

// toolImage pushes an image of a program of .ci/tools, and returns its reference.
func toolImage(tool string) (string, error) {
	binary, err := output(nil, "./.ci/tool", "--path", tool)
	if err != nil {
		return "", err
	}
	// The operator runs it by its path, /bin/NAME.
	image, err := standin.Program(tool, binary)
	if err != nil {
		return "", err
	}
	reference, err := containers.ParseReference(registry() + "/" + tool + ":e2e")
	if err != nil {
		return "", err
	}
	err = remote.Write(reference, image)
	if err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	return registry() + "/" + tool + "@" + digest.String(), nil
}
