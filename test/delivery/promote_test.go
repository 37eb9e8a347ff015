package delivery

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/test/checkout"
)

var (
	digests  = []string{"sha256:" + strings.Repeat("1", 64), "sha256:" + strings.Repeat("2", 64)}
	promoted = "localhost:5001/user-service:v1@" + digests[0] + "\nlocalhost:5001/order-service:v1@" + digests[1] + "\n"
)

// TestPromotionIsOneCommit that has the digests, and that git revert takes back.
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
	require.Contains(t, out, "has these images already")
	require.Equal(t, "2\n", must(t, folder, "git", "rev-list", "--count", "HEAD"))

	must(t, folder, "git", "revert", "--no-edit", "HEAD")
	require.Equal(t, before, rendered(t, folder))
}

func TestWhatCantBePromotedIsRefused(t *testing.T) {
	folder := checkout.New(t, root)
	for name, c := range map[string]struct{ environment, references, says string }{
		"an unknown environment": {"test", promoted, "there are dev prod staging"},
		"no environment":         {"", promoted, "there are dev prod staging"},
		"no image":               {"dev", "", "no reference"},
		"a tag alone":            {"dev", "localhost:5001/user-service:v1\n", "is no reference with tag and digest"},
		"something else":         {"dev", promoted + "done", `"done" is no reference`},
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

// rendered is the chart with the values of dev, as Argo CD renders it.
func rendered(t *testing.T, folder string) string {
	t.Helper()
	return must(t, folder, helm(t), "template", "shop", "charts/microservices", "--kube-version", "1.34.4",
		"--values", "charts/microservices/values-dev.yaml", "--values", "charts/microservices/images-dev.yaml")
}

// helm is the path of the pinned Helm.
func helm(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(root+"/.ci/tool", "--path", "helm").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
