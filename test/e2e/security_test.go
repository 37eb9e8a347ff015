//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRootIsRefused: the namespaces of the other tests do enforce "restricted".
func TestRootIsRefused(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	container := strings.Join([]string{
		"image: " + releases[0]["user-service"],
		"args: [serve]",
		"env: [{name: DATABASE_URL, value: 'sqlite:///user.db'}]",
		"securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}",
	}, ", ")
	object := func(name, security string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec:\n  restartPolicy: Never\n" +
			"  securityContext: {" + security + "}\n  containers: [{name: main, terminationMessagePolicy: FallbackToLogsOnError, " + container + "}]\n"
	}
	t.Run("by Pod Security", func(t *testing.T) {
		out, err := n.tryApply(object("root", "runAsUser: 0, seccompProfile: {type: RuntimeDefault}"))
		require.Error(t, err)
		require.Contains(t, out, "violates PodSecurity")
		require.Contains(t, out, "runAsNonRoot")
	})
	// The pod sets runAsNonRoot but no user, so the kubelet starts it only if the image's user
	// is not root.
	t.Run("the images' user is not root", func(t *testing.T) {
		n.apply(object("unwritable", "runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}"))
		n.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/unwritable", "--timeout=1m")
	})
	t.Run("a container can't write to its root", func(t *testing.T) {
		var p pod
		n.get(&p, "pod", "unwritable")
		require.Contains(t, p.Status.ContainerStatuses[0].State.Terminated.Message, "read-only file system")
	})
}

// TestRunningPodsAreRestricted checks running pods instead of the chart: every container
// is non-root and read-only, without capabilities and without a token of the cluster.
func TestRunningPodsAreRestricted(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	n.install(installation{images: releases[0], values: n.postgresMode()})
	var list struct {
		Items []struct {
			Spec struct {
				AutomountServiceAccountToken, EnableServiceLinks *bool
				SecurityContext                                  struct{ RunAsNonRoot *bool }
				InitContainers, Containers                       []struct {
					Name            string
					SecurityContext struct {
						ReadOnlyRootFilesystem, AllowPrivilegeEscalation *bool
						Capabilities                                     struct{ Drop []string }
					}
					VolumeMounts []struct{ MountPath string }
				}
			}
		}
	}
	n.get(&list, "pods")
	require.Len(t, list.Items, 4)
	yes, no := true, false
	for _, p := range list.Items {
		require.Equal(t, &no, p.Spec.AutomountServiceAccountToken)
		require.Equal(t, &no, p.Spec.EnableServiceLinks)
		require.Equal(t, &yes, p.Spec.SecurityContext.RunAsNonRoot)
		containers := append(p.Spec.Containers, p.Spec.InitContainers...)
		require.Len(t, containers, 2)
		for _, c := range containers {
			require.Equal(t, &yes, c.SecurityContext.ReadOnlyRootFilesystem, c.Name)
			require.Equal(t, &no, c.SecurityContext.AllowPrivilegeEscalation, c.Name)
			require.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop, c.Name)
			require.Empty(t, c.VolumeMounts, "%s has a volume or a token that it doesn't need", c.Name)
		}
	}
}
