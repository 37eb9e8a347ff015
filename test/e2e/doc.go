// Package e2e installs the chart on a Kubernetes cluster, and tests that it starts, that
// requests succeed while pods are replaced, and that errors name their causes.
//
//	make e2e                                        on the local cluster, which it creates and removes
//	E2E_CLUSTER=kind make e2e                       on a kind cluster, likewise
//	E2E_CLUSTER=current REGISTRY=… make e2e         on the cluster that kubectl points to
//	make e2e RUN=TestNoRequestFailsDuringRollouts              only this test
//
// To run it often, start a cluster first: after make cluster, make e2e uses that cluster and
// leaves it running. Every test has its own namespace, which enforces the Pod Security level
// "restricted".
//
// The tests have the build tag e2e, because go test ./... must not need a cluster.
package e2e
