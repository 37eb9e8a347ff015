# The project's commands. `make` alone lists them.

# make exports variables from the command line to the programs, which document them and
# set their defaults.

# Don't print commands or directories.
MAKEFLAGS += --no-print-directory --silent

.PHONY: help
help: ## List the targets
	awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run the services locally (USER_PORT, ORDER_PORT, DATA_DIR, AUTH=on, USER_DATABASE_URL, …)
	test -x bin/local || echo "building bin/local, which runs the services (about 20 s the first time)"
	go build -o bin/local ./cmd/local
	bin/local $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))

.PHONY: token
token: ## Print a token for AUTH=on, by default with all user scopes (SUBJECT=a UUID, SCOPES="users:read …", DATA_DIR)
	go run ./cmd/token -data "$(or $(DATA_DIR),data)" $(if $(SUBJECT),-subject "$(SUBJECT)") $(if $(SCOPES),-scopes "$(SCOPES)")

.PHONY: check
check: ## Lint, and run the unit tests that need no server: about a minute once everything is built
	.ci/lint --quick

.PHONY: test
test: ## Run all tests (RUN=TestName, PKG=./pkg/..., COUNT=5, TIMEOUT=30m)
	.ci/test

.PHONY: simulate
simulate: ## Simulate both services with faults: many seeds (FOR=5m), or one seed with its log (SEED=…)
	GOMAXPROCS=1 GOGC=400 go test -count=1 -v -timeout=0 -run '^TestSeeds$$' ./test/simulation -args $(if $(SEED),-seed=$(SEED),-for=$(or $(FOR),1m))

.PHONY: simulate-bugs
simulate-bugs: ## Reintroduce each known bug and count the seeds needed to find it (FOR=2m per bug)
	go test -count=1 -v -timeout=0 -run '^TestPlantedBugs$$' ./test/simulation -args -plant=$(or $(FOR),1m)

.PHONY: lint
lint: ## Check formatting, code, generated files and modules
	.ci/lint

.PHONY: generate
generate: ## Write the generated files (from service.yaml, sqlc, the API, the dashboards)
	.ci/generate

.PHONY: new-service
new-service: ## Create a service (NAME=inventory NOUN=item PORT=8002): docs/add-a-service.md
	go run ./cmd/newservice -name "$(NAME)" -noun "$(NOUN)" -nouns "$(NOUNS)" -port "$(or $(PORT),0)"
	.ci/generate

.PHONY: chart
chart: ## Test the chart (UPDATE=1 writes the golden rendering and the README)
	go test -count=1 -timeout=30m ./test/chart $(if $(UPDATE),-update)

.PHONY: build
build: ## Build the services into ./bin
	for main in services/*/main.go; do go build -o bin/ "./$${main%/main.go}" || exit; done

.PHONY: images
images: ## Build the images and push them (REGISTRY, TAG, PLATFORM, BASE_IMAGE)
	.ci/images

.PHONY: compose
compose: ## Run PostgreSQL and the services in Docker (USER_PORT, ORDER_PORT, AUTH=on)
	.ci/compose up

.PHONY: observe
observe: ## Like compose, with Prometheus, Grafana and Jaeger (GRAFANA_PORT, PROMETHEUS_PORT, JAEGER_PORT)
	.ci/compose observe

.PHONY: compose-down
compose-down: ## Stop what make compose or observe started, and keep its data
	.ci/compose down

.PHONY: bench
bench: ## Compare performance and write bench/RESULTS.md (ONLY=get,list: only these sections)
	go run ./bench

.PHONY: pictures
pictures: ## Redraw the README's pictures from real requests (needs Chromium)
	mkdir -p docs/pictures
	go test -count=1 ./test/dashboards -pictures docs/pictures
	go test -count=1 ./test/system -run TestTheDocumentationOfOrders -pictures docs/pictures

# Each runs the pinned version of a tool, for all in .ci/tools: helm, ko, crane, cosign, …
tool_kubectl := kubernetes kubectl
tool_tofu := opentofu
bin/%: .ci/tool
	test -d .ci/tools/$(firstword $(or $(tool_$*),$*)) || { echo "no tool $*: see .ci/tools" >&2; exit 1; }
	mkdir -p bin
	printf '#!/bin/sh\nexec "$$(dirname "$$0")/../.ci/tool" %s "$$@"\n' "$(or $(tool_$*),$*)" >$@
	chmod +x $@

.PHONY: promote
promote: ## Deploy the images that make images printed, by a commit (ENVIRONMENT=dev, GIT_TAG=prod-v1.2.3)
	.ci/promote "$$ENVIRONMENT" "$$GIT_TAG"

.PHONY: release
release: ## Build and push the images and the chart of a version (VERSION=v1.2.3, REGISTRY, SIGN=yes, COSIGN_FLAGS)
	.ci/release "$$VERSION"

.PHONY: cluster
cluster: ## Start a local Kubernetes cluster, without Docker (REGISTRY_PORT)
	.ci/dependencies containerd runc containernetworking-plugins nftables iproute2
	mkdir -p .cache/bin
	go build -o .cache/bin/cluster ./cmd/cluster
	.cache/bin/cluster up

.PHONY: cluster-down
cluster-down: ## Remove the local cluster
	go run ./cmd/cluster down

.PHONY: e2e
e2e: ## Test on Kubernetes (E2E_CLUSTER=local|kind|current, RUN, COUNT)
	.ci/e2e

.PHONY: eks-values
eks-values: ## Print the chart's values for the cluster of k8s/eks
	.ci/tool opentofu -chdir=k8s/eks output -raw values

.PHONY: eks-objects
eks-objects: ## Print the objects that the cluster of k8s/eks needs before the chart
	.ci/tool opentofu -chdir=k8s/eks output -raw objects

.PHONY: configure
configure: ## Give a fork its own names (NAME=shop REPO=… REGISTRY=… MODULE=…)
	.ci/configure $(if $(NAME),NAME=$(NAME)) $(if $(REPO),REPO=$(REPO)) $(if $(REGISTRY),REGISTRY=$(REGISTRY)) $(if $(MODULE),MODULE=$(MODULE))

.PHONY: clean
clean: ## Remove build output and the local cluster, but not ./data
	test ! -e .cache/cluster || go run ./cmd/cluster down
	rm -rf bin .cache
