{{/*
Which services `helm test` asks: variable → service, as in smokeTest.upstreams. Empty
when the test is off, or when a service that it needs is, or the token that it needs.
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
