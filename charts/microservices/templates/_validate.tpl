{{/*
What the schema can't see: values that contradict each other. All problems at once,
each with what to change. (list $ services)
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
  {{- $problems = append $problems "enabled is false, which takes nothing away by itself: it is for a parent chart, whose dependency on this one says condition: microservices.enabled" -}}
{{- end -}}
{{- if not $services -}}
  {{- $problems = append $problems "no service is enabled: leave at least one of services.*.enabled on" -}}
{{- end -}}
{{- range $name, $s := $services -}}
  {{- $at := printf "services.%s" $name -}}

  {{- if and $s.image.digest $root.Values.image.tag (not $s.image.tag) -}}
    {{- $problems = append $problems (printf "%s.image.digest is set, so image.tag=%s would have no effect: set %s.image.tag to what the digest is of, or take the digest away" $at $root.Values.image.tag $at) -}}
  {{- end -}}
  {{- if and $s.tagDigest $s.image.digest (ne $s.tagDigest $s.image.digest) -}}
    {{- $problems = append $problems (printf "%s.image: tag has another digest than digest; take digest away" $at) -}}
  {{- end -}}
  {{- /* One way to set each thing. */ -}}
  {{- range $variable, $_ := $s.env -}}
    {{- if hasKey $reserved $variable -}}
      {{- $problems = append $problems (printf "%s.env.%s: the chart sets this variable itself; use %s" $at $variable (get $reserved $variable)) -}}
    {{- end -}}
    {{- if hasKey $s.upstreams $variable -}}
      {{- $problems = append $problems (printf "%s.env.%s is also in %s.upstreams: for a service outside of the release set %s.upstreams.%s to null" $at $variable $at $at $variable) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $root.Values.traces.endpoint (hasKey $s.env "POD_NAME") -}}
    {{- $problems = append $problems (printf "%s.env.POD_NAME: the chart sets this variable itself, to the pod's name, as traces.endpoint is set; take it away" $at) -}}
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
  {{- /* A node must be able to be drained. What nobody knows the number of is taken to be enough. */ -}}
  {{- $fewest := ternary $s.autoscaling.minReplicas (ternary 1000 $s.pods $s.scaled) $s.autoscaling.enabled | int -}}
  {{- if and $s.pdb.enabled (gt $fewest 0) -}}
    {{- if has (toString $s.pdb.maxUnavailable) (list "0" "0%") -}}
      {{- $problems = append $problems (printf "%s.pdb.maxUnavailable is %v, so no node with one of the pods could ever be drained: set it to 1 or more" $at $s.pdb.maxUnavailable) -}}
    {{- end -}}
    {{- if not (kindIs "invalid" $s.pdb.minAvailable) -}}
      {{- $stay := toString $s.pdb.minAvailable -}}
      {{- if hasSuffix "%" $stay -}}
        {{- $stay = div (add (mul (trimSuffix "%" $stay | int) $fewest) 99) 100 -}}
      {{- end -}}
      {{- if ge (int $stay) $fewest -}}
        {{- $problems = append $problems (printf "%s.pdb.minAvailable is %v, and there may be no more than %d: no node with one of the pods could ever be drained; use maxUnavailable: 1" $at $s.pdb.minAvailable $fewest) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if and (not $s.embedded) (has (toString $s.rollingUpdate.maxUnavailable) (list "0" "0%")) (has (toString $s.rollingUpdate.maxSurge) (list "0" "0%")) -}}
    {{- $problems = append $problems (printf "%s.rollingUpdate: with neither maxUnavailable nor maxSurge no pod could ever be replaced; set maxSurge to 1" $at) -}}
  {{- end -}}
  {{- if and $s.autoscaling.enabled (not (dig "requests" "cpu" "" ($s.resources | default dict))) -}}
    {{- $problems = append $problems (printf "%s.autoscaling goes by the CPU in percent of its request: set %s.resources.requests.cpu" $at $at) -}}
  {{- end -}}
  {{- if and $s.topologySpread.minZones (ne $s.topologySpread.zone "DoNotSchedule") -}}
    {{- $problems = append $problems (printf "%s.topologySpread.minZones is only looked at with zone: DoNotSchedule" $at) -}}
  {{- end -}}
  {{- if and $s.embedded $s.persistence.enabled (eq $s.persistence.accessMode "ReadWriteMany") (not $s.persistence.existingClaim) -}}
    {{- $problems = append $problems (printf "%s.persistence.accessMode: SQLite loses data on volumes that several nodes write to; set ReadWriteOnce, or ReadWriteOncePod. To go on with the claim that is there until the data is elsewhere: persistence.existingClaim=%s-data" $at $s.fullname) -}}
  {{- end -}}
  {{- if and (not $s.serviceAccount.create) (not $s.serviceAccount.name) -}}
    {{- $problems = append $problems (printf "%s.serviceAccount: create is off, so name must say which ServiceAccount to use" $at) -}}
  {{- end -}}

  {{- if $s.serviceAccount.create -}}
    {{- if hasKey $accounts $s.account -}}
      {{- $problems = append $problems (printf "%s.serviceAccount: %s makes %s as well: give each a name of its own, or set create to false where it is only used" $at (get $accounts $s.account) $s.account) -}}
    {{- end -}}
    {{- $_ := set $accounts $s.account $name -}}
  {{- end -}}
  {{- /* Policies, the smoke test and the dashboards have these names. */ -}}
  {{- if or (has $name (list "default-deny" "smoke-test")) (hasPrefix "dashboard-" $name) -}}
    {{- $problems = append $problems (printf "%s: the chart has objects of this name itself; give the service another" $at) -}}
  {{- end -}}

  {{- /* Upstreams are services of this release. */ -}}
  {{- range $variable, $upstream := $s.upstreams -}}
    {{- if not (hasKey $services $upstream) -}}
      {{- $problems = append $problems (printf "%s.upstreams.%s: %q is no enabled service; there are %s" $at $variable $upstream (keys $services | sortAlpha | join ", ")) -}}
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
        {{- $problems = append $problems (printf "%s.env.%s: database.credentials says it; take one of them away" $at $variable) -}}
      {{- end -}}
    {{- end -}}
    {{- if regexMatch "://[^/?]*:[^/?]*@" $s.database.url -}}
      {{- $problems = append $problems (printf "%s.database.url has a password, and database.credentials another: take it out of the url" $at) -}}
    {{- else if and $s.database.credentials.usernameKey (regexMatch "://[^/?]+@" $s.database.url) -}}
      {{- $problems = append $problems (printf "%s.database.url has a user, and database.credentials another: take it out of the url, or set usernameKey to \"\"" $at) -}}
    {{- end -}}
  {{- end -}}
  {{- if $s.backup.enabled -}}
    {{- if not $s.embedded -}}
      {{- $problems = append $problems (printf "%s.backup is for the embedded database: PostgreSQL has its host's snapshots, and pg_dump" $at) -}}
    {{- else if not $s.persistence.enabled -}}
      {{- $problems = append $problems (printf "%s.backup: without persistence.enabled nobody but the service's own pod sees its database" $at) -}}
    {{- else if eq $s.persistence.accessMode "ReadWriteOncePod" -}}
      {{- $problems = append $problems (printf "%s.backup: a volume that is ReadWriteOncePod is the service's pod's alone; set persistence.accessMode to ReadWriteOnce" $at) -}}
    {{- end -}}
    {{- if hasKey $services (printf "%s-backup" $name) -}}
      {{- $problems = append $problems (printf "services.%s-backup: %s.backup makes objects of this name; give the service another" $name $at) -}}
    {{- end -}}
  {{- end -}}
  {{- /* Here rather than in the schema, which would print it, with the password. */ -}}
  {{- if and $s.database.url (not (regexMatch "^postgres(ql)?://.*$" $s.database.url)) -}}
    {{- $problems = append $problems (printf "%s.database.url: begin it with postgres://, and write it on one line" $at) -}}
  {{- end -}}
  {{- if $root.Values.networkPolicy.enabled -}}
    {{- if and $s.database.url (or (regexMatch "[?&](host|hostaddr|port)=" $s.database.url) (not (include "microservices.portsOf" $s.database.url | fromYamlArray))) -}}
      {{- $problems = append $problems (printf "%s.database.url: write the host and the port before the path, as in postgres://user@host:6432/database: the network policy lets these through" $at) -}}
    {{- end -}}
    {{- range $variable, $value := $s.env -}}
      {{- if and $value (include "microservices.isAddress" $variable) (not $s.networkPolicy.extraEgress) -}}
        {{- if not (and (kindIs "string" $value) (include "microservices.portsOf" $value | fromYamlArray)) -}}
          {{- $problems = append $problems (printf "%s.env.%s: the network policy can't tell its port: write it as in scheme://host:port, or let it through with %s.networkPolicy.extraEgress" $at $variable $at) -}}
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
      {{- $problems = append $problems (printf "%s.replicas: the embedded database is one pod's; set database.mode=postgres for more" $at) -}}
    {{- end -}}
    {{- if $s.autoscaling.enabled -}}
      {{- $problems = append $problems (printf "%s.autoscaling: the embedded database is one pod's; set database.mode=postgres for more" $at) -}}
    {{- end -}}
  {{- else -}}
    {{- if not $ways -}}
      {{- $problems = append $problems (printf "%s.database: database.mode is postgres, so it needs existingSecret (a Secret with the DSN under the key %s), externalSecret.key or url" $at $s.database.existingSecretKey) -}}
    {{- else if gt (len $ways) 1 -}}
      {{- $problems = append $problems (printf "%s.database: set one of %s, not all" $at (join " and " $ways)) -}}
    {{- end -}}
    {{- /* One service's migrations would take the other's for their own. */ -}}
    {{- $where := $s.database.url -}}
    {{- if $s.database.existingSecret }}{{ $where = printf "%s %s" $s.database.existingSecret $s.database.existingSecretKey }}{{ end -}}
    {{- with $s.database.externalSecret.key }}{{ $where = printf "%s %s" . $s.database.externalSecret.property }}{{ end -}}
    {{- if and $where (hasKey $seen $where) -}}
      {{- $problems = append $problems (printf "%s.database is %s's as well: each service needs a database of its own" $at (get $seen $where)) -}}
    {{- end -}}
    {{- $_ := set $seen $where $name -}}
    {{- if and $s.database.externalSecret.key (not $root.Values.externalSecrets.storeName) -}}
      {{- $problems = append $problems (printf "%s.database.externalSecret.key is set: externalSecrets.storeName must say where to look it up" $at) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- if and $root.Values.auth.required (not $root.Values.auth.issuers) -}}
  {{- $problems = append $problems "auth.required is set: auth.issuers must say whose tokens are accepted" -}}
{{- end -}}

{{- /* Nobody opens the API to everybody by forgetting something. */ -}}
{{- if not (or $root.Values.auth.issuers $root.Values.auth.acceptOpen) -}}
  {{- range $way := list "ingress" "httpRoute" -}}
    {{- if (get $root.Values $way).enabled -}}
      {{- $problems = append $problems (printf "%s.enabled is set and auth.issuers is empty, so whoever sends a request from outside may do everything: set auth.issuers, or auth.acceptOpen=true if that is meant" $way) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- /* A name of the release becomes a host's. */ -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "microservices.prefix" $root)) -}}
  {{- $problems = append $problems (printf "the release's name, or what fullnameOverride takes its place, %s, becomes part of host names: begin it with a letter, and use a to z, 0 to 9 and - only" (include "microservices.prefix" $root)) -}}
{{- end -}}

{{- /* What leaves the cluster. */ -}}
{{- if or $root.Values.ingress.enabled $root.Values.httpRoute.enabled -}}
  {{- $hosts := dict -}}
  {{- range $name, $s := $services -}}
    {{- with $s.public.host -}}
      {{- if or (hasKey $hosts .) (eq . $root.Values.public.host) -}}
        {{- $problems = append $problems (printf "services.%s.public.host: %s is another's as well; for one host for all use public.host" $name .) -}}
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
        {{- $problems = append $problems (printf "services.%s.public.prefixes: %s is %s's as well, and would reach only one of them" $name . (get $prefixes $prefix)) -}}
      {{- end -}}
      {{- $_ := set $prefixes $prefix $name -}}
    {{- end -}}
    {{- if and $s.public.prefixes (not $s.public.host) -}}
      {{- if and $hosts (not $root.Values.public.host) -}}
        {{- $problems = append $problems (printf "services.%s.public: others have a host of their own, so this one would be reached by none: set its host, or public.host, or its prefixes to []" $name) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if not $routed -}}
    {{- $problems = append $problems "ingress.enabled or httpRoute.enabled is set, and no service has public.prefixes or public.host" -}}
  {{- end -}}
{{- end -}}
{{- if and $root.Values.httpRoute.enabled (not $root.Values.httpRoute.parentRefs) -}}
  {{- $problems = append $problems "httpRoute.enabled is set: httpRoute.parentRefs must name a Gateway" -}}
{{- end -}}

{{- if gt (float64 (include "microservices.seconds" $root.Values.serviceMonitor.scrapeTimeout)) (float64 (include "microservices.seconds" $root.Values.serviceMonitor.interval)) -}}
  {{- $problems = append $problems "serviceMonitor.scrapeTimeout is longer than serviceMonitor.interval, which Prometheus refuses" -}}
{{- end -}}
{{- /* A rate needs several samples. */ -}}
{{- if and $root.Values.prometheusRule.enabled $root.Values.serviceMonitor.enabled -}}
  {{- $shortest := mulf 300 $root.Values.prometheusRule.windowScale -}}
  {{- if gt (mulf 4 (include "microservices.seconds" $root.Values.serviceMonitor.interval)) $shortest -}}
    {{- $problems = append $problems (printf "serviceMonitor.interval is %s, but the rules look at %v s at a time: set it to a quarter of that at most, or prometheusRule.windowScale to more" $root.Values.serviceMonitor.interval $shortest) -}}
  {{- end -}}
{{- end -}}
{{- if $problems -}}
  {{- fail (printf "\n\nThese values need a change:\n  - %s\n" (join "\n  - " $problems)) -}}
{{- end -}}
{{- end -}}
