{{/* Ports of a URL, as a list: one per host, empty if it has none. Network policies can't
match host names, so they use only the ports of an address. (url)
postgres://a:6432,b/d gives [6432, 5432]. */}}
{{- define "microservices.portsOf" -}}
{{- $url := ternary . (printf "http://%s" .) (contains "://" .) -}}
{{- $default := get (dict "http" 80 "https" 443 "postgres" 5432 "postgresql" 5432) (regexFind "^[^:]*" $url | lower) -}}
{{- $ports := list -}}
{{- range regexReplaceAll "^[^:]*://([^/?#]*@)?" $url "" | regexFind "^[^/?#]*" | splitList "," -}}
  {{- $port := regexFind ":[0-9]+$" . | trimPrefix ":" | default $default -}}
  {{- if and . $port }}{{ $ports = append $ports (int $port) }}{{ end -}}
{{- end -}}
{{- toYaml $ports -}}
{{- end -}}

{{/* Whether a variable of `env` contains an address to connect to. (name) */}}
{{- define "microservices.isAddress" -}}
{{- if and (regexMatch "(?i)_(url|endpoint|proxy)$" .) (ne (upper .) "NO_PROXY") }}yes{{ end -}}
{{- end -}}

{{/* Egress rules of a service to the outside of the release: one for each setting with an
address, to any destination unless networkPolicy restricts it. (list $ service) */}}
{{- define "microservices.egressOf" -}}
{{- $root := index . 0 -}}
{{- $s := index . 1 -}}
{{- $policy := $root.Values.networkPolicy -}}
{{- $rules := list -}}
{{- if $root.Values.auth.issuers -}}
  {{- $ports := $policy.issuers.ports | default list -}}
  {{- range get $s.environment "AUTH_ISSUERS" | fromJsonArray -}}
    {{- range list .issuer .jwks -}}
      {{- with . }}{{ $ports = concat $ports (include "microservices.portsOf" . | fromYamlArray) }}{{ end -}}
    {{- end -}}
  {{- end -}}
  {{- $rules = append $rules (list $policy.issuers.to $ports) -}}
{{- end -}}
{{- if $root.Values.rateLimit.redis.existingSecret -}}
  {{- $rules = append $rules (list $policy.redis.to (list $policy.redis.port)) -}}
{{- end -}}
{{- $tracesTo := get $s.env "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" | default $root.Values.traces.endpoint -}}
{{- if $s.traced -}}
  {{- $ports := list -}}
  {{- if kindIs "string" $tracesTo }}{{ $ports = include "microservices.portsOf" $tracesTo | fromYamlArray }}{{ end -}}
  {{- with $policy.traces.port }}{{ $ports = append $ports . }}{{ end -}}
  {{- $rules = append $rules (list $policy.traces.to $ports) -}}
{{- end -}}
{{- if not $s.embedded -}}
  {{- $ports := list ($policy.database.port | default 5432) -}}
  {{- with $s.database.url -}}
    {{- $ports = include "microservices.portsOf" . | fromYamlArray -}}
    {{- with $policy.database.port }}{{ $ports = append $ports . }}{{ end -}}
  {{- end -}}
  {{- /* The port of a DSN that has none: one, or one for each of its hosts. */ -}}
  {{- with get $s.env "PGPORT" }}{{ if kindIs "string" . }}{{ range splitList "," . }}{{ $ports = append $ports (int .) }}{{ end }}{{ end }}{{ end -}}
  {{- $rules = append $rules (list $policy.database.to $ports) -}}
{{- end -}}
{{- $ports := list -}}
{{- range $variable, $value := $s.env -}}
  {{- if and (kindIs "string" $value) (include "microservices.isAddress" $variable) (ne $variable "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") -}}
    {{- $ports = concat $ports (include "microservices.portsOf" $value | fromYamlArray) -}}
  {{- end -}}
{{- end -}}
{{- $rules = append $rules (list list $ports) -}}
{{- range $rule := $rules -}}
  {{- $ports := list -}}
  {{- range index $rule 1 | uniq }}{{ $ports = append $ports (dict "port" (int .)) }}{{ end -}}
  {{- with $ports -}}
    {{- $made := dict "ports" . -}}
    {{- with index $rule 0 }}{{ $_ := set $made "to" . }}{{ end -}}
    {{- toYaml (list $made) | nindent 0 -}}
  {{- end -}}
{{- end -}}
{{- end -}}
