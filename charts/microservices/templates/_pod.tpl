{{/* The image of a service. With a digest, its own tag is there to be read: it's the
digest that is pulled. (list $ "user-service" service) */}}
{{- define "microservices.image" -}}
{{- $root := index . 0 -}}
{{- $s := index . 2 -}}
{{- $repository := $s.image.repository | default (printf "%s/%s" $root.Values.image.registry (index . 1)) -}}
{{- with ($root.Values.global | default dict).imageRegistry -}}
  {{- $repository = printf "%s/%s" . (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") -}}
{{- end -}}
{{- if $s.image.digest -}}
{{ $repository }}{{ with $s.image.tag }}:{{ . }}{{ end }}@{{ $s.image.digest }}
{{- else -}}
{{ $repository }}:{{ include "microservices.tag" . }}
{{- end -}}
{{- end -}}

{{/* The version that a pod's label tells; with a digest alone, nobody knows. */}}
{{- define "microservices.version" -}}
{{- $s := index . 2 -}}
{{- if or $s.image.tag (not $s.image.digest) }}{{ include "microservices.tag" . }}{{ end -}}
{{- end -}}

{{- define "microservices.tag" -}}
{{- $root := index . 0 -}}
{{- (index . 2).image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion -}}
{{- end -}}

{{/* The metadata of a service's pods. The smoke test has them under its own name.
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

{{/* What all pods have in common, the smoke test's included. (list $ service) */}}
{{- define "microservices.podSpec" -}}
{{- $root := index . 0 -}}
{{- $s := index . 1 -}}
automountServiceAccountToken: false
# A Service called user-service would bring USER_SERVICE_PORT=tcp://… into
# every pod of the namespace.
enableServiceLinks: false
{{- with concat ($root.Values.image.pullSecrets | default list) (($root.Values.global | default dict).imagePullSecrets | default list) }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "map" . }}{{ quote .name }}{{ else }}{{ quote . }}{{ end }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml $s.podSecurityContext | nindent 2 }}
{{- with $s.priorityClassName }}
priorityClassName: {{ quote . }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "runtimeClassName" "dnsConfig" "hostAliases" }}
{{- with get $s $field }}
{{ $field }}:{{ if kindIs "string" . }} {{ quote . }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What all containers have in common, the smoke test's included. 65532 is the user of
the images; a root that can't be written to. (list $ "user-service" service) */}}
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
# What a program that can't start says is shown by kubectl describe.
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* The variables of a container, in the pod's template itself: a pod has those that it
was made with for as long as it is there (docs/decisions/variables.md). What they
hold is never looked at for $(NAME), as Kubernetes would. (list $ "user-service" service) */}}
{{- define "microservices.env" -}}
{{- $root := index . 0 -}}
{{- $s := index . 2 -}}
{{- $limits := $root.Values.rateLimit.redis -}}
{{- $traces := $root.Values.traces -}}
{{- $environment := deepCopy $s.environment -}}
{{- $env := list -}}
{{- if $traces.endpoint -}}
  {{- /* Whose pod a span is of; what the values say of it goes along. */ -}}
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
{{- if and $traces.endpoint $traces.headersSecret }}{{ $_ := set $secrets "OTEL_EXPORTER_OTLP_HEADERS" (dict "name" $traces.headersSecret "key" $traces.headersSecretKey) }}{{ end -}}
{{- range $variable, $secret := $secrets -}}
  {{- $env = append $env (dict "name" $variable "valueFrom" (dict "secretKeyRef" $secret)) -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{/* A map of variables as a container's list: strings, and valueFrom. */}}
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

{{/* Spreads a service's pods. (list $ "user-service" service) */}}
{{- define "microservices.topologySpread" -}}
{{- $constraints := list -}}
{{- $keys := dict "host" "kubernetes.io/hostname" "zone" "topology.kubernetes.io/zone" -}}
{{- $selector := include "microservices.selector" . | fromYaml -}}
{{- range $where, $key := $keys -}}
  {{- $mode := get (index $ 2).topologySpread $where -}}
  {{- if ne $mode "off" -}}
    {{- /* Each ReplicaSet by itself: else a rolling update counts pods that are on their way out. */ -}}
    {{- /* A zone or node where the pods may not be doesn't count. */ -}}
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
{{- $constraints = concat $constraints (index . 2).topologySpreadConstraints -}}
{{- if $constraints -}}
topologySpreadConstraints:
  {{- toYaml $constraints | nindent 2 }}
{{- end -}}
{{- end -}}
