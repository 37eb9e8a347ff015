// Command cluster runs a real Kubernetes on one Linux machine, without Docker and
// without a network:
//
//	cluster up       starts it; it goes on in the background
//	cluster down     ends it and removes all that it made
//	cluster status   says whether it runs, and what of it; exit code 1 if it doesn't
//	cluster host     prints this machine's address as pods see it
//
// What runs, and where:
//
//	this machine                         the node: namespaces of its own (PID, mount,
//	                                     network, UTS, IPC), which end with its init
//	cluster daemon
//	├─ registry, localhost:5001
//	└─ cluster init ───────────────────▶ cluster node
//	                                     ├─ etcd, kube-apiserver, …-controller-manager, …-scheduler
//	10.231.0.1 ◀──── a pair of ────────▶ ├─ containerd, kubelet, kube-proxy, CoreDNS, storage
//	           virtual network cards     └─ pods, 10.244.0.0/16
//
// The node has no route but to this machine, so nothing leaves it. When the
// daemon goes, whatever way, the kernel ends the node's init, and with it
// every process, mount, card and rule of the node. What can be left are files
// under .cache/cluster and empty control groups; down removes them, and so does
// the next up.
//
// Network policies hold. REGISTRY_PORT is the registry's port, 5001 unless given.
// There can be one cluster on a machine.
//
// Kubernetes, etcd and CoreDNS are built from their Go modules (.ci/tools);
// containerd, runc and the network plugins are the distribution's.
package main
