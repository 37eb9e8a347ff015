package main

import (
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

func pod(namespace, name, ip string, port int32) *core.Pod {
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "-" + name), Labels: map[string]string{"app": name}},
		Spec:       core.PodSpec{Containers: []core.Container{{Ports: []core.ContainerPort{{Name: "http", ContainerPort: port}}}}},
		Status:     core.PodStatus{PodIPs: []core.PodIP{{IP: ip}}},
	}
}

func TestAPolicyAllowsExactlyItsRules(t *testing.T) {
	const ingress, egress = networking.PolicyTypeIngress, networking.PolicyTypeEgress
	for name, test := range map[string]struct {
		policies []string
		kind     networking.PolicyType
		isolated bool
		allowed  []string
	}{
		"no policy": {nil, ingress, false, nil},
		"nothing":   {[]string{`{podSelector: {}, policyTypes: [Ingress]}`}, ingress, true, nil},
		"the other direction": {
			[]string{`{podSelector: {}, policyTypes: [Egress]}`}, ingress, false, nil,
		},
		"another pod's": {
			[]string{`{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}`}, ingress, false, nil,
		},
		"everything": {
			[]string{`{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}`}, ingress, true, []string{"meta nfproto ipv4"},
		},
		"a pod of the namespace, by the port's name": {
			[]string{`{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: b}}}], ports: [{port: http}]}]}`},
			ingress, true, []string{"ip saddr 10.244.0.3 tcp dport 80"},
		},
		"a named port that is each receiver's own": {
			[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}`},
			egress, true, []string{"ip daddr 10.244.0.2 tcp dport 80", "ip daddr 10.244.0.3 tcp dport 81", "ip daddr 10.244.0.4 tcp dport 82"},
		},
		"pods of other namespaces": {
			[]string{`{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {team: yellow}}}]}]}`},
			ingress, true, []string{"ip saddr 10.244.0.4"},
		},
		"some pods of other namespaces": {
			[]string{`{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: a}}}]}]}`},
			ingress, true, []string{"ip saddr 10.244.0.2", "ip saddr 10.244.0.4"},
		},
		"addresses with a hole, ports in a row": {
			[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: "fc00::/7"}}], ports: [{protocol: UDP, port: 53, endPort: 54}]}]}`},
			egress, true, []string{"ip daddr 10.0.0.0/8 ip daddr != 10.1.0.0/16 udp dport 53-54"},
		},
		"policies add up": {
			[]string{
				`{podSelector: {}, policyTypes: [Ingress]}`,
				`{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: b}}}]}]}`,
			},
			ingress, true, []string{"ip saddr 10.244.0.3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			host, ended := pod("x", "b", "10.231.0.2", 83), pod("x", "b", "10.244.0.9", 84)
			host.Spec.HostNetwork, ended.Status.Phase = true, core.PodSucceeded
			w := world{
				namespaces: []*core.Namespace{
					{ObjectMeta: meta.ObjectMeta{Name: "x"}}, {ObjectMeta: meta.ObjectMeta{Name: "y", Labels: map[string]string{"team": "yellow"}}},
				},
				pods: []*core.Pod{pod("x", "a", "10.244.0.2", 80), pod("x", "b", "10.244.0.3", 81), pod("y", "a", "10.244.0.4", 82), host, ended},
			}
			for _, text := range test.policies {
				policy := &networking.NetworkPolicy{ObjectMeta: meta.ObjectMeta{Namespace: "x"}}
				err := yaml.UnmarshalStrict([]byte(text), &policy.Spec)
				if err != nil {
					t.Fatal(err)
				}
				w.policies = append(w.policies, policy)
			}
			for _, s := range sides {
				if s.kind != test.kind {
					continue
				}
				isolated, allowed, err := w.allowed(w.pods[0], s)
				if err != nil || isolated != test.isolated || !slices.Equal(allowed, test.allowed) {
					t.Errorf("isolated: %v, allowed: %s, error: %v", isolated, strings.Join(allowed, "; "), err)
				}
			}
		})
	}
}

func TestEgressAppliesToTheNodeToo(t *testing.T) {
	policy := &networking.NetworkPolicy{ObjectMeta: meta.ObjectMeta{Namespace: "x"}}
	policy.Spec.PolicyTypes = []networking.PolicyType{networking.PolicyTypeIngress, networking.PolicyTypeEgress}
	rules, err := world{pods: []*core.Pod{pod("x", "a", "10.244.0.2", 80)}, policies: []*networking.NetworkPolicy{policy}}.rules()
	if err != nil {
		t.Fatal(err)
	}
	_, hooks, _ := strings.Cut(rules, "chain forward")
	forward, input, _ := strings.Cut(hooks, "chain input")
	const egress, ingress = "ip saddr 10.244.0.2 jump egress-x-a", "ip daddr 10.244.0.2 jump ingress-x-a"
	if !strings.Contains(forward, egress) || !strings.Contains(forward, ingress) || !strings.Contains(input, egress) || strings.Contains(input, ingress) {
		t.Error(rules)
	}
}
