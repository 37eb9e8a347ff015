// Command cluster runs a real Kubernetes on one Linux machine, without Docker and without
// internet access:
//
//	cluster up       starts it in the background
//	cluster down     stops it and removes everything that it created
//	cluster status   prints the state of its components; exit code 1 if it doesn't run
//	cluster host     prints the address at which pods reach this machine
//
// Processes:
//
//	this machine                         the node: separate namespaces (PID, mount,
//	                                     network, UTS, IPC), which end with its init
//	cluster daemon
//	├─ registry, localhost:5001
//	└─ cluster init ───────────────────▶ cluster node
//	                                     ├─ etcd, kube-apiserver, …-controller-manager, …-scheduler
//	10.231.0.1 ◀──── a pair of ────────▶ ├─ containerd, kubelet, kube-proxy, CoreDNS, storage
//	           virtual network cards     └─ pods, 10.244.0.0/16
//
// The node has a route only to this machine. When the daemon ends, in whatever way, the
// kernel kills the node's init, and with it all processes, mounts, network cards and rules
// of the node. Only files under .cache/cluster and empty control groups can remain; down
// and the next up remove them.
//
// Network policies are enforced. REGISTRY_PORT is the registry's port, by default 5001.
// A machine can run only one cluster.
//
// Kubernetes, etcd and CoreDNS are built from their Go modules (.ci/tools). containerd,
// runc and the network plugins come from the distribution.
package main
