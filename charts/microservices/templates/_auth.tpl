{{/* AUTH_ISSUERS of a service: the issuers of the values, and the cluster for the
ServiceAccounts of its callers. (list $ services "user-service") */}}
{{- define "microservices.issuers" -}}
{{- $root := index . 0 -}}
{{- $services := index . 1 -}}
{{- $name := index . 2 -}}
{{- $s := get $services $name -}}
{{- $issuers := list -}}
{{- range $root.Values.auth.issuers -}}
  {{- $issuers = append $issuers (merge (deepCopy .) (dict "audience" $name)) -}}
{{- end -}}
{{- if and $s.callers $s.callerScopes -}}
  {{- $issuer := printf "https://kubernetes.default.svc%s" (ternary "" ".cluster.local" ($root.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
  {{- $cluster := dict "issuer" ($root.Values.auth.workloads.issuer | default $issuer) "audience" $name "profile" "kubernetes" -}}
  {{- with $root.Values.auth.workloads.jwks -}}
    {{- $_ := set $cluster "jwks" . -}}
  {{- end -}}
  {{- if include "microservices.askAPIServer" $root -}}
    {{- $_ := set $cluster "ca_file" "/var/run/secrets/identity/ca.crt" -}}
    {{- $_ := set $cluster "token_file" "/var/run/secrets/identity/kubernetes" -}}
  {{- end -}}
  {{- $grants := list -}}
  {{- range $s.callers -}}
    {{- $grants = append $grants (dict "subject" (include "microservices.subject" (list $root $services .)) "scopes" $s.callerScopes) -}}
  {{- end -}}
  {{- $issuers = append $issuers (set $cluster "grants" $grants) -}}
{{- end -}}
{{- toJson $issuers -}}
{{- end -}}

{{/* Subject of a service's own tokens: its ServiceAccount. (list $ services "order-service") */}}
{{- define "microservices.subject" -}}
{{- with index . 0 }}system:serviceaccount:{{ include "microservices.namespace" . }}:{{ end -}}
{{- (get (index . 1) (index . 2)).account -}}
{{- end -}}

{{/* Sources of a service's projected volume: a token for each service that it calls, and
a token and the CA for the API server's keys. Each token has one audience.
(list $ service) */}}
{{- define "microservices.identity" -}}
{{- $root := index . 0 -}}
{{- $s := index . 1 -}}
{{- $seconds := int $root.Values.auth.workloads.tokenSeconds -}}
{{- $sources := list -}}
{{- if $root.Values.auth.issuers -}}
  {{- range values $s.upstreamTokens | uniq | sortAlpha -}}
    {{- $sources = append $sources (dict "serviceAccountToken" (dict "audience" . "expirationSeconds" $seconds "path" .)) -}}
  {{- end -}}
  {{- if and $s.callers $s.callerScopes (include "microservices.askAPIServer" $root) -}}
    {{- $sources = append $sources (dict "serviceAccountToken" (dict "expirationSeconds" $seconds "path" "kubernetes")) -}}
    {{- $sources = append $sources (dict "configMap" (dict "name" "kube-root-ca.crt" "items" (list (dict "key" "ca.crt" "path" "ca.crt")))) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $sources -}}
{{- end -}}

{{/* Whether the cluster's keys are fetched from its API server. */}}
{{- define "microservices.askAPIServer" -}}
{{- if hasPrefix "https://kubernetes.default.svc" (.Values.auth.workloads.jwks | default "") }}yes{{ end -}}
{{- end -}}
