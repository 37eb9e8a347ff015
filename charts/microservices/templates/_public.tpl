{{/*
What leaves the cluster, for the Ingress and the HTTPRoutes, as YAML: a list of

  service, fullname, port
  host      empty: any
  prefixes  the paths that are the service's there

The health of a service is on neither, nor is its port for operators.
*/}}
{{- define "microservices.public" -}}
{{- $services := include "microservices.services" . | fromYaml -}}
{{- $hosts := list -}}
{{- range $s := $services }}{{ with $s.public.host }}{{ $hosts = append $hosts . }}{{ end }}{{ end -}}
{{- $routes := list -}}
{{- range $name, $s := $services -}}
  {{- $route := dict "service" $name "fullname" $s.fullname "port" (int $s.port) -}}
  {{- if and $s.public.prefixes (or $.Values.public.host (not $hosts)) -}}
    {{- $routes = append $routes (merge (dict "host" $.Values.public.host "prefixes" $s.public.prefixes) $route) -}}
  {{- end -}}
  {{- with $s.public.host -}}
    {{- $routes = append $routes (merge (dict "host" . "prefixes" (list "/api" "/docs")) $route) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $routes -}}
{{- end -}}
