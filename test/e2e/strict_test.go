//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAStrictNamespace uses a namespace with a quota that requires resources for every
// container, a policy that requires a label on every pod, and its own range of users and
// groups, like OpenShift. A parent chart installs the chart there twice, under two aliases: all
// pods of both are admitted, including those of the smoke tests and the backups.
func TestAStrictNamespace(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	policy := "require-team-" + n.name
	n.apply(fmt.Sprintf(`
apiVersion: v1
kind: ResourceQuota
metadata: {name: all}
spec: {hard: {requests.cpu: "4", requests.memory: 4Gi, limits.memory: 8Gi, persistentvolumeclaims: "20"}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  validations:
    - {expression: "has(object.metadata.labels) && 'team' in object.metadata.labels", message: every pod has a team}
    - {expression: "object.spec.securityContext.runAsUser >= 1000650000 && object.spec.securityContext.runAsUser < 1000660000", message: users of this namespace}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec:
  policyName: %[1]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[2]s}}}
`, policy, n.name))
	t.Cleanup(func() {
		_, err := n.try("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", policy)
		require.NoError(t, err)
	})
	const bare = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare}\nspec:\n  securityContext: {runAsNonRoot: true, runAsUser: 1000650000, seccompProfile: {type: RuntimeDefault}}\n" +
		"  containers: [{name: a, image: a, resources: {requests: {cpu: 1m, memory: 1Mi}, limits: {memory: 1Mi}}, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]\n"
	n.eventually("the policy is enforced", func() bool {
		out, err := run(bare, kubectl, n.in([]string{"create", "--dry-run=server", "--filename=-"})...)
		return err != nil && strings.Contains(out, "every pod has a team")
	})

	folder := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(folder, "charts", "microservices"), os.DirFS(chart)))
	values := `
  commonLabels: {team: shop}
  defaults:
    podSecurityContext: {runAsUser: 1000650000, runAsGroup: 1000650000, fsGroup: 1000650000}
    backup: {enabled: true}
  services:
`
	for service, reference := range releases[0] {
		repository, digest, _ := strings.Cut(reference, "@")
		values += fmt.Sprintf("    %s: {image: {repository: %q, digest: %q}}\n", service, repository, digest)
	}
	for file, text := range map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n  - {name: microservices, version: '*', alias: first}\n  - {name: microservices, version: '*', alias: second}\n",
		"values.yaml": "first:" + values + "second:" + values,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600))
	}
	n.helm("install", name, folder, "--wait", "--timeout", "3m")
	tested := n.smokeTest(name)
	require.Equal(t, 2, strings.Count(tested, "Phase:          Succeeded"), tested)
	for _, alias := range []string{"first", "second"} {
		job := alias + "-backup"
		n.kubectl("create", "job", job, "--from=cronjob/shop-"+alias+"-order-service-backup")
		n.kubectl("wait", "--for=condition=Complete", "job/"+job, "--timeout=2m")
	}
}
