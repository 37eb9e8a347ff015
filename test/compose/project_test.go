//go:build e2e

package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/catalog"
)

// commandTimeout is much longer than building and starting everything takes.
const commandTimeout = 5 * time.Minute

// project is a Compose project like that of `make compose`, apart from others on the engine.
type project struct {
	program     []string // docker compose
	environment []string
	// Addresses on this machine.
	users, orders               string
	grafana, prometheus, jaeger string
}

// newProject makes sure that the engine has the images. The project is removed when the test
// ends.
func newProject(t *testing.T) project {
	t.Helper()
	p := project{program: []string{"docker", "compose"}, users: freeAddress(t), orders: freeAddress(t), grafana: freeAddress(t), prometheus: freeAddress(t), jaeger: freeAddress(t)}
	name := fmt.Sprint("compose-test-", os.Getpid())
	p.environment = []string{
		"COMPOSE_PROJECT_NAME=" + name, "TAG=" + name, "VERSION=v1.2.3-test",
		"BASE_IMAGE=" + baseImage(t),
	}
	for variable, address := range map[string]string{"USER": p.users, "ORDER": p.orders, "GRAFANA": p.grafana, "PROMETHEUS": p.prometheus, "JAEGER": p.jaeger} {
		_, port, _ := strings.Cut(address, ":")
		p.environment = append(p.environment, variable+"_PORT="+port)
	}
	services, err := catalog.Read(root)
	require.NoError(t, err)
	for _, service := range services {
		if service.Name == "user-service" || service.Name == "order-service" {
			continue // built by the tests, as above
		}
		_, port, _ := strings.Cut(freeAddress(t), ":")
		p.environment = append(p.environment, service.Prefix()+"_PORT="+port)
	}
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
		path, _ := p.must(t, "./.ci/tool", "--path", "compose")
		p.program = []string{strings.TrimSpace(path)}
	}
	for _, pattern := range []string{`image: (postgres:\S+)`, prometheusImage, jaegerImage} {
		reference, err := named("docker-compose.yml", pattern)
		require.NoError(t, err)
		p.load(t, reference)
	}
	p.load(t, fakeGrafana)
	t.Cleanup(func() {
		if t.Failed() {
			out, said, _ := p.try(context.Background(), append(p.program, "ps", "--all")...)
			t.Log(out, said)
			out, said, _ = p.try(context.Background(), append(p.program, "logs", "--no-color", "--tail", "20")...)
			t.Log(out, said)
		}
		p.undo(t, append(p.program, "--profile", "observability", "down", "--volumes", "--remove-orphans", "--rmi", "local")...)
		for _, service := range catalog.Names(services) {
			p.undo(t, "docker", "image", "rm", "--force", "microservices.local/"+service+":"+name)
		}
	})
	return p
}

// load makes sure that the engine has an image.
func (p project) load(t *testing.T, reference string) {
	t.Helper()
	_, _, err := p.try(t.Context(), "docker", "image", "inspect", reference)
	if err != nil {
		p.must(t, "docker", "load", "--input", archive(images, reference))
		t.Cleanup(func() { p.undo(t, "docker", "image", "rm", reference) })
	}
}

// with returns the project with additional environment variables.
func (p project) with(variables ...string) project {
	p.environment = append(slices.Clip(p.environment), variables...)
	return p
}

// compose runs a command of Docker Compose, which must succeed, and returns its output.
func (p project) compose(t *testing.T, arguments ...string) string {
	t.Helper()
	out, _ := p.must(t, append(slices.Clip(p.program), arguments...)...)
	return out
}

func (p project) must(t *testing.T, words ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := p.try(t.Context(), words...)
	require.NoError(t, err, "%s\n%s%s", strings.Join(words, " "), stdout, stderr)
	return stdout, stderr
}

func (p project) undo(t *testing.T, words ...string) {
	stdout, stderr, err := p.try(context.Background(), words...)
	if err != nil {
		t.Errorf("%s: %v\n%s%s", strings.Join(words, " "), err, stdout, stderr)
	}
}

func (p project) try(ctx context.Context, words ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Dir = root
	// Remove the variables of the make that runs the tests, and the user's settings.
	command.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "MAKE") || strings.HasPrefix(name, "COMPOSE_") || strings.HasSuffix(name, "_PASSWORD") ||
			slices.Contains([]string{"MFLAGS", "REGISTRY", "TAG", "PLATFORM", "PULL_POLICY", "BIND"}, name)
	}), p.environment...)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err = command.Run()
	return out.String(), said.String(), err
}

// container is a container as Docker reports it.
type container struct {
	Name  string
	Image string
	State struct {
		Status string
		Health struct{ Status string }
	}
	Config struct {
		User  string
		Image string
	}
	HostConfig struct {
		ReadonlyRootfs bool
		Privileged     bool
		CapDrop        []string
		CapAdd         []string
		SecurityOpt    []string
		PortBindings   map[string][]struct {
			HostIP string `json:"HostIp"`
		}
	}
}

// containers returns the project's containers, including those that have ended.
func (p project) containers(t *testing.T) []container {
	t.Helper()
	ids := strings.Fields(p.compose(t, "ps", "--all", "--quiet"))
	require.NotEmpty(t, ids)
	out, _ := p.must(t, append([]string{"docker", "inspect"}, ids...)...)
	var all []container
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	return all
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
