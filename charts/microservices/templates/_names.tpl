{{/* Prefix of all object names, and the instance label of the pods: the release name. In
a parent chart that has this one under an alias, the alias is appended. A label's value has at
most 63 characters, so a longer prefix is truncated and gets a hash. */}}
{{- define "microservices.prefix" -}}
{{- $name := .Values.nameOverride | default "" -}}
{{- if not (or $name .Chart.IsRoot (eq .Chart.Name "microservices")) }}{{ $name = .Chart.Name }}{{ end -}}
{{- $prefix := .Values.fullnameOverride | default (printf "%s-%s" .Release.Name $name | trimSuffix "-") -}}
{{- if gt (len $prefix) 63 -}}
{{- $prefix = printf "%s-%s" ($prefix | trunc 56 | trimSuffix "-") ($prefix | sha256sum | trunc 6) -}}
{{- end -}}
{{- $prefix -}}
{{- end -}}

{{- define "microservices.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{/*
Name of a service's objects, and its host name in the namespace: prefix and service
name. (list $ "user-service")

A DNS label has at most 63 characters. A longer name gets a truncated prefix and a hash
of the full name, so that two releases with similar names don't collide.
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

{{/* Name of a CronJob: at most 52 characters. (list $ "user-service-backup") */}}
{{- define "microservices.cronName" -}}
{{- $full := include "microservices.fullname" . -}}
{{- if gt (len $full) 52 }}{{ $full = printf "%s-%s" ($full | trunc 45 | trimSuffix "-") ($full | sha256sum | trunc 6) }}{{ end -}}
{{- $full -}}
{{- end -}}

{{/* URL of a service inside the cluster. It omits the cluster domain, which is not
cluster.local everywhere. (list $ "user-service" port) */}}
{{- define "microservices.url" -}}
{{- $root := index . 0 -}}
{{- printf "http://%s.%s.svc:%d" (include "microservices.fullname" (list $root (index . 1))) (include "microservices.namespace" $root) (int (index . 2)) -}}
{{- end -}}

{{/* Labels by which a Deployment and a Service select pods. A Deployment's selector is
immutable, so they must never change. (list $ "user-service") */}}
{{- define "microservices.selector" -}}
app.kubernetes.io/name: {{ index . 1 | quote }}
app.kubernetes.io/instance: {{ include "microservices.prefix" (index . 0) | quote }}
{{- end -}}

{{/* Labels that select all pods of a release. */}}
{{- define "microservices.releaseSelector" -}}
app.kubernetes.io/instance: {{ include "microservices.prefix" . | quote }}
app.kubernetes.io/part-of: {{ .Chart.Name }}
{{- end -}}

{{/* Labels of an object; its own override the common ones. Pods don't get the chart's
version, because a new chart version alone must not restart them.
(list $ "user-service" own) */}}
{{- define "microservices.labels" -}}
{{- $root := index . 0 -}}
{{ include "microservices.selector" . }}
app.kubernetes.io/part-of: {{ $root.Chart.Name }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- $own := dict -}}
{{- if gt (len .) 2 }}{{ $own = deepCopy (index . 2 | default dict) }}{{ end -}}
{{- with merge $own $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
