package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// world is everything that the rules depend on.
type world struct {
	namespaces []*core.Namespace
	pods       []*core.Pod
	policies   []*networking.NetworkPolicy
}

// side is a direction of traffic, in the terms of nftables.
type side struct {
	kind networking.PolicyType
	// own and peer are the fields with the pod's and the peer's address.
	own, peer string
}

var sides = []side{
	{networking.PolicyTypeEgress, "saddr", "daddr"},
	{networking.PolicyTypeIngress, "daddr", "saddr"},
}

// rule is an ingress or an egress rule, which differ only in the name of a field.
type rule struct {
	peers []networking.NetworkPolicyPeer
	ports []networking.NetworkPolicyPort
}

// rules renders the table that replaces the previous one. A pod that a policy selects has a chain
// for each direction, which drops the packets that it doesn't return.
func (w world) rules() (string, error) {
	var chains strings.Builder
	// The jumps to the chains, by direction.
	jumps := map[networking.PolicyType]*strings.Builder{networking.PolicyTypeEgress: {}, networking.PolicyTypeIngress: {}}
	pods := slices.Clone(w.pods)
	slices.SortFunc(pods, func(a, b *core.Pod) int { return strings.Compare(string(a.UID), string(b.UID)) })
	for _, s := range sides {
		for _, pod := range pods {
			own := address(pod)
			if own == "" {
				continue
			}
			isolated, allowed, err := w.allowed(pod, s)
			if err != nil {
				return "", err
			}
			if !isolated {
				continue
			}
			chain := strings.ToLower(string(s.kind)) + "-" + string(pod.UID)
			fmt.Fprintf(&chains, "  chain %s { # %s/%s\n    ip %s %s return\n", chain, pod.Namespace, pod.Name, s.peer, own)
			for _, line := range allowed {
				fmt.Fprintf(&chains, "    %s return\n", line)
			}
			chains.WriteString("    drop\n  }\n")
			fmt.Fprintf(jumps[s.kind], "    ip %s %s jump %s\n", s.own, own, chain)
		}
	}
	// The first line creates the table if it doesn't exist, so that the second works.
	return "table inet networkpolicies\ndelete table inet networkpolicies\ntable inet networkpolicies {\n" + chains.String() +
		hook("forward", jumps[networking.PolicyTypeEgress], jumps[networking.PolicyTypeIngress]) +
		hook("input", jumps[networking.PolicyTypeEgress]) + "}\n", nil
}

// hook renders the chain of a hook of the kernel.
func hook(name string, jumps ...*strings.Builder) string {
	text := "  chain " + name + " {\n    type filter hook " + name + " priority filter; policy accept;\n    ct state established,related accept\n"
	for _, j := range jumps {
		text += j.String()
	}
	return text + "  }\n"
}

// address returns a pod's IPv4 address. It is "" for ended pods, whose address another pod may
// have, and for pods in the node's network, to which policies don't apply.
func address(pod *core.Pod) string {
	if pod.Spec.HostNetwork || pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed {
		return ""
	}
	for _, ip := range pod.Status.PodIPs {
		parsed, err := netip.ParseAddr(ip.IP)
		if err == nil && parsed.Is4() {
			return ip.IP
		}
	}
	return ""
}

// allowed reports whether any policy selects the pod for a direction, and returns the matches of
// the traffic that the policies together allow.
func (w world) allowed(pod *core.Pod, s side) (bool, []string, error) {
	isolated := false
	var lines []string
	for _, policy := range w.policies {
		if policy.Namespace != pod.Namespace || !slices.Contains(policy.Spec.PolicyTypes, s.kind) {
			continue
		}
		selected, err := matches(&policy.Spec.PodSelector, pod.Labels)
		if err != nil {
			return false, nil, fmt.Errorf("policy %s/%s: %w", policy.Namespace, policy.Name, err)
		}
		if !selected {
			continue
		}
		isolated = true
		for _, r := range rulesOf(policy, s) {
			more, err := w.lines(policy, pod, r, s)
			if err != nil {
				return false, nil, fmt.Errorf("policy %s/%s: %w", policy.Namespace, policy.Name, err)
			}
			lines = append(lines, more...)
		}
	}
	// Sorted, so that the same rules give the same text.
	slices.Sort(lines)
	return isolated, slices.Compact(lines), nil
}

func rulesOf(policy *networking.NetworkPolicy, s side) []rule {
	var rules []rule
	if s.kind == networking.PolicyTypeEgress {
		for _, r := range policy.Spec.Egress {
			rules = append(rules, rule{r.To, r.Ports})
		}
		return rules
	}
	for _, r := range policy.Spec.Ingress {
		rules = append(rules, rule{r.From, r.Ports})
	}
	return rules
}

// lines returns a rule's matches. A rule without peers applies to all, and one without ports to
// every port and protocol.
func (w world) lines(policy *networking.NetworkPolicy, pod *core.Pod, r rule, s side) ([]string, error) {
	var lines []string
	// add adds a match of a peer. to is the pod whose named ports the rule refers to, if any.
	add := func(match string, to *core.Pod) {
		if len(r.ports) == 0 {
			lines = append(lines, match)
		}
		for _, p := range r.ports {
			port := portMatch(p, to)
			if port != "" {
				lines = append(lines, match+" "+port)
			}
		}
	}
	target := func(peer *core.Pod) *core.Pod {
		if s.kind == networking.PolicyTypeIngress {
			return pod
		}
		return peer
	}
	if len(r.peers) == 0 {
		add("meta nfproto ipv4", target(nil))
		// A named port of an egress rule may be another number in each pod.
		for _, peer := range w.pods {
			if s.kind == networking.PolicyTypeEgress && address(peer) != "" && hasNames(r.ports) {
				add("ip "+s.peer+" "+address(peer), peer)
			}
		}
	}
	for _, p := range r.peers {
		if p.IPBlock != nil {
			match, err := blockMatch(p.IPBlock, s)
			if err != nil {
				return nil, err
			}
			if match != "" {
				add(match, target(nil))
			}
			continue
		}
		peers, err := w.selected(policy.Namespace, p)
		if err != nil {
			return nil, err
		}
		for _, peer := range peers {
			add("ip "+s.peer+" "+address(peer), target(peer))
		}
	}
	return lines, nil
}

// selected returns the pods with an address that a peer selects.
func (w world) selected(namespace string, peer networking.NetworkPolicyPeer) ([]*core.Pod, error) {
	inside := map[string]bool{}
	for _, n := range w.namespaces {
		in := n.Name == namespace
		if peer.NamespaceSelector != nil {
			var err error
			in, err = matches(peer.NamespaceSelector, n.Labels)
			if err != nil {
				return nil, err
			}
		}
		inside[n.Name] = in
	}
	var pods []*core.Pod
	for _, pod := range w.pods {
		if !inside[pod.Namespace] || address(pod) == "" {
			continue
		}
		if peer.PodSelector != nil {
			in, err := matches(peer.PodSelector, pod.Labels)
			if err != nil {
				return nil, err
			}
			if !in {
				continue
			}
		}
		pods = append(pods, pod)
	}
	return pods, nil
}

func matches(selector *meta.LabelSelector, set map[string]string) (bool, error) {
	s, err := meta.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, err
	}
	return s.Matches(labels.Set(set)), nil
}

// blockMatch matches the addresses of a block without its exceptions. It is "" for IPv6, which
// the cluster doesn't have.
func blockMatch(block *networking.IPBlock, s side) (string, error) {
	prefix, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return "", err
	}
	if !prefix.Addr().Is4() {
		return "", nil
	}
	match := "ip " + s.peer + " " + prefix.Masked().String()
	for _, except := range block.Except {
		hole, err := netip.ParsePrefix(except)
		if err != nil {
			return "", err
		}
		match += " ip " + s.peer + " != " + hole.Masked().String()
	}
	return match, nil
}

// portMatch matches a port. It is "" for a named port that the pod doesn't have.
func portMatch(port networking.NetworkPolicyPort, pod *core.Pod) string {
	protocol := core.ProtocolTCP
	if port.Protocol != nil {
		protocol = *port.Protocol
	}
	name := strings.ToLower(string(protocol))
	switch {
	case port.Port == nil:
		return "meta l4proto " + name
	case port.Port.Type == intstr.String:
		number := numberOf(pod, port.Port.StrVal, protocol)
		if number == 0 {
			return ""
		}
		return fmt.Sprintf("%s dport %d", name, number)
	case port.EndPort != nil:
		return fmt.Sprintf("%s dport %d-%d", name, port.Port.IntVal, *port.EndPort)
	default:
		return fmt.Sprintf("%s dport %d", name, port.Port.IntVal)
	}
}

func hasNames(ports []networking.NetworkPolicyPort) bool {
	return slices.ContainsFunc(ports, func(p networking.NetworkPolicyPort) bool {
		return p.Port != nil && p.Port.Type == intstr.String
	})
}

// numberOf returns the number of a pod's named port, or 0 without one.
func numberOf(pod *core.Pod, name string, protocol core.Protocol) int32 {
	if pod == nil {
		return 0
	}
	// Init containers count, too, because restarted ones are sidecars.
	for _, container := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		for _, port := range container.Ports {
			if port.Name == name && (port.Protocol == protocol || port.Protocol == "" && protocol == core.ProtocolTCP) {
				return port.ContainerPort
			}
		}
	}
	return 0
}
