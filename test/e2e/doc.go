// Package e2e installs the chart on a Kubernetes cluster and shows that it does
// there what it promises: that it starts, that it survives what clusters do to
// pods, and that it says what is wrong when something is.
//
//	make e2e                                        on the local cluster, which it makes and removes
//	E2E_CLUSTER=kind make e2e                       on a kind cluster, likewise
//	E2E_CLUSTER=current REGISTRY=… make e2e         on the cluster that kubectl points to
//	make e2e RUN=TestNothingFailsWhile              some of it
//
// A cluster of one's own is faster to work with: after make cluster, make e2e
// finds it and leaves it running. Every test has a namespace of its own, which
// enforces the Pod Security level "restricted".
//
// The tests have the build tag e2e, so that go test ./... needs no cluster.
package e2e
