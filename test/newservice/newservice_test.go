// Package newservice creates a third service in a copy of the project, as docs/add-a-service.md
// describes, and tests everything about it: it builds, passes its own tests, runs beside the
// others, requires tokens, and is rendered for the cluster.
package newservice

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/example/microservices/internal/testkit/checkout"
)

const (
	root = "../.."
	made = "services/inventory-service"
)

// project is a copy of this project.
type project struct {
	*testing.T
	folder string
}

func TestAThirdServiceTakesOneCommand(t *testing.T) {
	p := project{t, checkout.New(t, root)}
	p.run("make", "new-service", "NAME=inventory", "NOUN=item", "PORT=8002")

	changed := strings.Fields(p.run("git", "status", "--porcelain", "--untracked-files=all", "--", "*.go"))
	for _, file := range changed {
		require.True(t, file == "??" || strings.HasPrefix(file, made+"/"), "a file outside the service is created or changed: %s", file)
	}
	require.Empty(t, p.run("gofmt", "-l", made))
	require.Empty(t, p.run("sh", "-c", "grep -rinE 'widget|65535|\\b(a item|a inventory|an widget)' "+made+" || true"), "a word of the template remains")
	p.run("go", "vet", "./"+made+"/...")
	p.run("go", "test", "-count=1", "./"+made+"/...")

	t.Run("generated files are current", func(t *testing.T) { p.of(t).run(".ci/generate", "--check") })
	t.Run("the project's checks include it", func(t *testing.T) {
		p.of(t).run("go", "test", "-count=1", "./test/delivery", "./test/chart", "./test/dashboards", "-run",
			"^(TestEveryServiceIsBuiltEverywhere|TestSkaffoldSetsValuesThatTheChartHas|TestDevelopmentFindsItsDatabase|TestObjectsMatchTheReviewedRendering|TestDashboardsHaveGrafanasForm)$")
	})
	t.Run("it is rendered for every environment", func(t *testing.T) { p.of(t).rendered() })
	t.Run("it runs beside the others, and requires tokens", func(t *testing.T) { p.of(t).used() })
}

// rendered checks the chart's objects for the service, with each environment's values.
func (p project) rendered() {
	helm := strings.TrimSpace(p.run(".ci/tool", "--path", "helm"))
	for _, environment := range []string{"dev", "staging", "prod"} {
		out := p.run(helm, "template", "shop", "charts/microservices", "--kube-version", "1.34.4", "--values", "charts/microservices/values-"+environment+".yaml",
			"--set", "prometheusRule.enabled=true,serviceMonitor.enabled=true,dashboards.enabled=true,image.tag=v1.2.3")
		kinds := map[string]bool{}
		decoder := yaml.NewDecoder(strings.NewReader(out))
		for {
			var o struct {
				Kind     string
				Metadata struct{ Name string }
			}
			err := decoder.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(p, err)
			if strings.HasPrefix(o.Metadata.Name, "shop-inventory-service") {
				kinds[o.Kind] = true
			}
		}
		for _, kind := range []string{"Deployment", "Service", "ServiceAccount", "NetworkPolicy", "ServiceMonitor"} {
			require.True(p, kinds[kind], "%s has a %s", environment, kind)
		}
		require.Contains(p, out, `job: "inventory-service"`, "alerts")
		require.Contains(p, out, "inventory-service.json", "a dashboard")
	}
}

// used runs all services with make run, and sends requests to the new one.
func (p project) used() {
	ports := []string{freePort(p), freePort(p), freePort(p)}
	data := p.TempDir()
	command := p.command("make", "run", "AUTH=on", "DATA_DIR="+data, "USER_PORT="+ports[0], "ORDER_PORT="+ports[1], "INVENTORY_PORT="+ports[2])
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to send SIGINT to the group, like Ctrl-C in a terminal
	said, err := os.Create(filepath.Join(p.TempDir(), "stderr"))
	require.NoError(p, err)
	defer said.Close()
	command.Stderr = said
	out, err := command.StdoutPipe()
	require.NoError(p, err)
	require.NoError(p, command.Start())
	p.Cleanup(func() {
		if command.ProcessState == nil { // the test failed before it stopped make
			_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
			_ = command.Wait()
		}
	})
	lines, printed := bufio.NewScanner(out), ""
	for lines.Scan() && !strings.Contains(lines.Text(), "Ctrl-C stops them") {
		printed += lines.Text() + "\n"
	}
	problems, err := os.ReadFile(said.Name())
	require.NoError(p, err)
	require.Contains(p, printed, "http://localhost:"+ports[2]+"/api/v1/items\n", "%s", problems)

	token := func(subject string) string {
		return strings.TrimSpace(p.run("make", "token", "DATA_DIR="+data, "SUBJECT="+subject, "SCOPES=items:read items:write"))
	}
	items := "http://127.0.0.1:" + ports[2] + "/api/v1/items"
	ada, bob := token(uuid.NewString()), token(uuid.NewString())
	status, _ := p.send(http.MethodPost, items, "", `{"name":"Pencils","quantity":3}`)
	require.Equal(p, http.StatusUnauthorized, status)
	status, item := p.send(http.MethodPost, items, ada, `{"name":"Pencils","quantity":3}`)
	require.Equal(p, http.StatusCreated, status, item)
	one := fmt.Sprint(items, "/", item["id"])
	status, item = p.send(http.MethodPatch, one, ada, `{"quantity":2}`)
	require.Equal(p, http.StatusOK, status, item)
	status, item = p.send(http.MethodGet, one, ada, "")
	require.Equal(p, http.StatusOK, status)
	require.Equal(p, []any{"Pencils", 2.0}, []any{item["name"], item["quantity"]})
	for who, want := range map[string]int{ada: 1, bob: 0} {
		status, list := p.send(http.MethodGet, items, who, "")
		require.Equal(p, http.StatusOK, status)
		require.Len(p, list["items"], want)
	}
	for _, row := range []struct {
		token  string
		status int
	}{{bob, http.StatusNotFound}, {ada, http.StatusNoContent}, {ada, http.StatusNotFound}} {
		status, _ = p.send(http.MethodDelete, one, row.token, "")
		require.Equal(p, row.status, status)
	}

	require.NoError(p, syscall.Kill(-command.Process.Pid, syscall.SIGINT))
	_, err = io.Copy(io.Discard, out)
	require.NoError(p, err)
	_ = command.Wait() // the exit code of an interrupted make means nothing
	problems, err = os.ReadFile(said.Name())
	require.NoError(p, err)
	require.NotContains(p, string(problems), "Error")
}

// send sends a request and returns the answer, if it is an object.
func (p project) send(method, url, token, body string) (status int, answer map[string]any) {
	p.Helper()
	request, err := http.NewRequestWithContext(p.Context(), method, url, strings.NewReader(body))
	require.NoError(p, err)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(p, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(p, err)
	if len(read) > 0 {
		require.NoError(p, json.Unmarshal(read, &answer), "%s", read)
	}
	return response.StatusCode, answer
}

// of returns the project for a subtest.
func (p project) of(t *testing.T) project { return project{t, p.folder} }

// run runs a program in the copy, and returns its output.
func (p project) run(program string, arguments ...string) string {
	p.Helper()
	command := p.command(program, arguments...)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	require.NoError(p, err, "%s %s\n%s%s", program, strings.Join(arguments, " "), out.String(), said.String())
	return out.String()
}

func (p project) command(program string, arguments ...string) *exec.Cmd {
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		program = "./" + program
	}
	command := exec.CommandContext(p.Context(), program, arguments...)
	command.Dir = p.folder
	// Remove the variables of the make that runs the tests.
	command.Env = slices.DeleteFunc(checkout.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "MAKE") || slices.Contains([]string{"MFLAGS", "TEST_BINARIES", "NAME", "NOUN", "NOUNS", "PORT", "RUN", "PKG"}, name)
	})
	return command
}

func freePort(t testing.TB) string {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}
