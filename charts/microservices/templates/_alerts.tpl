{{/*
The windows of the rules, each with its length: as it is called, or with
prometheusRule.windowScale in whole seconds. Rules keep the names of the windows
that they are made for, so that what reads them need not know of the scale.
*/}}
{{- define "microservices.windows" -}}
{{- $scale := float64 .Values.prometheusRule.windowScale -}}
{{- $windows := dict "30s" 30 "2m" 120 "3m" 180 "5m" 300 "10m" 600 "15m" 900 "30m" 1800 "1h" 3600 "6h" 21600 "3d" 259200 "30d" 2592000 -}}
{{- range $window, $seconds := $windows -}}
{{ $window }}: {{ if eq $scale 1.0 }}{{ $window }}{{ else }}{{ mulf $seconds $scale | ceil | int }}s{{ end }}
{{ end -}}
{{- end -}}

{{/* A duration such as 1m30s, in seconds. */}}
{{- define "microservices.seconds" -}}
{{- $units := dict "ms" 0.001 "s" 1 "m" 60 "h" 3600 -}}
{{- $seconds := 0.0 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
  {{- $unit := regexFind "[a-z]+" . -}}
  {{- $seconds = addf $seconds (mulf (trimSuffix $unit .) (get $units $unit)) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* What may fail, as a ratio: 99.9 leaves 0.001. */}}
{{- define "microservices.errorBudget" -}}
{{- divf (subf 100 .) 100 -}}
{{- end -}}
