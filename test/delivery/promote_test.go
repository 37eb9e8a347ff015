package delivery

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/checkout"
)

var (
	digests  = []string{"sha256:" + strings.Repeat("1", 64), "sha256:" + strings.Repeat("2", 64)}
	promoted = "localhost:5001/user-service:v1@" + digests[0] + "\nlocalhost:5001/order-service:v1@" + digests[1] + "\n"
)

// TestPromotionIsOneCommit: the commit sets the digests, and git revert undoes it.
func TestPromotionIsOneCommit(t *testing.T) {
	folder := checkout.New(t, root)
	before := rendered(t, folder)
	out, err := try(folder, promoted, ".ci/promote", "dev")
	require.NoError(t, err, out)
	require.Contains(t, out, "Promote user-service v1, order-service v1 to dev")
	require.Equal(t, "charts/microservices/images-dev.yaml\n", must(t, folder, "git", "diff", "--name-only", "HEAD~"))
	require.Empty(t, must(t, folder, "git", "status", "--porcelain"))
	after := rendered(t, folder)
	require.Contains(t, after, "localhost:5001/user-service:v1@"+digests[0])
	require.Contains(t, after, "localhost:5001/order-service:v1@"+digests[1])

	out, err = try(folder, promoted, ".ci/promote", "dev")
	require.NoError(t, err, out)
	require.Contains(t, out, "already has these images")
	require.Equal(t, "2\n", must(t, folder, "git", "rev-list", "--count", "HEAD"))

	must(t, folder, "git", "revert", "--no-edit", "HEAD")
	require.Equal(t, before, rendered(t, folder))
}

// TestProductionIsPromotedInOneStep: one branch sets the images, tags them, and lets the
// environment follow the tag. The other environments don't change.
func TestProductionIsPromotedInOneStep(t *testing.T) {
	folder := checkout.New(t, root)
	before, err := applications(t, folder, "in-cluster")
	require.NoError(t, err)
	out, err := try(folder, promoted, ".ci/promote", "prod", "prod-v1.2.3-7")
	require.NoError(t, err, out)
	require.Contains(t, out, "Promote user-service v1, order-service v1 to prod")
	require.Contains(t, out, "Let prod follow prod-v1.2.3-7")
	require.Equal(t, "argocd/applicationset.yaml\ncharts/microservices/images-prod.yaml\n", must(t, folder, "git", "diff", "--name-only", "HEAD~2"))
	require.Empty(t, must(t, folder, "git", "status", "--porcelain"))
	require.Contains(t, must(t, folder, "git", "show", "prod-v1.2.3-7:charts/microservices/images-prod.yaml"), digests[0], "the tag must have the images")
	after, err := applications(t, folder, "in-cluster")
	require.NoError(t, err)
	require.Equal(t, "prod-v1.2.3-7", after["microservices-prod"].Spec.Source.TargetRevision)
	prod := after["microservices-prod"]
	prod.Spec.Source.TargetRevision = before["microservices-prod"].Spec.Source.TargetRevision
	after["microservices-prod"] = prod
	require.Equal(t, before, after, "something else has changed")

	t.Run("the same images with other settings are another tag", func(t *testing.T) {
		out, err := try(folder, promoted, ".ci/promote", "prod", "prod-v1.2.3-8")
		require.NoError(t, err, out)
		require.Equal(t, "argocd/applicationset.yaml\n", must(t, folder, "git", "diff", "--name-only", "HEAD~"))
	})
	for tag, says := range map[string]string{"prod-v1.2.3-7": "tag prod-v1.2.3-7 already exists", "v1|x": "a tag may contain only letters"} {
		out, err := try(folder, promoted, ".ci/promote", "prod", tag)
		require.Error(t, err, out)
		require.Contains(t, out, says)
	}
}

func TestInvalidPromotionsAreRejected(t *testing.T) {
	folder := checkout.New(t, root)
	for name, c := range map[string]struct{ environment, references, says string }{
		"an unknown environment": {"test", promoted, "environments: dev prod staging"},
		"no environment":         {"", promoted, "environments: dev prod staging"},
		"no image":               {"dev", "", "no reference"},
		"a tag alone":            {"dev", "localhost:5001/user-service:v1\n", "is not a reference with tag and digest"},
		"something else":         {"dev", promoted + "done", `"done" is not a reference`},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := try(folder, c.references, ".ci/promote", c.environment)
			require.Error(t, err, out)
			require.Contains(t, out, c.says)
		})
	}
	require.Empty(t, must(t, folder, "git", "status", "--porcelain"))
	require.Equal(t, "1\n", must(t, folder, "git", "rev-list", "--count", "HEAD"))
}

// TestMakePassesValuesOnAsTheyAre: a value is one argument, and no command of the shell.
func TestMakePassesValuesOnAsTheyAre(t *testing.T) {
	folder := checkout.New(t, root)
	for says, arguments := range map[string][]string{
		`"v1 v2": a tag may contain only`:        {"promote", "ENVIRONMENT=prod", "GIT_TAG=v1 v2"},
		`"v1;touch touched": a tag may contain`:  {"promote", "ENVIRONMENT=prod", "GIT_TAG=v1;touch touched"},
		"usage: make images | make promote":      {"promote", `ENVIRONMENT=dev"; touch touched; "`},
		"usage: make release VERSION=vX.Y.Z":     {"release", "REGISTRY=localhost:1/x", `VERSION=v1.2.3"; touch touched; "`},
		"Promote user-service v1, order-service": {"promote", "ENVIRONMENT=prod", "GIT_TAG=prod-v1"},
	} {
		out, err := try(folder, promoted, "make", arguments...)
		require.Equal(t, strings.HasPrefix(says, "Promote"), err == nil, out)
		require.Contains(t, out, says)
	}
	require.Empty(t, must(t, folder, "git", "status", "--porcelain"))
	require.Equal(t, "prod-v1\n", must(t, folder, "git", "tag"))
}

// rendered returns the chart with the values of dev, as Argo CD renders it.
func rendered(t *testing.T, folder string) string {
	t.Helper()
	return must(t, folder, helm(t), "template", "shop", "charts/microservices", "--kube-version", "1.34.4",
		"--values", "charts/microservices/values-dev.yaml", "--values", "charts/microservices/images-dev.yaml")
}

// helm returns the path of the pinned Helm.
func helm(t *testing.T) string {
	t.Helper()
	return tool(t, "helm")
}
