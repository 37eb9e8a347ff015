{{/*
Checks what the schema can't express: values that contradict each other. Reports all
problems at once, each with its fix. (list $ services)
*/}}
{{- define "microservices.validate" -}}
{{- $root := index . 0 -}}
{{- $services := index . 1 -}}
{{- $problems := list -}}
{{- $reserved := dict
  "PORT" "port"
  "ADMIN_PORT" "adminPort"
  "SHUTDOWN_DELAY" "lifecycle.shutdownDelaySeconds"
  "DRAIN_TIMEOUT" "lifecycle.drainTimeoutSeconds"
  "GOMEMLIMIT" "resources.limits.memory and memoryLimitPercent"
  "DATABASE_URL" "database"
  "MIGRATE_ON_START" "the value database.mode"
  "AUTH_ISSUERS" "the value auth.issuers"
  "RATE_LIMIT_READ" "the value rateLimit.read"
  "RATE_LIMIT_WRITE" "the value rateLimit.write"
  "RATE_LIMIT_REPLICAS" "the value rateLimit.redis"
  "RATE_LIMIT_REDIS_URL" "the value rateLimit.redis"
  "TRUSTED_PROXIES" "the value public.trustedProxies"
  "AUTH_REQUIRED" "the value auth.required"
  "OTEL_EXPORTER_OTLP_ENDPOINT" "the value traces.endpoint"
  "OTEL_EXPORTER_OTLP_HEADERS" "the value traces.headersSecret"
  "OTEL_TRACES_SAMPLER_ARG" "the value traces.ratio"
-}}
{{- $seen := dict -}}
{{- $accounts := dict -}}
{{- if eq (toString $root.Values.enabled) "false" -}}
  {{- $problems = append $problems "enabled is false, which removes nothing by itself: it works only in a parent chart whose dependency on this one has condition: microservices.enabled" -}}
{{- end -}}
{{- if not $services -}}
  {{- $problems = append $problems "no service is enabled: leave at least one of services.*.enabled on" -}}
{{- end -}}
{{- range $name, $s := $services -}}
  {{- $at := printf "services.%s" $name -}}

  {{- if and $s.image.digest $root.Values.image.tag (not $s.image.tag) -}}
    {{- $problems = append $problems (printf "%s.image.digest is set, so image.tag=%s would have no effect: set %s.image.tag to the digest's tag, or remove the digest" $at $root.Values.image.tag $at) -}}
  {{- end -}}
  {{- if and $s.tagDigest $s.image.digest (ne $s.tagDigest $s.image.digest) -}}
    {{- $problems = append $problems (printf "%s.image: tag and digest contain different digests; remove digest" $at) -}}
  {{- end -}}
  {{- /* Each setting has one place. */ -}}
  {{- range $variable, $_ := $s.env -}}
    {{- if hasKey $reserved $variable -}}
      {{- $problems = append $problems (printf "%s.env.%s: the chart sets this variable itself; use %s" $at $variable (get $reserved $variable)) -}}
    {{- end -}}
    {{- if hasKey $s.upstreams $variable -}}
      {{- $problems = append $problems (printf "%s.env.%s is also in %s.upstreams: for a service outside of the release set %s.upstreams.%s to null" $at $variable $at $at $variable) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $s.traced (hasKey $s.env "POD_NAME") -}}
    {{- $problems = append $problems (printf "%s.env.POD_NAME: the chart sets this variable itself, for its traces; remove it" $at) -}}
  {{- end -}}
  {{- if and $s.traced (kindIs "map" (get $s.env "OTEL_RESOURCE_ATTRIBUTES")) -}}
    {{- $problems = append $problems (printf "%s.env.OTEL_RESOURCE_ATTRIBUTES: write a string, because the chart adds attributes to it" $at) -}}
  {{- end -}}
  {{- if eq (int $s.port) (int $s.adminPort) -}}
    {{- $problems = append $problems (printf "%s: port and adminPort are both %d; set %s.adminPort to another" $at (int $s.port) $at) -}}
  {{- end -}}
  {{- if and $s.autoscaling.enabled (not (kindIs "invalid" $s.replicas)) (ne (toString $s.replicas) "auto") -}}
    {{- $problems = append $problems (printf "%s: replicas and autoscaling.enabled are both set; use autoscaling.minReplicas" $at) -}}
  {{- end -}}
  {{- if gt (int $s.autoscaling.minReplicas) (int $s.autoscaling.maxReplicas) -}}
    {{- $problems = append $problems (printf "%s.autoscaling: minReplicas is more than maxReplicas" $at) -}}
  {{- end -}}
  {{- if and (not (kindIs "invalid" $s.pdb.maxUnavailable)) (not (kindIs "invalid" $s.pdb.minAvailable)) -}}
    {{- $problems = append $problems (printf "%s.pdb: set maxUnavailable or minAvailable, not both" $at) -}}
  {{- end -}}
  {{- /* Nodes must be drainable. If something else scales the pods, assume that there are enough. */ -}}
  {{- $fewest := ternary $s.autoscaling.minReplicas (ternary 1000 $s.pods $s.scaled) $s.autoscaling.enabled | int -}}
  {{- if and $s.pdb.enabled (gt $fewest 0) -}}
    {{- if has (toString $s.pdb.maxUnavailable) (list "0" "0%") -}}
      {{- $problems = append $problems (printf "%s.pdb.maxUnavailable is %v, so nodes with these pods could never be drained: set it to 1 or more" $at $s.pdb.maxUnavailable) -}}
    {{- end -}}
    {{- if not (kindIs "invalid" $s.pdb.minAvailable) -}}
      {{- $stay := toString $s.pdb.minAvailable -}}
      {{- if hasSuffix "%" $stay -}}
        {{- $stay = div (add (mul (trimSuffix "%" $stay | int) $fewest) 99) 100 -}}
      {{- end -}}
      {{- if ge (int $stay) $fewest -}}
        {{- $problems = append $problems (printf "%s.pdb.minAvailable is %v, and the number of pods may be only %d, so nodes with these pods could never be drained: use maxUnavailable: 1" $at $s.pdb.minAvailable $fewest) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if and (not $s.embedded) (has (toString $s.rollingUpdate.maxUnavailable) (list "0" "0%")) (has (toString $s.rollingUpdate.maxSurge) (list "0" "0%")) -}}
    {{- $problems = append $problems (printf "%s.rollingUpdate: maxUnavailable and maxSurge are both 0, so no pod could ever be replaced; set maxSurge to 1" $at) -}}
  {{- end -}}
  {{- if and $s.autoscaling.enabled (not (or $s.autoscaling.targetCPUUtilizationPercentage $s.autoscaling.metrics)) -}}
    {{- $problems = append $problems (printf "%s.autoscaling has nothing to scale by: set targetCPUUtilizationPercentage or metrics" $at) -}}
  {{- end -}}
  {{- if and $s.autoscaling.enabled $s.autoscaling.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" $s.resources)) -}}
    {{- $problems = append $problems (printf "%s.autoscaling needs a CPU request, because its target is a percentage of it: set %s.resources.requests.cpu" $at $at) -}}
  {{- end -}}
  {{- range $of, $request := $s.resources.requests -}}
    {{- $limit := get ($s.resources.limits | default dict) $of | default 0 -}}
    {{- $most := include "microservices.amount" $limit | float64 -}}
    {{- if and $most (gt (include "microservices.amount" $request | float64) $most) -}}
      {{- $problems = append $problems (printf "%s.resources.requests.%s is %v, and its limit is %v: lower the request to at most the limit" $at $of $request $limit) -}}
    {{- end -}}
  {{- end -}}
  {{- /* What the chart adds, and then each entry of the values: Kubernetes rejects a name or a
  path twice. $s.volumes and $s.mounts begin with the chart's own. */ -}}
  {{- $volumes := ternary (list "data" "tmp") list $s.embedded -}}
  {{- $paths := ternary (list "/data" "/tmp") list $s.embedded -}}
  {{- $containers := list $name -}}
  {{- if $s.backup.enabled }}{{ $volumes = append $volumes "backup" }}{{ $paths = append $paths "/backup" }}{{ end -}}
  {{- if $root.Values.auth.issuers }}{{ $volumes = append $volumes "identity" }}{{ $paths = append $paths "/var/run/secrets/identity" }}{{ end -}}
  {{- if $root.Values.smokeTest.tokenSecret }}{{ $volumes = append $volumes "token" }}{{ $paths = append $paths "/var/run/secrets/smoke" }}{{ end -}}
  {{- if not $s.migrateOnStart }}{{ $containers = append $containers "migrate" }}{{ end -}}
  {{- $entries := list -}}
  {{- range $s.volumes }}{{ $entries = append $entries (list "extraVolumes" "volume" .name) }}{{ end -}}
  {{- range $s.mounts }}{{ $entries = append $entries (list "extraVolumeMounts" "path" (.mountPath | default "" | trimSuffix "/")) }}{{ end -}}
  {{- range $s.extraInitContainers }}{{ $entries = append $entries (list "extraInitContainers" "container" .name) }}{{ end -}}
  {{- range $s.extraContainers }}{{ $entries = append $entries (list "extraContainers" "container" .name) }}{{ end -}}
  {{- $taken := dict "volume" $volumes "path" $paths "container" $containers -}}
  {{- range $entry := $entries -}}
    {{- $kind := index $entry 1 -}}
    {{- if has (last $entry) (get $taken $kind) -}}
      {{- $problems = append $problems (printf "%s.%s: the chart or another entry already has the %s %v; choose another one" $at (first $entry) $kind (last $entry)) -}}
    {{- end -}}
    {{- $_ := set $taken $kind (append (get $taken $kind) (last $entry)) -}}
  {{- end -}}
  {{- $extra := list -}}
  {{- range $s.extraVolumes }}{{ $extra = append $extra .name }}{{ end -}}
  {{- range $s.extraVolumeMounts -}}
    {{- if not (has .name $extra) -}}
      {{- $problems = append $problems (printf "%s.extraVolumeMounts: extraVolumes has no volume %s" $at .name) -}}
    {{- end -}}
  {{- end -}}
  {{- if ge (int $s.minReadySeconds) (int $s.progressDeadlineSeconds) -}}
    {{- $problems = append $problems (printf "%s.minReadySeconds is %d: make progressDeadlineSeconds (%d) longer" $at (int $s.minReadySeconds) (int $s.progressDeadlineSeconds)) -}}
  {{- end -}}
  {{- if and (eq ($s.dnsPolicy | default "") "None") (not ($s.dnsConfig | default dict).nameservers) -}}
    {{- $problems = append $problems (printf "%s.dnsPolicy is None, so dnsConfig.nameservers must name a server" $at) -}}
  {{- end -}}
  {{- if and $s.topologySpread.minZones (ne $s.topologySpread.zone "DoNotSchedule") -}}
    {{- $problems = append $problems (printf "%s.topologySpread.minZones has an effect only with zone: DoNotSchedule" $at) -}}
  {{- end -}}
  {{- range $s.topologySpreadConstraints -}}
    {{- if and $s.topologySpread.minZones (eq .topologyKey "topology.kubernetes.io/zone") (eq .whenUnsatisfiable "DoNotSchedule") -}}
      {{- $problems = append $problems (printf "%s.topologySpread.minZones has no effect, because an entry of topologySpreadConstraints replaces the chart's: set minDomains there, and minZones to null" $at) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $s.embedded $s.persistence.enabled (eq $s.persistence.accessMode "ReadWriteMany") (not $s.persistence.existingClaim) -}}
    {{- $problems = append $problems (printf "%s.persistence.accessMode: SQLite loses data on volumes that several nodes write to; set ReadWriteOnce or ReadWriteOncePod. To keep using the existing claim until the data is moved, set persistence.existingClaim=%s-data" $at $s.fullname) -}}
  {{- end -}}
  {{- if and $s.embedded $s.persistence.existingClaim (not $s.persistence.enabled) -}}
    {{- $problems = append $problems (printf "%s.persistence.existingClaim is set, but persistence.enabled is false, so the data would be lost with the pod: remove one of them" $at) -}}
  {{- end -}}
  {{- $policy := $root.Values.networkPolicy -}}
  {{- if and $root.Values.serviceMonitor.enabled $policy.enabled (not (or $policy.monitoringFrom $policy.ambientMesh $s.networkPolicy.extraIngress)) -}}
    {{- $problems = append $problems (printf "serviceMonitor.enabled is set, but the network policy of %s admits no Prometheus: name it in networkPolicy.monitoringFrom" $at) -}}
  {{- end -}}
  {{- if and (not $s.serviceAccount.create) (not $s.serviceAccount.name) -}}
    {{- $problems = append $problems (printf "%s.serviceAccount: create is false, so name must be that of an existing ServiceAccount" $at) -}}
  {{- end -}}

  {{- if $s.serviceAccount.create -}}
    {{- if hasKey $accounts $s.account -}}
      {{- $problems = append $problems (printf "%s.serviceAccount: %s also creates %s: give each its own name, or set create to false for one of them" $at (get $accounts $s.account) $s.account) -}}
    {{- end -}}
    {{- $_ := set $accounts $s.account $name -}}
  {{- end -}}
  {{- /* Names of policies, the smoke test and dashboards. */ -}}
  {{- if or (has $name (list "default-deny" "smoke-test")) (hasPrefix "dashboard-" $name) -}}
    {{- $problems = append $problems (printf "%s: the chart's own objects use this name; choose another one for the service" $at) -}}
  {{- end -}}

  {{- /* Upstreams must be services of this release. */ -}}
  {{- range $variable, $upstream := $s.upstreams -}}
    {{- if not (hasKey $services $upstream) -}}
      {{- $problems = append $problems (printf "%s.upstreams.%s: %q is not an enabled service; choose from %s" $at $variable $upstream (keys $services | sortAlpha | join ", ")) -}}
    {{- end -}}
  {{- end -}}

  {{- range $variable, $_ := $s.upstreamTokens -}}
    {{- if hasKey $s.env $variable -}}
      {{- $problems = append $problems (printf "%s.env.%s is also in %s.upstreamTokens: set %s.upstreamTokens.%s to null" $at $variable $at $at $variable) -}}
    {{- end -}}
  {{- end -}}

  {{- /* The database. */ -}}
  {{- if or $s.database.caBundle.configMap $s.database.caBundle.secret -}}
    {{- if $s.embedded -}}
      {{- $problems = append $problems (printf "%s.database.caBundle is set, but database.mode is embedded: set database.mode=postgres" $at) -}}
    {{- end -}}
    {{- if and $s.database.caBundle.configMap $s.database.caBundle.secret -}}
      {{- $problems = append $problems (printf "%s.database.caBundle: set configMap or secret, not both" $at) -}}
    {{- end -}}
    {{- if hasKey $s.env "PGSSLROOTCERT" -}}
      {{- $problems = append $problems (printf "%s.env.PGSSLROOTCERT: the chart sets this variable itself; use database.caBundle" $at) -}}
    {{- end -}}
  {{- end -}}
  {{- with $s.database.credentials.existingSecret -}}
    {{- if $s.embedded -}}
      {{- $problems = append $problems (printf "%s.database.credentials is set, but database.mode is embedded: set database.mode=postgres" $at) -}}
    {{- end -}}
    {{- range $variable := list "DATABASE_USER" "DATABASE_PASSWORD" "DATABASE_PASSWORD_FILE" -}}
      {{- if hasKey $s.env $variable -}}
        {{- $problems = append $problems (printf "%s.env.%s: database.credentials also sets this; remove one of them" $at $variable) -}}
      {{- end -}}
    {{- end -}}
    {{- if regexMatch "://[^/?]*:[^/?]*@" $s.database.url -}}
      {{- $problems = append $problems (printf "%s.database.url has a password, and so has database.credentials: remove it from the URL" $at) -}}
    {{- else if and $s.database.credentials.usernameKey (regexMatch "://[^/?]+@" $s.database.url) -}}
      {{- $problems = append $problems (printf "%s.database.url has a user, and so has database.credentials: remove it from the URL, or set usernameKey to \"\"" $at) -}}
    {{- end -}}
  {{- end -}}
  {{- if $s.backup.enabled -}}
    {{- if not $s.embedded -}}
      {{- $problems = append $problems (printf "%s.backup supports only the embedded database: for PostgreSQL use its provider's snapshots, or pg_dump" $at) -}}
    {{- else if not $s.persistence.enabled -}}
      {{- $problems = append $problems (printf "%s.backup needs persistence.enabled: without a volume only the service's own pod can read its database" $at) -}}
    {{- else if eq $s.persistence.accessMode "ReadWriteOncePod" -}}
      {{- $problems = append $problems (printf "%s.backup: only one pod can mount a ReadWriteOncePod volume; set persistence.accessMode to ReadWriteOnce" $at) -}}
    {{- end -}}
    {{- if hasKey $services (printf "%s-backup" $name) -}}
      {{- $problems = append $problems (printf "services.%s-backup: %s.backup creates objects with this name; choose another one for the service" $name $at) -}}
    {{- end -}}
  {{- end -}}
  {{- /* Not in the schema, whose error would print the password. */ -}}
  {{- if and $s.database.url (not (regexMatch "^postgres(ql)?://.*$" $s.database.url)) -}}
    {{- $problems = append $problems (printf "%s.database.url must begin with postgres:// and be a single line" $at) -}}
  {{- end -}}
  {{- with get $s.env "PGPORT" -}}
    {{- if kindIs "string" . -}}
      {{- $valid := true -}}
      {{- range splitList "," . -}}
        {{- if or (not (regexMatch "^[1-9][0-9]{0,4}$" .)) (gt (int .) 65535) }}{{ $valid = false }}{{ end -}}
      {{- end -}}
      {{- if not $valid -}}
        {{- $problems = append $problems (printf "%s.env.PGPORT is %q: write a port, such as 5432" $at .) -}}
      {{- end -}}
    {{- else if and $root.Values.networkPolicy.enabled (not (or $s.embedded $root.Values.networkPolicy.database.port $s.networkPolicy.extraEgress)) -}}
      {{- $problems = append $problems (printf "%s.env.PGPORT: the network policy can't derive a port: set networkPolicy.database.port to it, or write the port here" $at) -}}
    {{- end -}}
  {{- end -}}
  {{- if $root.Values.networkPolicy.enabled -}}
    {{- if and $s.database.url (or (regexMatch "[?&](host|hostaddr|port)=" $s.database.url) (not (include "microservices.portsOf" $s.database.url | fromYamlArray))) -}}
      {{- $problems = append $problems (printf "%s.database.url: write host and port before the path, as in postgres://user@host:6432/database: the network policy allows that port" $at) -}}
    {{- end -}}
    {{- range $variable, $value := $s.env -}}
      {{- if and $value (include "microservices.isAddress" $variable) (not $s.networkPolicy.extraEgress) -}}
        {{- if not (and (kindIs "string" $value) (include "microservices.portsOf" $value | fromYamlArray)) -}}
          {{- $problems = append $problems (printf "%s.env.%s: the network policy can't derive a port: write scheme://host:port, or allow it with %s.networkPolicy.extraEgress" $at $variable $at) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $ways := list -}}
  {{- if $s.database.url }}{{ $ways = append $ways "url" }}{{ end -}}
  {{- if $s.database.existingSecret }}{{ $ways = append $ways "existingSecret" }}{{ end -}}
  {{- if $s.database.externalSecret.key }}{{ $ways = append $ways "externalSecret.key" }}{{ end -}}
  {{- if $s.embedded -}}
    {{- if $ways -}}
      {{- $problems = append $problems (printf "%s.database.%s is set, but database.mode is embedded: set database.mode=postgres" $at (first $ways)) -}}
    {{- end -}}
    {{- if gt (int $s.pods) 1 -}}
      {{- $problems = append $problems (printf "%s.replicas: the embedded database supports only one pod; set database.mode=postgres for more" $at) -}}
    {{- end -}}
    {{- if $s.autoscaling.enabled -}}
      {{- $problems = append $problems (printf "%s.autoscaling: the embedded database supports only one pod; set database.mode=postgres for more" $at) -}}
    {{- end -}}
  {{- else -}}
    {{- if not $ways -}}
      {{- $problems = append $problems (printf "%s.database: database.mode is postgres, so it needs existingSecret (a Secret with the DSN under the key %s), externalSecret.key or url" $at $s.database.existingSecretKey) -}}
    {{- else if gt (len $ways) 1 -}}
      {{- $problems = append $problems (printf "%s.database: set only one of %s" $at (join " and " $ways)) -}}
    {{- end -}}
    {{- /* Services must not share a database: each has its own role, data and load. */ -}}
    {{- $where := $s.database.url -}}
    {{- if $s.database.existingSecret }}{{ $where = printf "%s %s" $s.database.existingSecret $s.database.existingSecretKey }}{{ end -}}
    {{- with $s.database.externalSecret.key }}{{ $where = printf "%s %s" . $s.database.externalSecret.property }}{{ end -}}
    {{- if and $where (hasKey $seen $where) -}}
      {{- $problems = append $problems (printf "%s.database is also used by %s: each service needs its own database" $at (get $seen $where)) -}}
    {{- end -}}
    {{- $_ := set $seen $where $name -}}
    {{- if and $s.database.externalSecret.key (not $root.Values.externalSecrets.storeName) -}}
      {{- $problems = append $problems (printf "%s.database.externalSecret.key is set: externalSecrets.storeName must name the store" $at) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- /* The service refuses bits beyond the prefix. (IPv6 is left to it.) */ -}}
{{- range $network := $root.Values.public.trustedProxies -}}
  {{- $numbers := regexSplit "[./]" $network -1 -}}
  {{- if not (contains ":" $network) -}}
    {{- $address := 0 -}}
    {{- range slice $numbers 0 4 }}{{ $address = add (mul $address 256) (int .) }}{{ end -}}
    {{- $size := 1 -}}
    {{- range until (sub 32 (last $numbers | int) | int) }}{{ $size = mul $size 2 }}{{ end -}}
    {{- if mod $address $size -}}
      {{- $problems = append $problems (printf "public.trustedProxies: %s has bits beyond its first %s: write 0 for them, or /32 for a single address" $network (last $numbers)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- if contains "$(" ($root.Values.traces.endpoint | default "") -}}
  {{- $problems = append $problems (printf "traces.endpoint is %q, and nothing replaces $(…) in it: write an address; for a collector on each node, that of a Service with internalTrafficPolicy: Local" $root.Values.traces.endpoint) -}}
{{- end -}}

{{- if and $root.Values.auth.required (not $root.Values.auth.issuers) -}}
  {{- $problems = append $problems "auth.required is set: auth.issuers must list the issuers of accepted tokens" -}}
{{- end -}}

{{- /* An API must not become open to everybody by omission. */ -}}
{{- if not (or $root.Values.auth.issuers $root.Values.auth.acceptOpen) -}}
  {{- range $way := list "ingress" "httpRoute" -}}
    {{- if (get $root.Values $way).enabled -}}
      {{- $problems = append $problems (printf "%s.enabled is set and auth.issuers is empty, so every external client may do everything: set auth.issuers, or auth.acceptOpen=true if that is intended" $way) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- /* The release name becomes part of host names. */ -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "microservices.prefix" $root)) -}}
  {{- $problems = append $problems (printf "%s becomes part of host names: begin the release name or fullnameOverride with a letter, and use only a to z, 0 to 9 and -; in a parent chart, set nameOverride if the alias has other characters" (include "microservices.prefix" $root)) -}}
{{- end -}}

{{- /* Exposure. */ -}}
{{- $entrance := "" -}}
{{- if and $root.Values.networkPolicy.enabled $root.Values.networkPolicy.ingressFrom }}{{ $entrance = "networkPolicy.ingressFrom" }}{{ end -}}
{{- if $root.Values.httpRoute.enabled }}{{ $entrance = "httpRoute.enabled" }}{{ end -}}
{{- if $root.Values.ingress.enabled }}{{ $entrance = "ingress.enabled" }}{{ end -}}
{{- if $entrance -}}
  {{- $hosts := dict -}}
  {{- range $name, $s := $services -}}
    {{- with $s.public.host -}}
      {{- if or (hasKey $hosts .) (eq . $root.Values.public.host) -}}
        {{- $problems = append $problems (printf "services.%s.public.host: %s is also used elsewhere; for a shared host set public.host" $name .) -}}
      {{- end -}}
      {{- $_ := set $hosts . $name -}}
    {{- end -}}
  {{- end -}}
  {{- $routed := 0 -}}
  {{- $prefixes := dict -}}
  {{- range $name, $s := $services -}}
    {{- if $s.public.host -}}
      {{- $routed = add1 $routed -}}
    {{- else if $s.public.prefixes -}}
      {{- $routed = add1 $routed -}}
    {{- end -}}
    {{- range $s.public.prefixes -}}
      {{- $prefix := trimSuffix "/" . -}}
      {{- if and (hasKey $prefixes $prefix) (ne (get $prefixes $prefix) $name) -}}
        {{- $problems = append $problems (printf "services.%s.public.prefixes: %s is also a prefix of %s, and would reach only one of them" $name . (get $prefixes $prefix)) -}}
      {{- end -}}
      {{- $_ := set $prefixes $prefix $name -}}
    {{- end -}}
    {{- if and $s.public.prefixes (not $s.public.host) -}}
      {{- if and $hosts (not $root.Values.public.host) -}}
        {{- $problems = append $problems (printf "services.%s.public: other services have their own host, so no host would lead to this one: set its host, or public.host, or its prefixes to []" $name) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if not $routed -}}
    {{- $problems = append $problems (printf "%s is set, but no service has public.prefixes or public.host" $entrance) -}}
  {{- end -}}
{{- end -}}
{{- if and $root.Values.httpRoute.enabled (not $root.Values.httpRoute.parentRefs) -}}
  {{- $problems = append $problems "httpRoute.enabled is set: httpRoute.parentRefs must name a Gateway" -}}
{{- end -}}

{{- /* A disabled service disables the test, too; a misspelt one would do so in silence. */ -}}
{{- if $root.Values.smokeTest.enabled -}}
  {{- $choice := keys $root.Values.services | sortAlpha | join ", " -}}
  {{- if not (hasKey $root.Values.services $root.Values.smokeTest.service) -}}
    {{- $problems = append $problems (printf "smokeTest.service: %s is not in services; name one of %s, or set smokeTest.enabled=false" $root.Values.smokeTest.service $choice) -}}
  {{- end -}}
  {{- range $variable, $target := $root.Values.smokeTest.upstreams -}}
    {{- if not (hasKey $root.Values.services ($target | default "")) -}}
      {{- $problems = append $problems (printf "smokeTest.upstreams.%s: %v is not in services; name one of %s, or set smokeTest.enabled=false" $variable $target $choice) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- if gt (float64 (include "microservices.seconds" $root.Values.serviceMonitor.scrapeTimeout)) (float64 (include "microservices.seconds" $root.Values.serviceMonitor.interval)) -}}
  {{- $problems = append $problems "serviceMonitor.scrapeTimeout is longer than serviceMonitor.interval, which Prometheus rejects" -}}
{{- end -}}
{{- /* rate() needs several samples in its window. */ -}}
{{- if and $root.Values.prometheusRule.enabled $root.Values.serviceMonitor.enabled -}}
  {{- $shortest := mulf 300 $root.Values.prometheusRule.windowScale -}}
  {{- if gt (mulf 4 (include "microservices.seconds" $root.Values.serviceMonitor.interval)) $shortest -}}
    {{- $problems = append $problems (printf "serviceMonitor.interval is %s, but the rules' shortest window is %v s: set it to at most a quarter of that, or increase prometheusRule.windowScale" $root.Values.serviceMonitor.interval $shortest) -}}
  {{- end -}}
{{- end -}}
{{- if $problems -}}
  {{- fail (printf "\n\nThese values need a change:\n  - %s\n" (join "\n  - " $problems)) -}}
{{- end -}}
{{- end -}}
