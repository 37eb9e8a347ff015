{{/* What the names of all objects begin with, and what tells the pods of this
installation from others': the release's name. In a parent chart that has this one
under an alias, or twice, with the alias. */}}
{{- define "microservices.prefix" -}}
{{- $name := .Values.nameOverride -}}
{{- if not (or $name .Chart.IsRoot (eq .Chart.Name "microservices")) }}{{ $name = .Chart.Name }}{{ end -}}
{{- .Values.fullnameOverride | default (printf "%s-%s" .Release.Name $name | trimSuffix "-") -}}
{{- end -}}

{{- define "microservices.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{/*
The name of a service's objects, and its host name in the namespace: the prefix
and the service's name. (list $ "user-service")

A label of a host name has at most 63 characters. Where the two don't fit, a hash
takes the place of the rest of the prefix, so that two releases whose names begin
alike never meet.
*/}}
{{- define "microservices.fullname" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $prefix := include "microservices.prefix" $root -}}
{{- $full := printf "%s-%s" $prefix $name -}}
{{- if gt (len $full) 63 -}}
{{- $room := sub 55 (len $name) | int -}}
{{- $full = printf "%s-%s-%s" ($prefix | trunc $room | trimSuffix "-") ($full | sha256sum | trunc 6) $name -}}
{{- end -}}
{{- $full -}}
{{- end -}}

{{/* The name of a CronJob, which has at most 52 characters. (list $ "user-service-backup") */}}
{{- define "microservices.cronName" -}}
{{- $full := include "microservices.fullname" . -}}
{{- if gt (len $full) 52 }}{{ $full = printf "%s-%s" ($full | trunc 45 | trimSuffix "-") ($full | sha256sum | trunc 6) }}{{ end -}}
{{- $full -}}
{{- end -}}

{{/* Where a service is, in the cluster's DNS. Without the cluster's own domain,
which not every cluster calls cluster.local. (list $ "user-service" port) */}}
{{- define "microservices.url" -}}
{{- $root := index . 0 -}}
{{- printf "http://%s.%s.svc:%d" (include "microservices.fullname" (list $root (index . 1))) (include "microservices.namespace" $root) (int (index . 2)) -}}
{{- end -}}

{{/* What a Deployment and a Service find pods by. A Deployment's selector can't
be changed later, so nothing that changes may be here. (list $ "user-service") */}}
{{- define "microservices.selector" -}}
app.kubernetes.io/name: {{ index . 1 | quote }}
app.kubernetes.io/instance: {{ include "microservices.prefix" (index . 0) | quote }}
{{- end -}}

{{/* What all pods of a release have in common. */}}
{{- define "microservices.releaseSelector" -}}
app.kubernetes.io/instance: {{ include "microservices.prefix" . | quote }}
app.kubernetes.io/part-of: {{ .Chart.Name }}
{{- end -}}

{{/* The labels of an object. One of its own takes the place of a common one. The chart's
version stays off the pods, which a new chart alone need not restart.
(list $ "user-service" own) */}}
{{- define "microservices.labels" -}}
{{- $root := index . 0 -}}
{{ include "microservices.selector" . }}
app.kubernetes.io/part-of: {{ $root.Chart.Name }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- $own := dict -}}
{{- if gt (len .) 2 }}{{ $own = deepCopy (index . 2) }}{{ end -}}
{{- with merge $own $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
