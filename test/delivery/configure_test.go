package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/checkout"
)

// The project's names, which a fork replaces.
var (
	names = []string{"github.com/example", "ghcr.io/example", "microservices"}
	fork  = []string{
		"NAME=web-shop", "REPO=git@git.acme.test:shop/shop.git", "REGISTRY=registry.acme.test:5000/shop", "MODULE=git.acme.test/shop/shop",
	}
)

// TestAForkHasOnlyItsOwnNames: make configure leaves no name of the original anywhere, and the result
// builds, the first time and again.
func TestAForkHasOnlyItsOwnNames(t *testing.T) {
	folder := checkout.New(t, root)
	search := []string{"grep", "--text", "-liF", "-e", names[0], "-e", names[1], "-e", names[2], "--", ".", ":!test/delivery", ":!.ci/tool"}
	require.NotEmpty(t, must(t, folder, "git", search...), "the search must find the original names")

	must(t, folder, ".ci/configure", fork...)
	left, err := try(folder, "", "git", search...)
	require.Error(t, err, "these still have the old names:\n%s", left)
	require.Contains(t, read(t, folder, "argocd/root.yaml"), "repoURL: git@git.acme.test:shop/shop.git")
	require.Contains(t, read(t, folder, "charts/web-shop/values.yaml"), "registry: registry.acme.test:5000/shop")
	require.Contains(t, read(t, folder, "go.mod"), "module git.acme.test/shop/shop\n")
	require.Empty(t, must(t, folder, "bash", "-c", "gofmt -l $(git ls-files '*.go')"))
	must(t, folder, "go", "vet", "./...")
	must(t, folder, ".ci/tool", "helm", "template", "charts/web-shop", "--values", "charts/web-shop/values-prod.yaml")

	must(t, folder, "git", "add", "--all")
	must(t, folder, "git", "commit", "--quiet", "--message", "Fork")
	must(t, folder, ".ci/configure", "MODULE=acme.test/other", "REPO=https://git.acme.test/other.git")
	left, err = try(folder, "", "git", "grep", "-lF", "-e", "git.acme.test/shop", "-e", "git.acme.test:shop", "--", ".", ":!test/delivery")
	require.Error(t, err, "these still have the names of the first time:\n%s", left)
	require.Contains(t, read(t, folder, "charts/web-shop/values.yaml"), "registry: registry.acme.test:5000/shop", "names that aren't given must not change")
	must(t, folder, "go", "build", "./services/...")
}

func TestWrongNamesAreRefused(t *testing.T) {
	folder := checkout.New(t, root)
	for argument, says := range map[string]string{
		"REPO=shop":                  "write a git address",
		"REPO=https://x/a b.git":     "write a git address",
		"REGISTRY=https://ghcr.io/x": "write a host and a path",
		"REGISTRY=ghcr.io/Acme":      "write a host and a path",
		"MODULE=shop":                "write a Go module's path",
		"MODULE=acme/shop|x":         "write a Go module's path",
		"NAME=Shop":                  "write 2 to 30 lower-case letters",
		"NAME=-shop":                 "write 2 to 30 lower-case letters",
		"TITLE=shop":                 "allowed are NAME=",
	} {
		out, err := try(folder, "", ".ci/configure", argument)
		require.Error(t, err, argument)
		require.Contains(t, out, says)
	}
	require.Empty(t, must(t, folder, "git", "status", "--porcelain"))
}
