{{/*
Exposed routes, for the Ingress and the HTTPRoutes, as a YAML list of

  service, fullname, port
  host      empty: any
  prefixes  the service's paths on that host

Health endpoints and the admin port are never exposed.
*/}}
{{- define "microservices.public" -}}
{{- $services := include "microservices.services" . | fromYaml -}}
{{- $hosts := list -}}
{{- range $s := $services }}{{ with $s.public.host }}{{ $hosts = append $hosts . }}{{ end }}{{ end -}}
{{- $routes := list -}}
{{- range $name, $s := $services -}}
  {{- $route := dict "service" $name "fullname" $s.fullname "port" (int $s.port) -}}
  {{- if and $s.public.prefixes (or $.Values.public.host (not $hosts)) -}}
    {{- $routes = append $routes (merge (dict "host" ($.Values.public.host | default "") "prefixes" $s.public.prefixes) $route) -}}
  {{- end -}}
  {{- with $s.public.host -}}
    {{- $routes = append $routes (merge (dict "host" . "prefixes" (list "/api" "/docs")) $route) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $routes -}}
{{- end -}}
