{{/* Image reference of a service. If it has a digest, the tag is informational: Kubernetes
pulls the digest. (list $ "user-service" service) */}}
{{- define "microservices.image" -}}
{{- $root := index . 0 -}}
{{- $s := index . 2 -}}
{{- $repository := $s.image.repository | default (printf "%s/%s" $root.Values.image.registry (index . 1)) -}}
{{- with ($root.Values.global | default dict).imageRegistry -}}
  {{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") -}}
{{- end -}}
{{- if $s.image.digest -}}
{{ $repository }}{{ with $s.image.tag }}:{{ . }}{{ end }}@{{ $s.image.digest }}
{{- else -}}
{{ $repository }}:{{ include "microservices.tag" . }}
{{- end -}}
{{- end -}}

{{/* Version for a pod's label; empty if only a digest is set. */}}
{{- define "microservices.version" -}}
{{- $s := index . 2 -}}
{{- if or $s.image.tag (not $s.image.digest) }}{{ include "microservices.tag" . }}{{ end -}}
{{- end -}}

{{- define "microservices.tag" -}}
{{- $root := index . 0 -}}
{{- (index . 2).image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion -}}
{{- end -}}

{{/* Metadata of a service's pods, and of the smoke test under its own name.
(list $ "user-service" service) */}}
{{- define "microservices.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $s := index . 2 -}}
labels:
  {{- include "microservices.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: {{ $root.Chart.Name }}
  {{- with include "microservices.version" . }}
  app.kubernetes.io/version: {{ . | trunc 63 | trimAll "-_." | quote }}
  {{- end }}
  {{- with merge (deepCopy $s.podLabels) $root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $s.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Fields common to all pods, including the smoke test. (list $ service) */}}
{{- define "microservices.podSpec" -}}
{{- $root := index . 0 -}}
{{- $s := index . 1 -}}
serviceAccountName: {{ quote $s.account }}
automountServiceAccountToken: false
# With service links, a Service named user-service would set
# USER_SERVICE_PORT=tcp://… in every pod of the namespace.
enableServiceLinks: false
{{- /* Each once: server-side apply rejects duplicates. */}}
{{- $pullSecrets := list }}
{{- range concat ($root.Values.image.pullSecrets | default list) (($root.Values.global | default dict).imagePullSecrets | default list) }}
{{- if kindIs "map" . }}{{ $pullSecrets = append $pullSecrets .name }}{{ else }}{{ $pullSecrets = append $pullSecrets . }}{{ end }}
{{- end }}
{{- with uniq $pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ quote . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml $s.podSecurityContext | nindent 2 }}
{{- with $s.priorityClassName }}
priorityClassName: {{ quote . }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "schedulerName" "runtimeClassName" "dnsPolicy" "dnsConfig" "hostAliases" }}
{{- with get $s $field }}
{{ $field }}:{{ if kindIs "string" . }} {{ quote . }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Fields common to all containers, including the smoke test.
(list $ "user-service" service) */}}
{{- define "microservices.container" -}}
{{- $root := index . 0 -}}
{{- $s := index . 2 -}}
image: {{ include "microservices.image" . | quote }}
{{- with $root.Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with $s.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $s.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $s.securityContext | nindent 2 }}
# kubectl describe then shows why a program failed to start.
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* Environment of a container, in the pod template: a pod keeps the variables of its own
release (docs/decisions/variables.md). "$" is escaped, so that Kubernetes doesn't expand
$(NAME) in values. (list $ "user-service" service) */}}
{{- define "microservices.env" -}}
{{- $root := index . 0 -}}
{{- $s := index . 2 -}}
{{- $limits := $root.Values.rateLimit.redis -}}
{{- $traces := $root.Values.traces -}}
{{- $environment := deepCopy $s.environment -}}
{{- $env := list -}}
{{- if $s.traced -}}
  {{- /* Identifies a span's pod; attributes from the values are appended. */ -}}
  {{- $said := get $environment "OTEL_RESOURCE_ATTRIBUTES" | default "" | printf ",%s" | trimSuffix "," | replace "$" "$$" -}}
  {{- $_ := unset $environment "OTEL_RESOURCE_ATTRIBUTES" -}}
  {{- $env = append $env (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name"))) -}}
  {{- $env = append $env (dict "name" "OTEL_RESOURCE_ATTRIBUTES" "value" (printf "k8s.namespace.name=%s,k8s.pod.name=$(POD_NAME),service.instance.id=$(POD_NAME)%s" (include "microservices.namespace" $root) $said)) -}}
{{- end -}}
{{- $env = concat $env (include "microservices.envOf" $environment | fromYamlArray) -}}
{{- $secrets := dict -}}
{{- if not $s.embedded }}{{ $_ := set $secrets "DATABASE_URL" (dict "name" $s.secret "key" $s.key) }}{{ end -}}
{{- with $s.database.credentials -}}
  {{- if and .existingSecret .usernameKey }}{{ $_ := set $secrets "DATABASE_USER" (dict "name" .existingSecret "key" .usernameKey) }}{{ end -}}
{{- end -}}
{{- with $limits.existingSecret }}{{ $_ := set $secrets "RATE_LIMIT_REDIS_URL" (dict "name" . "key" $limits.existingSecretKey) }}{{ end -}}
{{- if and $s.traced $traces.headersSecret }}{{ $_ := set $secrets "OTEL_EXPORTER_OTLP_HEADERS" (dict "name" $traces.headersSecret "key" $traces.headersSecretKey) }}{{ end -}}
{{- range $variable, $secret := $secrets -}}
  {{- $env = append $env (dict "name" $variable "valueFrom" (dict "secretKeyRef" $secret)) -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{/* Converts a map of variables, strings or valueFrom, to a container's env list. */}}
{{- define "microservices.envOf" -}}
{{- $env := list -}}
{{- range $variable, $value := . -}}
  {{- if kindIs "map" $value -}}
    {{- $env = append $env (merge (dict "name" $variable) $value) -}}
  {{- else -}}
    {{- $env = append $env (dict "name" $variable "value" (replace "$" "$$" $value)) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{/* Topology spread constraints of a service's pods. (list $ "user-service" service) */}}
{{- define "microservices.topologySpread" -}}
{{- $constraints := list -}}
{{- $taken := list -}}
{{- range (index . 2).topologySpreadConstraints -}}
  {{- $taken = append $taken (printf "%s %s" .topologyKey .whenUnsatisfiable) -}}
{{- end -}}
{{- $keys := dict "host" "kubernetes.io/hostname" "zone" "topology.kubernetes.io/zone" -}}
{{- $selector := include "microservices.selector" . | fromYaml -}}
{{- range $where, $key := $keys -}}
  {{- $mode := get (index $ 2).topologySpread $where -}}
  {{- /* Kubernetes rejects two constraints of one key and mode. */ -}}
  {{- if and (ne $mode "off") (not (has (printf "%s %s" $key $mode) $taken)) -}}
    {{- /* matchLabelKeys: each ReplicaSet separately, so a rolling update ignores old pods. */ -}}
    {{- /* nodeTaintsPolicy: ignores nodes where the pods may not run. */ -}}
    {{- $constraint := dict
      "maxSkew" 1
      "nodeTaintsPolicy" "Honor"
      "topologyKey" $key
      "whenUnsatisfiable" $mode
      "labelSelector" (dict "matchLabels" $selector)
      "matchLabelKeys" (list "pod-template-hash")
    -}}
    {{- if and (eq $where "zone") (index $ 2).topologySpread.minZones -}}
      {{- $_ := set $constraint "minDomains" (int (index $ 2).topologySpread.minZones) -}}
    {{- end -}}
    {{- $constraints = append $constraints $constraint -}}
  {{- end -}}
{{- end -}}
{{- range (index . 2).topologySpreadConstraints -}}
  {{- /* Without a selector a constraint would count no pods. */ -}}
  {{- $constraints = append $constraints (merge (deepCopy .) (ternary dict (dict "labelSelector" (dict "matchLabels" $selector)) (hasKey . "labelSelector"))) -}}
{{- end -}}
{{- if $constraints -}}
topologySpreadConstraints:
  {{- toYaml $constraints | nindent 2 }}
{{- end -}}
{{- end -}}
