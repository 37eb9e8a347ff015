{{/*
Maps each window's name to its length: 5m is "5m", or with prometheusRule.windowScale
a whole number of seconds such as "6s". Recording rules keep the window's name, so
dashboards don't depend on the scale.
*/}}
{{- define "microservices.windows" -}}
{{- $scale := float64 .Values.prometheusRule.windowScale -}}
{{- $windows := dict "30s" 30 "2m" 120 "3m" 180 "5m" 300 "10m" 600 "15m" 900 "30m" 1800 "1h" 3600 "6h" 21600 "3d" 259200 "30d" 2592000 -}}
{{- range $window, $seconds := $windows -}}
{{ $window }}: {{ if eq $scale 1.0 }}{{ $window }}{{ else }}{{ mulf $seconds $scale | ceil | int }}s{{ end }}
{{ end -}}
{{- end -}}

{{/* Converts a duration to seconds: 1m30s to 90. */}}
{{- define "microservices.seconds" -}}
{{- $units := dict "ms" 0.001 "s" 1 "m" 60 "h" 3600 -}}
{{- $seconds := 0.0 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
  {{- $unit := regexFind "[a-z]+" . -}}
  {{- $seconds = addf $seconds (mulf (trimSuffix $unit .) (get $units $unit)) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* Error budget of an objective in percent, as a ratio: 0.001 for 99.9. */}}
{{- define "microservices.errorBudget" -}}
{{- divf (subf 100 .) 100 -}}
{{- end -}}
