// Package argocd runs Argo CD's core beside a cluster, for tests: the controllers that
// sync the cluster with a git repository, without the API server and the user interface.
// They run as local processes that use the kubeconfig. Their objects, such as
// Applications, are in the cluster's namespace argocd.
//
//	this machine                                      the cluster
//	├─ argocd-application-controller  ──────────────▶ Applications, AppProjects, and what they install
//	├─ argocd-applicationset-controller ────────────▶ ApplicationSets, Applications
//	├─ argocd-notifications-controller ─────────────▶ Applications
//	├─ argocd-repo-server: git, helm, kustomize
//	├─ redis-server
//	└─ git daemon: the [Repository]
//
// Argo CD, Helm and Kustomize are built from their Go modules (.ci/tools); git and
// redis-server are the distribution's. All end with the test.
package argocd
