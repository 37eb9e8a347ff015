package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// join makes a pair of network cards, one of this machine and one of the process's
// network, and gives this machine the way to the pods. The pair goes with the
// process.
func join(pid int) error {
	for _, network := range []string{linkNetwork, podRange} {
		// The cards of a cluster that was killed go a moment after it.
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

// free returns an error if the machine has a route to the network or to a part of
// it. One to a larger network, such as a company's, doesn't matter: the
// narrower goes first.
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

// joinFromWithin is the node's side of join. There is no default route: what is
// neither a pod nor this machine can't be reached.
func joinFromWithin() error {
	err := ip(
		"link set lo up",
		"address add "+nodeAddress+linkPrefix+" dev eth0",
		"link set eth0 up",
		// kube-proxy answers for it before a route would be looked for, but the
		// node's own processes need one to get that far.
		"route add "+serviceRange+" dev lo",
	)
	if err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600)
}

// ip runs the program of that name, once for each line of arguments.
func ip(lines ...string) error {
	for _, line := range lines {
		out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
