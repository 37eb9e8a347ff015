// Where the schemas of Kubernetes and of the custom resources come from. Nothing
// of these modules is compiled: they have the files beside the code, and here they
// are pinned. (go mod tidy would take them out; main.go says which files are read.)
module github.com/example/microservices/test/chart/schemas

go 1.26.0

require (
	github.com/argoproj/argo-cd/v3 v3.5.7
	github.com/external-secrets/external-secrets v1.3.2
	github.com/kyverno/kyverno v1.19.1
	github.com/prometheus-operator/prometheus-operator v0.93.1
	k8s.io/kubernetes v1.34.4
	sigs.k8s.io/gateway-api v1.6.3
	sigs.k8s.io/yaml v1.6.0
)

require go.yaml.in/yaml/v2 v2.4.4 // indirect
