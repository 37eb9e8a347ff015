//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/example/microservices/internal/testkit/postgres"
)

const root = "../.."

var (
	// kubectl and helm are the commands of the pinned programs.
	kubectl, helm []string
	// releases are the images of two builds that differ only in their version.
	releases [2]images
	// loadImage is the image of the command load.
	loadImage string
)

// images are the images of one build, by service: NAME@sha256:…
type images map[string]string

func TestMain(m *testing.M) {
	code := 1
	err := prepare()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
		writeFigures(code)
	}
	for _, undo := range []func() error{removeOperator, stopDatabase} {
		err = undo()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	postgres.Exit(code)
}

// prepare checks for a cluster and the tools, and builds the images.
func prepare() error {
	// Only a cluster that .ci/e2e has chosen, not kubectl's current one by accident.
	if os.Getenv("E2E_CLUSTER") == "" || os.Getenv("KUBECONFIG") == "" || registry() == "" {
		return fmt.Errorf("these tests need a cluster: make e2e starts one, or E2E_CLUSTER=current uses kubectl's")
	}
	program, err := output(nil, "./.ci/tool", "--path", "kubernetes")
	if err != nil {
		return err
	}
	kubectl = []string{program, "kubectl"}
	program, err = output(nil, "./.ci/tool", "--path", "helm")
	if err != nil {
		return err
	}
	helm = []string{program}
	for i := range releases {
		releases[i], err = buildImages(".", fmt.Sprintf("v0.0.%d-e2e", i+1))
		if err != nil {
			return err
		}
	}
	loadImage, err = buildProgram("load")
	return err
}

// buildProgram builds and pushes the image of one of the tests' programs, in the same way as
// the services'.
func buildProgram(name string) (string, error) {
	environment := []string{"KO_DOCKER_REPO=" + registry(), "VERSION=e2e"}
	base := os.Getenv("BASE_IMAGE")
	if base != "" {
		environment = append(environment, "KO_DEFAULTBASEIMAGE="+base)
	}
	return output(environment, "./.ci/tool", "ko", "build", "--base-import-paths", "--sbom", "none", "--platform", "linux/"+runtime.GOARCH, "./test/e2e/"+name)
}

// registry is the registry to which the images are pushed, and from which the cluster pulls.
func registry() string { return os.Getenv("REGISTRY") }

// buildImages builds and pushes the images of the services in a folder, with a version.
func buildImages(folder, version string) (images, error) {
	out, err := output([]string{"VERSION=" + version, "TAG=" + version, "PLATFORM=linux/" + runtime.GOARCH}, folder+"/.ci/images")
	if err != nil {
		return nil, err
	}
	built := images{}
	reference := regexp.MustCompile(`^(.+/([a-z-]+)):[^@]+(@sha256:[0-9a-f]{64})$`)
	for _, line := range strings.Split(out, "\n") {
		found := reference.FindStringSubmatch(line)
		if found == nil {
			return nil, fmt.Errorf(".ci/images printed %q, which is not an image reference", line)
		}
		built[found[2]] = found[1] + found[3]
	}
	return built, nil
}

// values returns the helm arguments that set the images.
func (i images) values() []string {
	var set []string
	for service, reference := range i {
		repository, digest, _ := strings.Cut(reference, "@")
		set = append(set, "--set", "services."+service+".image.repository="+repository, "--set", "services."+service+".image.digest="+digest)
	}
	return set
}

// output runs a program in the project's folder, with additional environment variables, and
// returns its output.
func output(env []string, program string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = root
	command.Env = append(os.Environ(), env...)
	var said strings.Builder
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(arguments, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}
