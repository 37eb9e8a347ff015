{{/* The image of a service. With a digest, its own tag is there to be read: it's the
digest that is pulled. (list $ "user-service" service) */}}
{{- define "microservices.image" -}}
{{- $root := index . 0 -}}
{{- $s := index . 2 -}}
{{- $repository := $s.image.repository | default (printf "%s/%s" $root.Values.image.registry (index . 1)) -}}
{{- if $s.image.digest -}}
{{ $repository }}{{ with $s.image.tag }}:{{ . }}{{ end }}@{{ $s.image.digest }}
{{- else -}}
{{ $repository }}:{{ include "microservices.tag" . }}
{{- end -}}
{{- end -}}

{{- define "microservices.tag" -}}
{{- $root := index . 0 -}}
{{- (index . 2).image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion -}}
{{- end -}}

{{/* A container's security, as Pod Security "restricted" asks for, and a root that
can't be written to. */}}
{{- define "microservices.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end -}}

{{/* A pod's security. 65532 is the user of the images. */}}
{{- define "microservices.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What the service's container and its migration share: image, environment,
limits. (list $ "user-service" service) */}}
{{- define "microservices.container" -}}
{{- $root := index . 0 -}}
{{- $s := index . 2 -}}
image: {{ include "microservices.image" . | quote }}
{{- with $root.Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
envFrom:
  - configMapRef:
      name: {{ $s.fullname }}
{{- $limits := $root.Values.rateLimit.redis }}
{{- $traces := $root.Values.traces }}
{{- $headers := and $traces.endpoint $traces.headersSecret }}
{{- if or (not $s.embedded) $limits.existingSecret $traces.endpoint }}
env:
  {{- if $traces.endpoint }}
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  {{- /* Whose pod a span is of; what the values say of it goes along. */}}
  - name: OTEL_RESOURCE_ATTRIBUTES
    value: {{ printf "k8s.namespace.name=%s,k8s.pod.name=$(POD_NAME),service.instance.id=$(POD_NAME)%s" $root.Release.Namespace (get $s.environment "OTEL_RESOURCE_ATTRIBUTES" | default "" | printf ",%s" | trimSuffix ",") | quote }}
  {{- end }}
  {{- if not $s.embedded }}
  - name: DATABASE_URL
    valueFrom:
      secretKeyRef:
        name: {{ quote $s.secret }}
        key: {{ quote $s.key }}
  {{- end }}
  {{- with $limits.existingSecret }}
  - name: RATE_LIMIT_REDIS_URL
    valueFrom:
      secretKeyRef:
        name: {{ quote . }}
        key: {{ quote $limits.existingSecretKey }}
  {{- end }}
  {{- if $headers }}
  - name: OTEL_EXPORTER_OTLP_HEADERS
    valueFrom:
      secretKeyRef:
        name: {{ quote $traces.headersSecret }}
        key: {{ quote $traces.headersSecretKey }}
  {{- end }}
{{- end }}
{{- with $s.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "microservices.containerSecurity" . | nindent 2 }}
# What a program that can't start says is shown by kubectl describe.
terminationMessagePolicy: FallbackToLogsOnError
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
    {{- $constraints = append $constraints (dict
      "maxSkew" 1
      "topologyKey" $key
      "whenUnsatisfiable" $mode
      "labelSelector" (dict "matchLabels" $selector)
      "matchLabelKeys" (list "pod-template-hash")
    ) -}}
  {{- end -}}
{{- end -}}
{{- if $constraints -}}
topologySpreadConstraints:
  {{- toYaml $constraints | nindent 2 }}
{{- end -}}
{{- end -}}
