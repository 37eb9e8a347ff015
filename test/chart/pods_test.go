package chart

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// podTemplate has the fields that the tests use of the pod template of a Deployment, a Job or
// a CronJob.
type podTemplate struct {
	of       string
	Metadata struct{ Labels, Annotations map[string]string }
	Spec     map[string]any
}

// podTemplates returns all pod templates of a rendering.
func podTemplates(t *testing.T, rendering string) []podTemplate {
	t.Helper()
	var all []podTemplate
	for _, document := range documents(rendering) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     struct {
				Template    podTemplate
				JobTemplate struct {
					Spec struct{ Template podTemplate }
				} `yaml:"jobTemplate"`
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		if object.Kind == "CronJob" {
			object.Spec.Template = object.Spec.JobTemplate.Spec.Template
		}
		if object.Kind == "Deployment" || object.Kind == "Job" || object.Kind == "CronJob" {
			object.Spec.Template.of = object.Metadata.Name
			all = append(all, object.Spec.Template)
		}
	}
	return all
}

// containers returns all containers of a pod.
func (p podTemplate) containers() []map[string]any {
	var all []map[string]any
	for _, field := range []string{"initContainers", "containers"} {
		list, _ := p.Spec[field].([]any)
		for _, c := range list {
			all = append(all, c.(map[string]any))
		}
	}
	return all
}

// TestAPodSettingAppliesToAllPods: the pods of the services, the migrations and the smoke
// test.
func TestAPodSettingAppliesToAllPods(t *testing.T) {
	settings := `
database: {mode: postgres}
services:
  user-service: {database: {existingSecret: a}}
  order-service: {database: {existingSecret: b}}
image: {pullPolicy: Always, pullSecrets: [registry]}
commonLabels: {team: shop, example.com/tier: none}
defaults:
  podLabels: {example.com/tier: backend}
  podAnnotations: {example.com/note: a}
  priorityClassName: high
  schedulerName: binpack
  dnsPolicy: None
  dnsConfig: {nameservers: [10.0.0.10]}
  hostAliases: [{ip: 10.0.0.1, hostnames: [db]}]
  runtimeClassName: gvisor
  nodeSelector: {kubernetes.io/arch: arm64}
  tolerations: [{key: spot, operator: Exists}]
  affinity: {nodeAffinity: {}}
  podSecurityContext: {runAsUser: 1000, supplementalGroups: [7]}
  securityContext: {privileged: false}
  resources: {limits: {cpu: "1"}}
  env:
    PLAIN: a
    NODE: {valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  envFrom: [{secretRef: {name: more}}]
  extraVolumes: [{name: extra, configMap: {name: extra}}]
  extraVolumeMounts: [{name: extra, mountPath: /extra, readOnly: true}]
  database: {caBundle: {configMap: rds}}
networkPolicy: {enabled: false}
`
	for _, helm := range helms {
		rendering := run(t, settings, tool(t, helm), append(templateArguments(t, nil), "--values", "-")...)
		validate(t, schemas(t), rendering)
		pods := podTemplates(t, rendering)
		require.Len(t, pods, 3)
		for _, p := range pods {
			require.Subset(t, p.Metadata.Labels, map[string]string{"team": "shop", "example.com/tier": "backend"}, p.of)
			require.Contains(t, p.Metadata.Labels, "app.kubernetes.io/version", p.of)
			require.Equal(t, map[string]string{"example.com/note": "a"}, p.Metadata.Annotations, p.of)
			require.Equal(t, "high", p.Spec["priorityClassName"], p.of)
			require.Equal(t, "binpack", p.Spec["schedulerName"], p.of)
			require.Equal(t, "None", p.Spec["dnsPolicy"], p.of)
			require.Equal(t, map[string]any{"nameservers": []any{"10.0.0.10"}}, p.Spec["dnsConfig"], p.of)
			require.Len(t, p.Spec["hostAliases"], 1, p.of)
			require.Equal(t, "gvisor", p.Spec["runtimeClassName"], p.of)
			require.Equal(t, map[string]any{"kubernetes.io/arch": "arm64"}, p.Spec["nodeSelector"], p.of)
			require.Equal(t, map[string]any{"nodeAffinity": map[string]any{}}, p.Spec["affinity"], p.of)
			require.Len(t, p.Spec["tolerations"], 1, p.of)
			require.Equal(t, []any{map[string]any{"name": "registry"}}, p.Spec["imagePullSecrets"], p.of)
			require.Subset(t, p.Spec["securityContext"], map[string]any{"runAsNonRoot": true, "runAsUser": 1000, "supplementalGroups": []any{7}}, p.of)
			require.Contains(t, p.Spec["volumes"], map[string]any{"name": "extra", "configMap": map[string]any{"name": "extra"}}, p.of)
			require.Contains(t, p.Spec["volumes"], map[string]any{"name": "database-ca", "configMap": map[string]any{"name": "rds"}}, p.of)
			for _, c := range p.containers() {
				require.Equal(t, "Always", c["imagePullPolicy"], "%s %s", p.of, c["name"])
				require.Subset(t, c["securityContext"], map[string]any{"privileged": false, "readOnlyRootFilesystem": true}, "%s %s", p.of, c["name"])
				require.Contains(t, c["env"], map[string]any{"name": "PLAIN", "value": "a"}, "%s %s", p.of, c["name"])
				require.Contains(t, c["env"], map[string]any{"name": "NODE", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "spec.nodeName"}}}, "%s %s", p.of, c["name"])
				require.Equal(t, []any{map[string]any{"secretRef": map[string]any{"name": "more"}}}, c["envFrom"], "%s %s", p.of, c["name"])
				require.Subset(t, c["resources"].(map[string]any)["limits"], map[string]any{"cpu": "1", "memory": "256Mi"}, "%s %s", p.of, c["name"])
				require.Contains(t, c["volumeMounts"], map[string]any{"name": "extra", "mountPath": "/extra", "readOnly": true}, "%s %s", p.of, c["name"])
				require.Contains(t, c["volumeMounts"], map[string]any{"name": "database-ca", "mountPath": "/etc/database-ca", "readOnly": true}, "%s %s", p.of, c["name"])
				if c["name"] != "smoke" {
					require.Contains(t, c["env"], map[string]any{"name": "PGSSLROOTCERT", "value": "/etc/database-ca/ca.crt"}, "%s %s", p.of, c["name"])
				}
			}
		}
	}
}

// TestResourcesCanBeRemoved: null removes all resources of a service, or some, with either Helm.
func TestResourcesCanBeRemoved(t *testing.T) {
	requests, limits := map[string]any{"cpu": "50m", "memory": "64Mi"}, map[string]any{"memory": "256Mi"}
	for set, want := range map[string]any{
		"defaults.resources=null":                              nil,
		"services.user-service.resources=null":                 nil,
		"services.user-service.resources.limits=null":          map[string]any{"requests": requests},
		"services.user-service.resources.limits.memory=null":   map[string]any{"requests": requests},
		"services.user-service.resources.requests.cpu=null":    map[string]any{"requests": map[string]any{"memory": "64Mi"}, "limits": limits},
		"services.user-service.resources.requests.memory=32Mi": map[string]any{"requests": map[string]any{"cpu": "50m", "memory": "32Mi"}, "limits": limits},
		"services.order-service.resources=null":                map[string]any{"requests": requests, "limits": limits},
	} {
		for _, helm := range helms {
			for _, p := range podTemplates(t, run(t, "", tool(t, helm), append(templateArguments(t, nil), "--set", set)...)) {
				if p.of != "shop-user-service" {
					continue
				}
				c := p.containers()[0]
				require.Equal(t, want, c["resources"], "%s %s", helm, set)
				b, err := yaml.Marshal(c["env"])
				require.NoError(t, err)
				require.Equal(t, strings.Contains(fmt.Sprint(want), "limits"), strings.Contains(string(b), "GOMEMLIMIT"), "%s %s", helm, set)
			}
		}
	}
}

// TestAPodSettingAppliesToBackups: backup pods are otherwise like the services' pods.
func TestAPodSettingAppliesToBackups(t *testing.T) {
	arguments := templateArguments(t, []string{"testdata/backup.yaml"})
	for _, set := range []string{"defaults.podLabels.tier=backend", "commonLabels.team=shop", "defaults.priorityClassName=high", "defaults.tolerations[0].key=spot",
		"defaults.env.PLAIN=a", "defaults.extraVolumes[0].name=extra", "defaults.extraVolumeMounts[0].name=extra", "defaults.extraVolumeMounts[0].mountPath=/extra"} {
		arguments = append(arguments, "--set", set)
	}
	backups := 0
	for _, p := range podTemplates(t, run(t, "", tool(t, "helm"), arguments...)) {
		require.Subset(t, p.Metadata.Labels, map[string]string{"team": "shop", "tier": "backend"}, p.of)
		require.Equal(t, "high", p.Spec["priorityClassName"], p.of)
		require.Len(t, p.Spec["tolerations"], 1, p.of)
		for _, c := range p.containers() {
			require.Contains(t, c["env"], map[string]any{"name": "PLAIN", "value": "a"}, p.of)
			require.Contains(t, c["volumeMounts"], map[string]any{"name": "extra", "mountPath": "/extra"}, p.of)
			if c["name"] == "backup" {
				backups++
			}
		}
	}
	require.Equal(t, 2, backups)
}

// TestTheSmokeTestGetsNoPassword: the smoke test doesn't get the database's password.
func TestTheSmokeTestGetsNoPassword(t *testing.T) {
	arguments := append(templateArguments(t, []string{"testdata/postgres.yaml"}), "--set", "defaults.database.credentials.existingSecret=app")
	for _, p := range podTemplates(t, run(t, "", tool(t, "helm"), arguments...)) {
		b, err := yaml.Marshal(p.Spec)
		require.NoError(t, err)
		require.Equal(t, p.of != "shop-smoke-test", strings.Contains(string(b), "secretName: app"), p.of)
	}
}

// TestOpenShiftDiffers: on OpenShift the pods set no user, because it rejects users outside the
// namespace's range. Its tokens have another issuer.
func TestOpenShiftDiffers(t *testing.T) {
	for _, on := range []bool{true, false} {
		arguments := append(templateArguments(t, nil), "--set", "auth.issuers[0].issuer=https://id.example.com")
		issuer := `"issuer":"https://kubernetes.default.svc.cluster.local"`
		if on {
			arguments = append(arguments, "--api-versions", "security.openshift.io/v1")
			issuer = `"issuer":"https://kubernetes.default.svc"`
		}
		out := run(t, "", tool(t, "helm"), arguments...)
		require.Contains(t, out, issuer)
		for _, p := range podTemplates(t, out) {
			security := p.Spec["securityContext"].(map[string]any)
			require.Equal(t, true, security["runAsNonRoot"])
			for _, field := range []string{"runAsUser", "runAsGroup", "fsGroup"} {
				if on {
					require.NotContains(t, security, field, p.of)
				} else {
					require.Equal(t, 65532, security[field], p.of)
				}
			}
		}
	}
}
