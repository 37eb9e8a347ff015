//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// commandTimeout limits the time of a kubectl or helm command.
const commandTimeout = 4 * time.Minute

// namespace is a namespace of one test.
type namespace struct {
	t    *testing.T
	name string
}

// newNamespace creates a namespace that enforces Pod Security "restricted". When the test
// ends, it is removed; if the test has failed, its objects and events are logged before.
func newNamespace(t *testing.T) *namespace {
	n := &namespace{t: t, name: fmt.Sprintf("e2e-%08x", rand.Uint32())}
	n.apply(fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/enforce-version: latest
`, n.name))
	t.Cleanup(func() {
		if t.Failed() {
			n.show()
		}
		// Delete pods without waiting for their grace periods.
		_, _ = n.try("delete", "deployments,jobs,statefulsets", "--all", "--wait=false")
		_, _ = n.try("delete", "pods", "--all", "--grace-period=1", "--wait=false")
		out, err := n.try("delete", "namespace", n.name)
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return n
}

// show logs the namespace's state, to explain a failure.
func (n *namespace) show() {
	for _, arguments := range [][]string{
		{"get", "all,pvc,endpointslices", "--output=wide"},
		{"get", "events", "--sort-by=.lastTimestamp"},
		{"logs", "--selector=app.kubernetes.io/part-of=microservices", "--all-containers", "--prefix", "--tail=30"},
	} {
		out, _ := n.try(arguments...)
		n.t.Logf("kubectl %s\n%s", strings.Join(arguments, " "), out)
	}
}

// in adds the namespace to the arguments of kubectl or helm.
func (n *namespace) in(arguments []string) []string {
	return slices.Concat([]string{"--namespace", n.name}, arguments)
}

// try runs kubectl in the namespace and returns all it prints.
func (n *namespace) try(arguments ...string) (string, error) {
	return run("", kubectl, n.in(arguments)...)
}

// kubectl is try, and fails the test on an error.
func (n *namespace) kubectl(arguments ...string) string {
	n.t.Helper()
	out, err := n.try(arguments...)
	require.NoError(n.t, err, out)
	return out
}

// tryApply creates or changes objects, and returns what kubectl prints.
func (n *namespace) tryApply(objects string) (string, error) {
	return run(objects, kubectl, n.in([]string{"apply", "--filename=-"})...)
}

// apply is tryApply, and fails the test on an error.
func (n *namespace) apply(objects string) {
	n.t.Helper()
	out, err := n.tryApply(objects)
	require.NoError(n.t, err, out)
}

// tryHelm runs helm in the namespace and returns all it prints.
func (n *namespace) tryHelm(arguments ...string) (string, error) {
	return run("", helm, n.in(arguments)...)
}

// helm is tryHelm, and fails the test on an error.
func (n *namespace) helm(arguments ...string) string {
	n.t.Helper()
	out, err := n.tryHelm(arguments...)
	require.NoError(n.t, err, out)
	return out
}

// smokeTest runs helm test of a release, and returns what it prints. Helm 4.3.1 reports a
// completed Job as in progress if it hears of an earlier state after the last one. It is run
// again then.
func (n *namespace) smokeTest(release string) string {
	n.t.Helper()
	out, err := n.tryHelm("test", release)
	if err != nil && strings.Contains(out, "Job in progress") && !strings.Contains(out, "deadline exceeded") {
		n.t.Log(out)
		out, err = n.tryHelm("test", release)
	}
	require.NoError(n.t, err, out)
	require.Regexp(n.t, `Phase:\s+Succeeded`, out)
	return out
}

// get decodes an object, or a list of them.
func (n *namespace) get(into any, arguments ...string) {
	n.t.Helper()
	out := n.kubectl(append([]string{"get", "--output=json"}, arguments...)...)
	require.NoError(n.t, json.Unmarshal([]byte(out), into), out)
}

// pod has the fields of a pod that the tests use.
type pod struct {
	Metadata struct {
		Name              string
		CreationTimestamp time.Time
		DeletionTimestamp *time.Time
	}
	Status struct {
		Phase             string
		Conditions        []condition
		ContainerStatuses []containerStatus
		// InitContainerStatuses are the migration's.
		InitContainerStatuses []containerStatus
	}
}

type condition struct {
	Type, Status       string
	LastTransitionTime time.Time
}

type containerStatus struct {
	RestartCount     int
	ImageID          string
	State, LastState struct {
		Waiting    struct{ Reason, Message string }
		Terminated struct{ Reason, Message string }
	}
}

// pods returns a service's pods that are not terminating.
func (n *namespace) pods(service string) []pod {
	n.t.Helper()
	var list struct{ Items []pod }
	n.get(&list, "pods", "--selector=app.kubernetes.io/name="+service)
	var staying []pod
	for _, p := range list.Items {
		if p.Metadata.DeletionTimestamp == nil {
			staying = append(staying, p)
		}
	}
	return staying
}

// eventually polls until happened returns true.
func (n *namespace) eventually(what string, happened func() bool) {
	n.t.Helper()
	// Not testify's Eventually, which polls in another goroutine, where require can't end the test.
	deadline := time.Now().Add(2 * time.Minute)
	for !happened() {
		require.False(n.t, time.Now().After(deadline), "not within two minutes: %s", what)
		<-time.After(250 * time.Millisecond)
	}
}

// forward forwards a port of a pod or a Service ("service/shop-user-service") to this machine,
// and returns the address, HOST:PORT. It ends with the test, or with the pod.
func (n *namespace) forward(target string, port int) string {
	n.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	words := slices.Concat(kubectl, n.in([]string{"port-forward", target, fmt.Sprintf(":%d", port)}))
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	var said bytes.Buffer
	command.Stderr = &said
	stdout, err := command.StdoutPipe()
	require.NoError(n.t, err)
	require.NoError(n.t, command.Start())
	n.t.Cleanup(func() {
		stop()
		_ = command.Wait()
	})
	first := make([]byte, 200)
	read, err := stdout.Read(first)
	require.NoError(n.t, err, said.String())
	go func() {
		rest := make([]byte, 4096)
		for err == nil {
			_, err = stdout.Read(rest)
		}
	}()
	found := regexp.MustCompile(`127\.0\.0\.1:(\d+)`).FindSubmatch(first[:read])
	require.NotNil(n.t, found, string(first[:read]))
	return "localhost:" + string(found[1])
}

// run runs a program, and returns its standard output, and on an error also its standard
// error.
func run(stdin string, program []string, arguments ...string) (string, error) {
	words := slices.Concat(program, arguments)
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Stdin = strings.NewReader(stdin)
	var out, said strings.Builder
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	if err != nil {
		return out.String() + said.String(), fmt.Errorf("%s: %w", strings.Join(words[1:], " "), err)
	}
	return out.String(), nil
}
