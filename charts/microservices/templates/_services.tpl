{{/*
All services that are enabled, as YAML: for each its block merged over `defaults`,
and what follows from it:

  fullname     the name of its objects
  url          where the other services find it
  embedded     whether its database is the embedded one
  pods         how many there are, unless
  scaled       somebody else says: an autoscaler, of the chart's or not
  environment  all plain variables
  callers      the services that call it
  account      the name of its ServiceAccount
  identity     the volume sources of its tokens, if there are any
  secret, key  where the DSN is, with PostgreSQL
  volumes      what the values mount into all containers, and
  mounts       how

Every template ranges over it, so everything has been validated wherever one looks.
*/}}
{{- define "microservices.services" -}}
{{- $services := dict -}}
{{- $embedded := eq .Values.database.mode "embedded" -}}
{{- range $name, $own := .Values.services -}}
  {{- $s := mustMergeOverwrite (deepCopy $.Values.defaults) (deepCopy ($own | default dict)) -}}
  {{- if $s.enabled -}}
    {{- range $variable, $upstream := $s.upstreams -}}
      {{- /* null takes an upstream of the chart's own values away. */ -}}
      {{- if not $upstream }}{{ $_ := unset $s.upstreams $variable }}{{ end -}}
    {{- end -}}
    {{- /* A tag may bring its digest along. What the chart was released with is of no other tag. */ -}}
    {{- $_ := set $s "tagDigest" (regexFind "sha256:.*$" $s.image.tag) -}}
    {{- $_ := set $s.image "tag" (regexReplaceAll "@.*$" $s.image.tag "") -}}
    {{- $_ := set $s.image "digest" ($s.image.digest | default $s.tagDigest) -}}
    {{- if not (or $s.image.digest $s.image.tag $.Values.image.tag) -}}
      {{- with index $.Chart.Annotations (printf "image-digest/%s" $name) -}}
        {{- $_ := set $s "image" (merge (dict "tag" $.Chart.AppVersion "digest" .) $s.image) -}}
      {{- end -}}
    {{- end -}}
    {{- $_ := set $s "fullname" (include "microservices.fullname" (list $ $name)) -}}
    {{- $_ := set $s "url" (include "microservices.url" (list $ $name $s.port)) -}}
    {{- $_ := set $s "embedded" $embedded -}}
    {{- $_ := set $s "migrateOnStart" (or $embedded (eq $s.database.migrate "onStart")) -}}
    {{- $_ := set $s "scaled" (or $s.autoscaling.enabled (kindIs "invalid" $s.replicas)) -}}
    {{- $_ := set $s "pods" (ternary 1 2 $embedded) -}}
    {{- if not (or (kindIs "invalid" $s.replicas) (eq (toString $s.replicas) "auto")) -}}
      {{- $_ := set $s "pods" (int $s.replicas) -}}
    {{- end -}}
    {{- $_ := set $s "callers" list -}}
    {{- $_ := set $s "account" ($s.serviceAccount.name | default $s.fullname) -}}
    {{- range $variable, $audience := $s.upstreamTokens -}}
      {{- if not $audience }}{{ $_ := unset $s.upstreamTokens $variable }}{{ end -}}
    {{- end -}}
    {{- $_ := set $s "secret" ($s.database.existingSecret | default (printf "%s-database" $s.fullname)) -}}
    {{- $_ := set $s "volumes" $s.extraVolumes -}}
    {{- $_ := set $s "mounts" $s.extraVolumeMounts -}}
    {{- $ca := $s.database.caBundle -}}
    {{- if or $ca.configMap $ca.secret -}}
      {{- $source := ternary (dict "configMap" (dict "name" $ca.configMap)) (dict "secret" (dict "secretName" $ca.secret)) (ne $ca.configMap "") -}}
      {{- $_ := set $s "volumes" (prepend $s.volumes (merge (dict "name" "database-ca") $source)) -}}
      {{- $_ := set $s "mounts" (prepend $s.mounts (dict "name" "database-ca" "mountPath" "/etc/database-ca" "readOnly" true)) -}}
    {{- end -}}
    {{- /* A folder, so that another password gets to the pods that are there. */ -}}
    {{- with $s.database.credentials.existingSecret -}}
      {{- $items := list (dict "key" $s.database.credentials.passwordKey "path" "password") -}}
      {{- $_ := set $s "volumes" (prepend $s.volumes (dict "name" "database-login" "secret" (dict "secretName" . "items" $items))) -}}
      {{- $_ := set $s "mounts" (prepend $s.mounts (dict "name" "database-login" "mountPath" "/var/run/secrets/database" "readOnly" true)) -}}
    {{- end -}}
    {{- $security := deepCopy $s.podSecurityContext -}}
    {{- if $embedded -}}
      {{- /* The volume is made writable for the service's group. */ -}}
      {{- $security = merge $security (dict "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch") -}}
    {{- end -}}
    {{- if $.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
      {{- /* OpenShift gives each namespace its own users and groups, and refuses others. */ -}}
      {{- range list "runAsUser" "runAsGroup" "fsGroup" -}}
        {{- if eq (get $security . | int) 65532 }}{{ $_ := unset $security . }}{{ end -}}
      {{- end -}}
    {{- end -}}
    {{- $_ := set $s "podSecurityContext" $security -}}
    {{- with $s.database.url }}{{ $_ := set $s "secret" (printf "%s-database-%s" $s.fullname (sha256sum . | trunc 10)) }}{{ end -}}
    {{- $_ := set $s "key" (ternary $s.database.existingSecretKey "DATABASE_URL" (ne $s.database.existingSecret "")) -}}
    {{- $_ := set $services $name $s -}}
  {{- end -}}
{{- end -}}
{{- include "microservices.validate" (list $ $services) -}}
{{- range $name, $s := $services -}}
  {{- range $variable, $upstream := $s.upstreams -}}
    {{- $callee := get $services $upstream -}}
    {{- $_ := set $callee "callers" (append $callee.callers $name | uniq | sortAlpha) -}}
  {{- end -}}
{{- end -}}
{{- range $name, $s := $services -}}
  {{- $_ := set $s "environment" (include "microservices.environment" (list $ $services $name) | fromYaml) -}}
  {{- $_ := set $s "identity" (include "microservices.identity" (list $ $s) | fromYamlArray) -}}
{{- end -}}
{{- toYaml $services -}}
{{- end -}}

{{/* The plain environment variables of a service. One map: two entries of one name
can't happen, which server-side apply would refuse. (list $ services "user-service") */}}
{{- define "microservices.environment" -}}
{{- $root := index . 0 -}}
{{- $services := index . 1 -}}
{{- $name := index . 2 -}}
{{- $s := get $services $name -}}
{{- $environment := dict
  "PORT" (int $s.port | toString)
  "ADMIN_PORT" (int $s.adminPort | toString)
  "SHUTDOWN_DELAY" (printf "%ds" (int $s.lifecycle.shutdownDelaySeconds))
  "DRAIN_TIMEOUT" (printf "%ds" (int $s.lifecycle.drainTimeoutSeconds))
  "MIGRATE_ON_START" (toString $s.migrateOnStart)
-}}
{{- if $s.embedded -}}
  {{- $_ := set $environment "DATABASE_URL" (printf "sqlite:///data/%s.db" $name) -}}
{{- end -}}
{{- if or $s.database.caBundle.configMap $s.database.caBundle.secret -}}
  {{- $_ := set $environment "PGSSLROOTCERT" (printf "/etc/database-ca/%s" $s.database.caBundle.key) -}}
{{- end -}}
{{- if $s.database.credentials.existingSecret -}}
  {{- $_ := set $environment "DATABASE_PASSWORD_FILE" "/var/run/secrets/database/password" -}}
{{- end -}}
{{- with dig "limits" "memory" "" ($s.resources | default dict) -}}
  {{- $_ := set $environment "GOMEMLIMIT" (include "microservices.percentOfBytes" (list . $s.memoryLimitPercent)) -}}
{{- end -}}
{{- range $variable, $upstream := $s.upstreams -}}
  {{- $_ := set $environment $variable (get $services $upstream).url -}}
{{- end -}}
{{- with $root.Values.rateLimit.read }}{{ $_ := set $environment "RATE_LIMIT_READ" . }}{{ end -}}
{{- with $root.Values.rateLimit.write }}{{ $_ := set $environment "RATE_LIMIT_WRITE" . }}{{ end -}}
{{- if $root.Values.rateLimit.redis.existingSecret -}}
  {{- $pods := ternary $s.autoscaling.maxReplicas $s.pods $s.scaled -}}
  {{- $_ := set $environment "RATE_LIMIT_REPLICAS" (max 1 $pods | toString) -}}
{{- end -}}
{{- with $root.Values.traces.endpoint -}}
  {{- $_ := set $environment "OTEL_EXPORTER_OTLP_ENDPOINT" . -}}
  {{- $_ := set $environment "OTEL_TRACES_SAMPLER_ARG" (toString $root.Values.traces.ratio) -}}
{{- end -}}
{{- with $root.Values.public.trustedProxies }}{{ $_ := set $environment "TRUSTED_PROXIES" (join "," .) }}{{ end -}}
{{- if $root.Values.auth.required -}}
  {{- $_ := set $environment "AUTH_REQUIRED" "true" -}}
{{- end -}}
{{- if $root.Values.auth.issuers -}}
  {{- $_ := set $environment "AUTH_ISSUERS" (include "microservices.issuers" .) -}}
  {{- range $variable, $audience := $s.upstreamTokens -}}
    {{- $_ := set $environment $variable (printf "/var/run/secrets/identity/%s" $audience) -}}
  {{- end -}}
{{- end -}}
{{- range $variable, $value := $s.env -}}
  {{- /* null takes a variable of defaults.env away. */ -}}
  {{- if not (kindIs "invalid" $value) }}{{ $_ := set $environment $variable $value }}{{ end -}}
{{- end -}}
{{- toYaml $environment -}}
{{- end -}}

{{/* So many percent of a quantity such as 256Mi, in bytes. (list "256Mi" 90) */}}
{{- define "microservices.percentOfBytes" -}}
{{- $quantity := index . 0 -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $unit := regexFind "[A-Za-z]*$" $quantity -}}
{{- if or (not (hasKey $units $unit)) (not (regexMatch "^[1-9]([0-9]{0,14}|[0-9]{0,11}(k|Ki)|[0-9]{0,8}Mi?|[0-9]{0,5}Gi?)$" $quantity)) -}}
  {{- fail (printf "resources.limits.memory is %q: write a whole number above 0 and k, M, G, Ki, Mi or Gi, such as 256Mi" $quantity) -}}
{{- end -}}
{{- div (mul (trimSuffix $unit $quantity | int64) (get $units $unit | int64) (index . 1 | int64)) 100 -}}
{{- end -}}
