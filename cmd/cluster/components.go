package main

import (
	"fmt"
	"strings"
)

// component is a process of the node.
type component struct {
	// name is also the name of its log.
	name string
	// command is the program and its arguments.
	command []string
}

// pinned are the components that .ci/tool builds.
var pinned = []string{"kubernetes", "etcd", "coredns", "addons"}

// components returns the node's processes, in the order in which they start. They don't wait
// for one another: each retries until it finds what it needs.
func components(s state, tools map[string]string) []component {
	kubernetes := func(name string, arguments ...string) component {
		return component{name, append([]string{tools["kubernetes"], name}, arguments...)}
	}
	return []component{
		{"etcd", []string{
			tools["etcd"],
			"--data-dir=" + s.path("etcd"),
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380", "--initial-cluster=default=http://127.0.0.1:2380",
			"--unsafe-no-fsync", // the data need not survive a crash of the machine
			"--log-level=warn",
		}},
		kubernetes("kube-apiserver",
			"--etcd-servers=http://127.0.0.1:2379",
			"--advertise-address="+nodeAddress,
			"--service-cluster-ip-range="+serviceRange,
			"--tls-cert-file="+s.cert("apiserver"), "--tls-private-key-file="+s.key("apiserver"),
			"--client-ca-file="+s.cert("ca"),
			"--authorization-mode=Node,RBAC",
			"--allow-privileged=true",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file="+s.path("pki", "service-account.pub"),
			"--service-account-signing-key-file="+s.key("service-account"),
			"--kubelet-client-certificate="+s.cert("admin"), "--kubelet-client-key="+s.key("admin"),
			"--kubelet-certificate-authority="+s.cert("ca"),
			// Otherwise logs, exec and port-forward look up the node's name in DNS.
			"--kubelet-preferred-address-types=InternalIP",
		),
		kubernetes("kube-controller-manager",
			"--kubeconfig="+s.kubeconfig(),
			"--leader-elect=false",
			"--service-account-private-key-file="+s.key("service-account"),
			"--root-ca-file="+s.cert("ca"),
		),
		kubernetes("kube-scheduler", "--kubeconfig="+s.kubeconfig(), "--leader-elect=false"),
		{"containerd", []string{"containerd", "--config", s.path("containerd.toml")}},
		kubernetes("kubelet",
			"--config="+s.path("kubelet.yaml"),
			"--kubeconfig="+s.kubeconfig(),
			"--hostname-override="+nodeName,
			"--node-ip="+nodeAddress,
			"--root-dir="+s.path("kubelet"),
		),
		kubernetes("kube-proxy", "--config="+s.path("kube-proxy.yaml")),
		{"coredns", []string{tools["coredns"], "-conf", s.path("Corefile")}},
		{"storage", []string{tools["addons"], "storage", s.kubeconfig(), nodeName, s.path("volumes")}},
		{"networkpolicies", []string{tools["addons"], "networkpolicies", s.kubeconfig()}},
	}
}

// writeConfigurations writes the components' configuration files.
func writeConfigurations(s state) error {
	files := map[string]string{
		s.path("containerd.toml"): expand(s, `version = 2
root = "{state}/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{state}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "`+pauseReference+`"
  # runc fails if the machine doesn't allow a negative score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/run/cni/bin"
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{state}/registries"
`),
		// A route for each pod instead of a bridge: routed packets between pods pass the
		// rules of kube-proxy and of network policies, bridged ones would not.
		s.path("cni", "10-pods.conflist"): expand(s, `{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [
    {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "/run/cni/addresses", "ranges": [[{"subnet": "`+podRange+`"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
  ]
}
`),
		// One mirror for all registries: ghcr.io/example/microservices/user-service is
		// pulled as example/microservices/user-service. The node reaches no other registry.
		s.path("registries", "_default", "hosts.toml"): fmt.Sprintf("[host.\"http://%s:%s\"]\n", hostAddress, registryPort()),
		s.path("kubelet.yaml"): expand(s, `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication:
  anonymous: {enabled: false}
  x509: {clientCAFile: "{state}/pki/ca.crt"}
authorization: {mode: Webhook}
tlsCertFile: "{state}/pki/kubelet.crt"
tlsPrivateKeyFile: "{state}/pki/kubelet.key"
clusterDomain: cluster.local
clusterDNS: [`+dnsService+`]
resolvConf: "{state}/resolv.conf"
podLogsDir: "{state}/pods"
volumePluginDir: "{state}/plugins"
# Below the cluster's own control group, so that down finds them all.
cgroupRoot: /`+controlGroup+`
cgroupDriver: cgroupfs
cgroupsPerQOS: true
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
# The cluster can't free the machine's disk, so a full one must not evict pods.
evictionHard: {nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%", memory.available: 50Mi}
imageGCHighThresholdPercent: 100
syncFrequency: 10s
# Pull images in parallel: an end-to-end test starts a dozen pods.
serializeImagePulls: false
registryPullQPS: 0
kubeAPIQPS: 100
kubeAPIBurst: 200
`),
		s.path("resolv.conf"): "# Empty: only the cluster's DNS resolves names.\n",
		s.path("kube-proxy.yaml"): expand(s, `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: "{state}/kubeconfig"}
hostnameOverride: `+nodeName+`
mode: nftables
clusterCIDR: `+podRange+`
# Of the kernel's settings, change only one of the node's own. Without tcpBeLiberal, in
# nftables mode a packet that conntrack holds for invalid resets its connection.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s, tcpBeLiberal: true}
nftables: {syncPeriod: 10s, minSyncPeriod: 100ms}
`),
		s.path("Corefile"): expand(s, `.:53 {
  bind `+nodeAddress+`
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig {state}/kubeconfig
    ttl 5
  }
  # Other names don't exist. Without a response clients would retry.
  template ANY ANY . {
    rcode NXDOMAIN
  }
  cache 5
}
`),
	}
	return writeFiles(files)
}

// expand replaces {state} by the path of the state's folder.
func expand(s state, text string) string { return strings.ReplaceAll(text, "{state}", string(s)) }
