{{/*
Services that `helm test` calls: variable → service, as in smokeTest.upstreams. Empty if
the test or a service that it needs is disabled, or if its token is missing.
*/}}
{{- define "microservices.smokeTargets" -}}
{{- $services := include "microservices.services" . | fromYaml -}}
{{- $complete := and .Values.smokeTest.enabled (hasKey $services .Values.smokeTest.service) -}}
{{- if and .Values.auth.issuers (not .Values.smokeTest.tokenSecret) -}}
  {{- $complete = false -}}
{{- end -}}
{{- range .Values.smokeTest.upstreams -}}
  {{- if not (hasKey $services .) }}{{ $complete = false }}{{ end -}}
{{- end -}}
{{- toYaml (ternary .Values.smokeTest.upstreams dict $complete) -}}
{{- end -}}
