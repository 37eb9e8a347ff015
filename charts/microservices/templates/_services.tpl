{{/*
All enabled services, as YAML: each block merged over `defaults`, with these derived fields:

  fullname     name of its objects
  url          URL for other services
  embedded     whether it uses the embedded database
  pods         number of pods, unless scaled
  traced       whether it sends traces
  scaled       whether an autoscaler, the chart's or another, sets the number of pods
  environment  all plain variables
  callers      services that call it
  account      name of its ServiceAccount
  identity     volume sources of its tokens, if any
  secret, key  Secret and key of the DSN, with PostgreSQL
  volumes      volumes from the values, for all containers
  mounts       their mounts

Every template ranges over the result, so no template sees values that were not validated.
*/}}
{{- define "microservices.services" -}}
{{- $services := dict -}}
{{- $embedded := eq .Values.database.mode "embedded" -}}
{{- $global := .Values.global | default dict -}}
{{- range $name, $own := .Values.services -}}
  {{- $s := mustMergeOverwrite (deepCopy $.Values.defaults) (deepCopy ($own | default dict)) -}}
  {{- if $s.enabled -}}
    {{- /* A variable is replaced as a whole: merged, a valueFrom could have two sources. */ -}}
    {{- range $variable, $value := ($own | default dict).env }}{{ $_ := set $s.env $variable $value }}{{ end -}}
    {{- range $variable, $upstream := $s.upstreams -}}
      {{- /* null removes an upstream that the chart's values set. */ -}}
      {{- if not $upstream }}{{ $_ := unset $s.upstreams $variable }}{{ end -}}
    {{- end -}}
    {{- /* null is like the empty string. */ -}}
    {{- $_ := set $s.image "tag" ($s.image.tag | default "") -}}
    {{- $_ := set $s.database "url" ($s.database.url | default "") -}}
    {{- /* null removes resources of the defaults. To Kubernetes it would be 0. */ -}}
    {{- $resources := dict -}}
    {{- range $kind, $amounts := $s.resources -}}
      {{- range $of, $amount := $amounts -}}
        {{- if not (kindIs "invalid" $amount) }}{{ $_ := set $resources $kind (merge (dict $of $amount) (get $resources $kind | default dict)) }}{{ end -}}
      {{- end -}}
    {{- end -}}
    {{- $_ := set $s "resources" $resources -}}
    {{- /* A tag may contain a digest. The released digest applies only to the default tag. */ -}}
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
    {{- $_ := set $s "traced" (not (empty (or $.Values.traces.endpoint (get $s.env "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")))) -}}
    {{- $_ := set $s "pods" (ternary 1 2 $embedded) -}}
    {{- if not (or (kindIs "invalid" $s.replicas) (eq (toString $s.replicas) "auto")) -}}
      {{- $_ := set $s "pods" (int $s.replicas) -}}
    {{- end -}}
    {{- $probe := merge (dict) $s.startupProbe (dict "initialDelaySeconds" 0 "periodSeconds" 10 "failureThreshold" 3) -}}
    {{- $start := add $probe.initialDelaySeconds (mul $probe.periodSeconds $probe.failureThreshold) $s.minReadySeconds -}}
    {{- $_ := set $s "progressDeadlineSeconds" ($s.progressDeadlineSeconds | default (add $start 60)) -}}
    {{- range list $s.persistence $s.backup -}}
      {{- $_ := set . "storageClass" (.storageClass | default $global.storageClass | default $global.defaultStorageClass) -}}
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
      {{- $source := ternary (dict "configMap" (dict "name" $ca.configMap)) (dict "secret" (dict "secretName" $ca.secret)) (not (empty $ca.configMap)) -}}
      {{- $_ := set $s "volumes" (prepend $s.volumes (merge (dict "name" "database-ca") $source)) -}}
      {{- $_ := set $s "mounts" (prepend $s.mounts (dict "name" "database-ca" "mountPath" "/etc/database-ca" "readOnly" true)) -}}
    {{- end -}}
    {{- /* Mounts a directory, not a subPath: only then running pods see a new password. */ -}}
    {{- with $s.database.credentials.existingSecret -}}
      {{- $items := list (dict "key" $s.database.credentials.passwordKey "path" "password") -}}
      {{- $_ := set $s "volumes" (prepend $s.volumes (dict "name" "database-login" "secret" (dict "secretName" . "items" $items))) -}}
      {{- $_ := set $s "mounts" (prepend $s.mounts (dict "name" "database-login" "mountPath" "/var/run/secrets/database" "readOnly" true)) -}}
    {{- end -}}
    {{- $security := deepCopy $s.podSecurityContext -}}
    {{- if $embedded -}}
      {{- /* fsGroup makes the volume writable for the service's group. */ -}}
      {{- range $field, $value := dict "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" -}}
        {{- if not (hasKey $security $field) }}{{ $_ := set $security $field $value }}{{ end -}}
      {{- end -}}
    {{- end -}}
    {{- if $.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
      {{- /* OpenShift assigns users and groups per namespace, and rejects others. */ -}}
      {{- range list "runAsUser" "runAsGroup" "fsGroup" -}}
        {{- if eq (get $security . | int) 65532 }}{{ $_ := unset $security . }}{{ end -}}
      {{- end -}}
    {{- end -}}
    {{- $_ := set $s "podSecurityContext" $security -}}
    {{- /* null removes an entry of the defaults. */ -}}
    {{- range $entries := list $security $s.securityContext $s.nodeSelector $s.podAnnotations $s.podLabels -}}
      {{- range $key, $value := $entries -}}
        {{- if kindIs "invalid" $value }}{{ $_ := unset $entries $key }}{{ end -}}
      {{- end -}}
    {{- end -}}
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

{{/* Plain environment variables of a service, as a map: server-side apply rejects duplicate
names. (list $ services "user-service") */}}
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
{{- with dig "limits" "memory" "" $s.resources -}}
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
{{- with $root.Values.traces.endpoint }}{{ $_ := set $environment "OTEL_EXPORTER_OTLP_ENDPOINT" . }}{{ end -}}
{{- if $s.traced -}}
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
{{- if not (kindIs "invalid" $s.eventConsumers) -}}
  {{- /* A consumer's name is bound to its ServiceAccount, if tokens are required. */ -}}
  {{- $consumers := list -}}
  {{- range $consumer := $s.eventConsumers -}}
    {{- /* A disabled service would never acknowledge. */ -}}
    {{- $disabled := and (hasKey $root.Values.services $consumer) (not (hasKey $services $consumer)) -}}
    {{- if and $root.Values.auth.issuers $s.callerScopes (has $consumer $s.callers) -}}
      {{- $consumer = printf "%s=%s" $consumer (include "microservices.subject" (list $root $services $consumer)) -}}
    {{- end -}}
    {{- if not $disabled }}{{ $consumers = append $consumers $consumer }}{{ end -}}
  {{- end -}}
  {{- /* Empty would mean the service's default. A comma names no consumer. */ -}}
  {{- $_ := set $environment "EVENTS_CONSUMERS" (join "," $consumers | default ",") -}}
{{- end -}}
{{- range $variable, $value := $s.env -}}
  {{- /* null removes a variable of defaults.env. */ -}}
  {{- if not (kindIs "invalid" $value) }}{{ $_ := set $environment $variable $value }}{{ end -}}
{{- end -}}
{{- /* A proxy doesn't reach the cluster's own addresses, such as the API server's. Go reads
NO_PROXY before no_proxy. */ -}}
{{- $direct := get $environment "NO_PROXY" | default (get $environment "no_proxy") -}}
{{- if and (regexMatch "(?i)(https?|all)_proxy" (keys $environment | join " ")) (kindIs "string" $direct) -}}
  {{- $_ := set $environment "NO_PROXY" (printf "%s,.svc,.cluster.local" $direct | trimPrefix ",") -}}
{{- end -}}
{{- toYaml $environment -}}
{{- end -}}

{{/* A quantity as a number: 50m is 0.05, 1Ki is 1024. */}}
{{- define "microservices.amount" -}}
{{- $units := dict "" 1 "m" 0.001 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[A-Za-z]*$" (toString .) -}}
{{- mulf (toString . | trimSuffix $unit | float64) (get $units $unit) -}}
{{- end -}}

{{/* A percentage of a memory quantity, in bytes. (list "256Mi" 90) */}}
{{- define "microservices.percentOfBytes" -}}
{{- $quantity := index . 0 -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $unit := regexFind "[A-Za-z]*$" $quantity -}}
{{- if or (not (hasKey $units $unit)) (not (regexMatch "^[1-9]([0-9]{0,14}|[0-9]{0,11}(k|Ki)|[0-9]{0,8}Mi?|[0-9]{0,5}Gi?)$" $quantity)) -}}
  {{- fail (printf "resources.limits.memory is %q: write a whole number above 0 and k, M, G, Ki, Mi or Gi, such as 256Mi" $quantity) -}}
{{- end -}}
{{- div (mul (trimSuffix $unit $quantity | int64) (get $units $unit | int64) (index . 1 | int64)) 100 -}}
{{- end -}}
