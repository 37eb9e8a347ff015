package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// join creates a veth pair between this machine and the network of process pid, and routes
// the pods' addresses to it. The kernel removes the pair with the process's network namespace.
func join(pid int) error {
	for _, network := range []string{linkNetwork, podRange} {
		// After a kill, the kernel removes the network interfaces a moment later.
		err := eventually(killLimit, func() error { return free(network) })
		if err != nil {
			return err
		}
	}
	return ip(
		"link add "+hostLink+" type veth peer name eth0 netns "+strconv.Itoa(pid),
		"address add "+hostAddress+linkPrefix+" dev "+hostLink,
		"link set "+hostLink+" up",
		"route add "+podRange+" via "+nodeAddress+" dev "+hostLink,
	)
}

// free returns an error if the machine has a route to the network or a part of it. A route
// to a larger network, such as a company's, doesn't matter: the more specific one wins.
func free(network string) error {
	out, err := exec.Command("ip", "-4", "route", "show", "to", "root", network).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip route: %w\n%s", err, out)
	}
	taken := strings.TrimSpace(string(out))
	if taken != "" {
		return fmt.Errorf("%s is taken on this machine, by a network that the cluster can't share: %s", network, taken)
	}
	return nil
}

// joinFromWithin configures the node's side of join. Without a default route, only pods and
// this machine can be reached.
func joinFromWithin() error {
	err := ip(
		"link set lo up",
		"address add "+nodeAddress+linkPrefix+" dev eth0",
		"link set eth0 up",
		// kube-proxy rewrites these addresses, but packets of the node's own processes need
		// a route to get that far.
		"route add "+serviceRange+" dev lo",
	)
	if err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600)
}

// ip runs the command ip once for each line of arguments.
func ip(lines ...string) error {
	for _, line := range lines {
		out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
