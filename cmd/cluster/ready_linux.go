package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

//go:embed addons.yaml
var addons string

// waitReady waits until pods can run: the API responds, the add-ons are installed, the node
// is ready, and DNS resolves names.
func waitReady(ctx context.Context, s state, node *nodeProcess) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	objects := strings.ReplaceAll(addons, "REGISTRY_PORT", registryPort())
	for _, step := range []struct {
		name, component string
		try             func() error
	}{
		{"the API answers", "kube-apiserver", func() error { return kubectl(ctx, s, "", "get", "--raw", "/readyz") }},
		{"the default namespaces are there", "kube-controller-manager", func() error {
			return kubectl(ctx, s, "", "get", "namespace/kube-public", "serviceaccount/default")
		}},
		{"the add-ons are installed", "kube-apiserver", func() error { return kubectl(ctx, s, objects, "apply", "--filename=-") }},
		{"the node is ready", "kubelet", func() error {
			return kubectl(ctx, s, "", "wait", "--for=condition=Ready", "node/"+nodeName, "--timeout=1s")
		}},
		{"names are resolved", "coredns", func() error { return resolve(ctx, "kubernetes.default.svc.cluster.local") }},
		{"a volume is made", "storage", func() error { return tryStorage(ctx, s) }},
	} {
		err := step.try()
		for err != nil {
			select {
			case <-node.gone:
				return fmt.Errorf("the node has ended: %s", tail(s.log("node")))
			case <-ctx.Done():
				return fmt.Errorf("%w before %s; %s says: %s", errors.Join(ctx.Err(), err), step.name, step.component, tail(s.log(step.component)))
			case <-time.After(200 * time.Millisecond):
			}
			err = step.try()
		}
	}
	return nil
}

// kubectl runs kubectl with stdin as its input.
func kubectl(ctx context.Context, s state, stdin string, arguments ...string) error {
	program, err := s.tool("kubernetes")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, program, append([]string{"kubectl"}, arguments...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig())
	command.Stdin = strings.NewReader(stdin)
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(arguments, " "), err, out)
	}
	return nil
}

//go:embed volume.yaml
var volume string

// tryStorage claims a volume of the default storage class, and deletes it.
func tryStorage(ctx context.Context, s state) error {
	err := kubectl(ctx, s, volume, "apply", "--filename=-")
	if err != nil {
		return err
	}
	err = kubectl(ctx, s, volume, "wait", "--for=jsonpath={.status.phase}=Bound", "--timeout=5s", "--filename=-")
	if err != nil {
		return err
	}
	return kubectl(ctx, s, volume, "delete", "--wait=false", "--filename=-")
}

// resolve looks name up in the node's DNS.
func resolve(ctx context.Context, name string) error {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, nodeAddress+":53")
	}}
	addresses, err := resolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	if len(addresses) != 1 || addresses[0] != apiService {
		return fmt.Errorf("%s resolves to %v", name, addresses)
	}
	return nil
}
