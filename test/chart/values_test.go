package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Both Helms reject a wrong value before they install anything, and name its location and the
// problem.
func TestWrongValuesAreRefused(t *testing.T) {
	const digits = "/image/tag"
	postgres := []string{"database.mode=postgres", "services.user-service.database.existingSecret=a", "services.order-service.database.existingSecret=b"}
	for _, test := range []struct {
		name string
		set  []string
		says string
	}{
		{"a misspelled key", []string{"databse.mode=postgres"}, "databse"},
		{"a misspelled key of a service", []string{"services.user-service.replica=2"}, "replica"},
		{"a misspelled key of the defaults", []string{"defaults.lifecycle.preStop=2"}, "preStop"},
		{"a tag of digits, which --set makes a number", []string{"image.tag=1234567"}, digits},
		{"a number as a variable", []string{"services.user-service.env.A=1"}, "/services/user-service/env/A"},
		{"a service without a port", []string{"services.cart.enabled=true"}, "port"},
		{"a service whose name is not a host name", []string{"services.Cart.port=80"}, "Cart"},
		{"an unknown mode", []string{"database.mode=mysql"}, "/database/mode"},
		{"metrics for everyone", []string{"services.user-service.public.prefixes={/metrics}"}, "/metrics"},
		{"PostgreSQL without a DSN", []string{"database.mode=postgres"}, "services.user-service.database: database.mode is postgres, so it needs existingSecret"},
		{"a DSN without PostgreSQL", []string{"services.user-service.database.existingSecret=a"}, "set database.mode=postgres"},
		{"a DSN in two places", []string{"database.mode=postgres", "services.user-service.database.existingSecret=a", "services.user-service.database.url=postgres://u@h/d"}, "set only one of url and existingSecret"},
		{"one database for two", []string{"database.mode=postgres", "defaults.database.existingSecret=a"}, "each service needs its own database"},
		{"two pods with one file", []string{"services.user-service.replicas=2"}, "the embedded database supports only one pod"},
		{"an autoscaler with one file", []string{"defaults.autoscaling.enabled=true"}, "the embedded database supports only one pod"},
		{"replicas and an autoscaler", []string{"defaults.autoscaling.enabled=true", "services.user-service.replicas=3"}, "replicas and autoscaling.enabled are both set"},
		{"a disruption budget of two kinds", []string{"defaults.pdb.minAvailable=1", "defaults.pdb.maxUnavailable=1"}, "set maxUnavailable or minAvailable"},
		{"a variable that the chart sets", []string{"services.user-service.env.PORT=a"}, "use port"},
		{"the port for operators as a variable", []string{"defaults.env.ADMIN_PORT=a"}, "use adminPort"},
		{"one port for clients and operators", []string{"defaults.adminPort=8001"}, "services.order-service: port and adminPort are both 8001; set services.order-service.adminPort to another"},
		{"no port for operators", []string{"defaults.adminPort=0"}, "/defaults/adminPort"},
		{"a removed port for operators", []string{"defaults.adminPort=null"}, "missing property 'adminPort'"},
		{"a variable that is an upstream", []string{"services.order-service.env.USER_SERVICE_URL=http://users"}, "services.order-service.upstreams"},
		{"a missing upstream", []string{"services.user-service.enabled=false"}, `"user-service" is not an enabled service; choose from order-service`},
		{"no service", []string{"defaults.enabled=false"}, "no service is enabled"},
		{"a route without a gateway", []string{"httpRoute.enabled=true"}, "httpRoute.parentRefs"},
		{"a host that two services have", []string{"ingress.enabled=true", "defaults.public.host=a.example.com"}, "is also used elsewhere"},
		{"a service without a host, beside one with a host", []string{"ingress.enabled=true", "services.user-service.public.host=a.example.com"}, "services.order-service.public: other services have their own host"},
		{"no service to lead to", []string{"ingress.enabled=true", "services.user-service.public.prefixes=null", "services.order-service.public.prefixes=null"}, "no service has public.prefixes or public.host"},
		{"sources of requests that lead to no service", []string{"networkPolicy.ingressFrom[0].ipBlock.cidr=10.0.0.0/8", "services.user-service.public.prefixes=null", "services.order-service.public.prefixes=null"}, "networkPolicy.ingressFrom is set, but no service has public.prefixes or public.host"},
		{"no name server", []string{"defaults.dnsPolicy=None"}, "services.order-service.dnsPolicy is None, so dnsConfig.nameservers must name a server"},
		{"names of the node alone", []string{"defaults.dnsPolicy=Default"}, "/defaults/dnsPolicy"},
		{"a misspelled part of the DNS configuration", []string{"defaults.dnsConfig.nameserver=10.0.0.10"}, "/defaults/dnsConfig"},
		{"a misspelled toleration", []string{"defaults.tolerations[0].taint=a"}, "/defaults/tolerations/0"},
		{"pods that are never available in time", []string{"defaults.minReadySeconds=180", "services.user-service.progressDeadlineSeconds=180"}, "services.user-service.minReadySeconds is 180: make progressDeadlineSeconds (180) longer"},
		{"a time zone that is a node's own", []string{"defaults.backup.timeZone=Local"}, "/defaults/backup/timeZone"},
		{"a label's value that is none", []string{"commonLabels.team=the shop"}, "/commonLabels/team"},
		{"a memory request above the limit", []string{"defaults.resources.limits.memory=48Mi"}, "services.user-service.resources.requests.memory is 64Mi, and its limit is 48Mi: lower the request to at most the limit"},
		{"a CPU request above the limit", []string{"services.order-service.resources.limits.cpu=40m"}, "services.order-service.resources.requests.cpu is 50m, and its limit is 40m"},
		{"thousandths of a byte", []string{"defaults.resources.requests.memory=64m"}, "/defaults/resources/requests/memory"},
		{"a probe without time", []string{"defaults.livenessProbe.timeoutSeconds=0"}, "/defaults/livenessProbe/timeoutSeconds"},
		{"a schedule of words", []string{"defaults.backup.schedule=every day at three o'clock"}, "/defaults/backup/schedule"},
		{"an address that is no network", []string{"networkPolicy.dnsTo[0].ipBlock.cidr=10.0.0.10"}, "/networkPolicy/dnsTo/0/ipBlock/cidr"},
		{"a mount without a volume", []string{"defaults.extraVolumeMounts[0].name=cache", "defaults.extraVolumeMounts[0].mountPath=/cache"}, "services.user-service.extraVolumeMounts: extraVolumes has no volume cache"},
		{"a mount over the chart's own", []string{"defaults.extraVolumes[0].name=scratch", "defaults.extraVolumeMounts[0].name=scratch", "defaults.extraVolumeMounts[0].mountPath=/tmp"}, "services.user-service.extraVolumeMounts: the chart or another entry already has the path /tmp; choose another one"},
		{"mounts over those of certificates and a login", append(postgres, "defaults.database.caBundle.secret=ca", "defaults.database.credentials.existingSecret=app", "defaults.extraVolumes[0].name=a", "defaults.extraVolumeMounts[0].name=a", "defaults.extraVolumeMounts[0].mountPath=/etc/database-ca", "defaults.extraVolumeMounts[1].name=a", "defaults.extraVolumeMounts[1].mountPath=/var/run/secrets/database/"), "already has the path /etc/database-ca; choose another one\n  - services.order-service.extraVolumeMounts: the chart or another entry already has the path /var/run/secrets/database;"},
		{"a mount over the tokens", []string{"auth.issuers[0].issuer=https://id.example.com", "defaults.extraVolumes[0].name=a", "defaults.extraVolumeMounts[0].name=a", "defaults.extraVolumeMounts[0].mountPath=/var/run/secrets/identity"}, "already has the path /var/run/secrets/identity"},
		{"a mount over the smoke test's token", []string{"smokeTest.tokenSecret=a", "defaults.extraVolumes[0].name=a", "defaults.extraVolumeMounts[0].name=a", "defaults.extraVolumeMounts[0].mountPath=/var/run/secrets/smoke"}, "already has the path /var/run/secrets/smoke"},
		{"a mount of the chart's own volume", []string{"defaults.extraVolumeMounts[0].name=tmp", "defaults.extraVolumeMounts[0].mountPath=/cache"}, "extraVolumes has no volume tmp"},
		{"a container with the name of the migration's", append(postgres, "defaults.extraInitContainers[0].name=migrate"), "services.user-service.extraInitContainers: the chart or another entry already has the container migrate"},
		{"a container with the name of the service's", []string{"defaults.extraContainers[0].name=user-service"}, "services.user-service.extraContainers: the chart or another entry already has the container user-service"},
		{"a claim that nothing mounts", []string{"defaults.persistence.existingClaim=a", "services.user-service.persistence.enabled=false"}, "services.user-service.persistence.existingClaim is set, but persistence.enabled is false, so the data would be lost with the pod: remove one of them"},
		{"monitors that nobody may scrape", []string{"serviceMonitor.enabled=true", "networkPolicy.monitoringFrom=null"}, "serviceMonitor.enabled is set, but the network policy of services.user-service admits no Prometheus: name it in networkPolicy.monitoringFrom"},
		{"a smoke test of no service", []string{"smokeTest.service=orders"}, "smokeTest.service: orders is not in services; name one of order-service, "},
		{"a smoke test that calls no service", []string{"smokeTest.upstreams.USER_URL=users"}, "smokeTest.upstreams.USER_URL: users is not in services"},
		{"a tag in an image's name", []string{"services.user-service.image.repository=registry.example.com:5000/users:v1"}, "/services/user-service/image/repository"},
		{"a network of pods", []string{"networkPolicy.ingressFrom[0].ipBlock.cidr=10.0.0.0/8", "networkPolicy.ingressFrom[0].podSelector.matchLabels.app=a"}, "/networkPolicy/ingressFrom/0"},
		{"a label that is the chart's own", []string{"commonLabels.app\\.kubernetes\\.io/name=a"}, "app.kubernetes.io/name"},
		{"an external secret without a store", []string{"database.mode=postgres", "defaults.database.externalSecret.key=a"}, "externalSecrets.storeName"},
		{"a ServiceAccount without a name", []string{"defaults.serviceAccount.create=false"}, "name must be that of an existing ServiceAccount"},
		{"tokens required without issuers", []string{"auth.required=true"}, "auth.issuers must list the issuers"},
		{"an Ingress without issuers", []string{"ingress.enabled=true"}, "ingress.enabled is set and auth.issuers is empty, so every external client may do everything: set auth.issuers, or auth.acceptOpen=true if that is intended"},
		{"a route without issuers", []string{"httpRoute.enabled=true", "httpRoute.parentRefs[0].name=public"}, "httpRoute.enabled is set and auth.issuers is empty"},
		{"an issuer without a name", []string{"auth.issuers[0].audience=a"}, "issuer"},
		{"a misspelled part of an issuer", []string{"auth.issuers[0].issuer=https://a.example.com", "auth.issuers[0].jwk=https://a.example.com/keys"}, "jwk"},
		{"issuers as a variable", []string{"defaults.env.AUTH_ISSUERS=[]"}, "use the value auth.issuers"},
		{"a token that is a variable as well", []string{"services.order-service.env.USER_CLIENT_TOKEN_FILE=a"}, "services.order-service.upstreamTokens"},
		{"a rate limit without a period", []string{"rateLimit.read=100"}, "/rateLimit/read"},
		{"a limit as a variable", []string{"defaults.env.RATE_LIMIT_READ=1/s"}, "use the value rateLimit.read"},
		{"metrics through the API's prefix", []string{"services.user-service.public.prefixes={/api/../metrics}"}, "/api/../metrics"},
		{"a registry with a scheme", []string{"image.registry=https://registry.example.com/shop"}, "/image/registry"},
		{"no memory", []string{"defaults.resources.limits.memory=0Mi"}, "above 0"},
		{"a DSN of another database", []string{"database.mode=postgres", "services.user-service.database.url=mysql://u@h/d"}, "services.user-service.database.url must begin with postgres://"},
		{"a ServiceAccount made twice", []string{"defaults.serviceAccount.name=a"}, "order-service also creates a"},
		{"a service with the name of the chart's own objects", []string{"services.default-deny.port=80"}, "the chart's own objects use this name"},
		{"a service with the name of a dashboard", []string{"services.dashboard-overview.port=80"}, "the chart's own objects use this name"},
		{"a dashboard's label that is the chart's own", []string{"dashboards.labels.app\\.kubernetes\\.io/name=a"}, "app.kubernetes.io/name"},
		{"a trusted network with a host's bits", []string{"public.trustedProxies={10.0.0.0/8,10.128.0.0/8}"}, "public.trustedProxies: 10.128.0.0/8 has bits beyond its first 8: write 0 for them, or /32 for a single address"},
		{"a trusted network longer than its address", []string{"public.trustedProxies={10.0.0.0/33}"}, "/public/trustedProxies/0"},
		{"a trusted network longer than its IPv6 address", []string{"public.trustedProxies={fd00::/129}"}, "/public/trustedProxies/0"},
		{"a path that two services have", []string{"ingress.enabled=true", "services.user-service.public.prefixes={/api}", "services.order-service.public.prefixes={/api/}"}, "/api is also a prefix of order-service"},
		{"a monitor's label that is the chart's own", []string{"serviceMonitor.labels.app\\.kubernetes\\.io/name=a"}, "app.kubernetes.io/name"},
		{"an objective too low for alerts", []string{"slo.availability=90"}, "/slo/availability"},
		{"an objective that is no number", []string{"slo.availability=99.9%"}, "/slo/availability"},
		{"a share of traces above 1", []string{"traces.ratio=1.5"}, "/traces/ratio"},
		{"an objective without an error budget", []string{"slo.availability=100"}, "/slo/availability"},
		{"a latency that is not measured", []string{"slo.latency.seconds=3"}, "/slo/latency/seconds"},
		{"a runbook URL without a final slash", []string{"prometheusRule.runbookBaseURL=https://example.com/runbooks"}, "/prometheusRule/runbookBaseURL"},
		{"a rule's label that is the chart's own", []string{"prometheusRule.labels.helm\\.sh/chart=a"}, "helm.sh/chart"},
		{"scrapes too rare for the rules' windows", []string{"prometheusRule.enabled=true", "serviceMonitor.enabled=true", "serviceMonitor.interval=1m16s"}, "serviceMonitor.interval is 1m16s, but the rules' shortest window is 300 s"},
		{"a scrape timeout above the interval", []string{"serviceMonitor.enabled=true", "serviceMonitor.scrapeTimeout=31s"}, "serviceMonitor.scrapeTimeout is longer than serviceMonitor.interval"},
		{"a removed section", []string{"rateLimit=null"}, "missing property 'rateLimit'"},
		{"a removed section of the defaults", []string{"defaults.database.externalSecret=null"}, "missing property 'externalSecret'"},
		{"a memory limit above the integers", []string{"defaults.resources.limits.memory=99999999999Gi"}, "whole number"},
		{"an odd memory limit", []string{"defaults.resources.limits.memory=1.5Gi"}, "whole number"},
		{"a database without a host", []string{"database.mode=postgres", "services.user-service.database.url=postgres:///d?host=a"}, "services.user-service.database.url: write host and port before the path"},
		{"an address without a port", []string{"defaults.env.CACHE_URL=memcached://a"}, "services.order-service.env.CACHE_URL: the network policy can't derive a port"},
		{"a port of PostgreSQL that is no number", append(postgres, "defaults.env.PGPORT=main"), `services.user-service.env.PGPORT is "main": write a port, such as 5432`},
		{"a port of PostgreSQL above all ports", append(postgres, `services.user-service.env.PGPORT=5432\,65536`), `services.user-service.env.PGPORT is "5432,65536": write a port`},
		{"a port of PostgreSQL in a Secret", append(postgres, "defaults.env.PGPORT.valueFrom.secretKeyRef.name=a"), "services.user-service.env.PGPORT: the network policy can't derive a port: set networkPolicy.database.port"},
		{"certificates in two places", []string{"defaults.database.caBundle.configMap=a", "defaults.database.caBundle.secret=b"}, "set configMap or secret, not both"},
		{"certificates for the embedded database", []string{"defaults.database.caBundle.secret=b"}, "database.caBundle is set, but database.mode is embedded"},
		{"a login for the embedded database", []string{"defaults.database.credentials.existingSecret=a"}, "services.user-service.database.credentials is set, but database.mode is embedded"},
		{"a login in two places", append(postgres, "defaults.database.credentials.existingSecret=a", "defaults.env.DATABASE_USER=b"), "services.order-service.env.DATABASE_USER: database.credentials also sets this"},
		{"a password in two places", []string{"database.mode=postgres", "defaults.database.credentials.existingSecret=a", "services.user-service.database.url=postgres://u:p@h/d"}, "services.user-service.database.url has a password, and so has database.credentials"},
		{"a user in two places", []string{"database.mode=postgres", "defaults.database.credentials.existingSecret=a", "services.user-service.database.url=postgres://u@h/d"}, "services.user-service.database.url has a user, and so has database.credentials"},
		{"backups of PostgreSQL", append(postgres, "defaults.backup.enabled=true"), "services.user-service.backup supports only the embedded database"},
		{"backups without a volume", []string{"defaults.backup.enabled=true", "defaults.persistence.enabled=false"}, "services.user-service.backup needs persistence.enabled"},
		{"backups of a volume for one pod", []string{"defaults.backup.enabled=true", "defaults.persistence.accessMode=ReadWriteOncePod"}, "set persistence.accessMode to ReadWriteOnce"},
		{"a service with a backup's name", []string{"defaults.backup.enabled=true", "services.user-service-backup.port=80"}, "services.user-service.backup creates objects with this name"},
		{"backups without a valid schedule", []string{"defaults.backup.schedule=daily"}, "/defaults/backup/schedule"},
		{"a variable without a valid type", []string{"defaults.env.A.value=b"}, "/defaults/env/A"},
		{"an address in a Secret", []string{"defaults.env.CACHE_URL.valueFrom.secretKeyRef.name=a"}, "services.user-service.env.CACHE_URL: the network policy can't derive a port"},
		{"a volume with the name of the login's", append(postgres, "defaults.database.credentials.existingSecret=app", "defaults.extraVolumes[0].name=database-login"), "services.user-service.extraVolumes: the chart or another entry already has the volume database-login"},
		{"a volume with the name of the backups'", []string{"defaults.backup.enabled=true", "defaults.extraVolumes[0].name=backup"}, "services.user-service.extraVolumes: the chart or another entry already has the volume backup"},
		{"an autoscaler without a metric", append(postgres, "defaults.autoscaling.enabled=true", "defaults.autoscaling.targetCPUUtilizationPercentage=null"), "services.order-service.autoscaling has nothing to scale by"},
		{"a field that a readiness probe doesn't have", []string{"defaults.readinessProbe.terminationGracePeriodSeconds=5"}, "/defaults/readinessProbe"},
		{"a removed registry", []string{"image.registry=null"}, "missing property 'registry'"},
		{"a removed number", []string{"defaults.memoryLimitPercent=null"}, "missing property 'memoryLimitPercent'"},
		{"a removed switch", []string{"defaults.autoscaling.enabled=null"}, "missing property 'enabled'"},
		{"a removed switch of the services", []string{"defaults.enabled=null"}, "at '/defaults': missing property 'enabled'"},
		{"a removed switch of the volumes", []string{"defaults.persistence.enabled=null"}, "at '/defaults/persistence': missing property 'enabled'"},
		{"a removed protection of the volumes", []string{"defaults.persistence.retain=null"}, "at '/defaults/persistence': missing property 'retain'"},
		{"a removed protection from drains", []string{"defaults.pdb.enabled=null"}, "at '/defaults/pdb': missing property 'enabled'"},
		{"a removed switch of the ServiceAccounts", []string{"defaults.serviceAccount.create=null"}, "at '/defaults/serviceAccount': missing property 'create'"},
		{"removed network policies", []string{"networkPolicy.enabled=null"}, "at '/networkPolicy': missing property 'enabled'"},
		{"a removed need for tokens", []string{"auth.required=null"}, "at '/auth': missing property 'required'"},
		{"a volume that is the chart's own", []string{"defaults.extraVolumes[0].name=data"}, "services.user-service.extraVolumes: the chart or another entry already has the volume data; choose another one"},
		{"a disabled chart", []string{"enabled=false"}, "enabled is false, which removes nothing by itself"},
		{"a registry that is not a host", []string{"global.imageRegistry=https://mirror.example.com"}, "/global/imageRegistry"},
		{"replicas that are not a number", []string{"defaults.replicas=some"}, "/defaults/replicas"},
		{"a disruption budget of 0", []string{"defaults.pdb.maxUnavailable=0"}, "services.user-service.pdb.maxUnavailable is 0, so nodes with these pods could never be drained: set it to 1"},
		{"a disruption budget of 0 %", []string{"defaults.pdb.maxUnavailable=0%"}, "pdb.maxUnavailable is 0%"},
		{"a disruption budget that keeps the only pod", []string{"defaults.pdb.minAvailable=1"}, "services.order-service.pdb.minAvailable is 1, and the number of pods may be only 1"},
		{"a disruption budget that keeps both pods", append(postgres, "defaults.pdb.minAvailable=51%"), "pdb.minAvailable is 51%, and the number of pods may be only 2"},
		{"a disruption budget that keeps the autoscaler's minimum", append(postgres, "defaults.autoscaling.enabled=true", "defaults.pdb.minAvailable=2"), "pdb.minAvailable is 2, and the number of pods may be only 2"},
		{"a disruption budget that keeps every replica count", append(postgres, "defaults.replicas=null", "defaults.pdb.minAvailable=100%"), "pdb.minAvailable is 100%"},
		{"a rollout that can't begin", append(postgres, "defaults.rollingUpdate.maxSurge=0"), "no pod could ever be replaced; set maxSurge to 1"},
		{"an autoscaler without a CPU request", append(postgres, "defaults.autoscaling.enabled=true", "defaults.resources.requests.cpu=null"), "set services.order-service.resources.requests.cpu"},
		{"a minimum of zones without DoNotSchedule", []string{"defaults.topologySpread.minZones=2"}, "has an effect only with zone: DoNotSchedule"},
		{"a minimum of zones beside a constraint of zones", []string{"defaults.topologySpread.zone=DoNotSchedule", "defaults.topologySpread.minZones=2", "defaults.topologySpreadConstraints[0].maxSkew=2", "defaults.topologySpreadConstraints[0].topologyKey=topology.kubernetes.io/zone", "defaults.topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule"}, "services.user-service.topologySpread.minZones has no effect, because an entry of topologySpreadConstraints replaces the chart's: set minDomains there"},
		{"SQLite on a network's file system", []string{"defaults.persistence.accessMode=ReadWriteMany"}, "persistence.existingClaim=shop-order-service-data"},
		{"a variable that traces need", []string{"traces.endpoint=http://collector:4318", "defaults.env.POD_NAME=a"}, "services.user-service.env.POD_NAME: the chart sets this variable itself"},
		{"a collector at the node's address", []string{"traces.endpoint=http://$(HOST_IP):4318"}, `traces.endpoint is "http://$(HOST_IP):4318", and nothing replaces $(…) in it`},
		{"attributes of spans in a Secret", []string{"traces.endpoint=http://collector:4318", "defaults.env.OTEL_RESOURCE_ATTRIBUTES.valueFrom.secretKeyRef.name=a"}, "services.user-service.env.OTEL_RESOURCE_ATTRIBUTES: write a string, because the chart adds attributes to it"},
		{"a minimum of replicas above the maximum", []string{"defaults.autoscaling.minReplicas=9"}, "minReplicas is more than maxReplicas"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, helm := range helms {
				arguments := templateArguments(t, nil)
				for _, set := range test.set {
					arguments = append(arguments, "--set", set)
				}
				_, said, err := try(t, "", tool(t, helm), arguments...)
				require.Error(t, err, helm)
				require.Contains(t, said, test.says, helm)
			}
		})
	}
}

func TestAnotherReleaseSharesNothing(t *testing.T) {
	helm := tool(t, "helm")
	one := run(t, "", helm, "template", "one", chart, "--kube-version", kubernetes)
	require.NotContains(t, run(t, "", helm, "template", "two", chart, "--kube-version", kubernetes), "name: one-")
	require.Contains(t, one, "name: one-user-service")
}

func TestOldKubernetesIsRefused(t *testing.T) {
	_, said, err := try(t, "", tool(t, "helm"), append(templateArguments(t, nil), "--kube-version", "1.31.9")...)
	require.Error(t, err)
	require.Contains(t, said, "kubeVersion")
	run(t, "", tool(t, "helm"), append(templateArguments(t, nil), "--kube-version", "1.32.1-eks-1a2b3c")...)
}

// The table of values is generated from the comments in values.yaml.
func TestReadmeIsCurrent(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "microservices")
	require.NoError(t, os.MkdirAll(copied, 0o755))
	for _, name := range []string{"Chart.yaml", "values.yaml", "README.md.gotmpl"} {
		b, err := os.ReadFile(filepath.Join(chart, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(copied, name), b, 0o600))
	}
	readme := run(t, "", tool(t, "helm-docs"), "--dry-run", "--log-level", "error",
		"--sort-values-order", "file", "--chart-search-root", copied)
	same(t, filepath.Join(chart, "README.md"), readme)
}

// TestRemovedListsAreEmpty: a list that is set to null is empty, with either Helm.
func TestRemovedListsAreEmpty(t *testing.T) {
	for _, helm := range helms {
		run(t, "", tool(t, helm), append(templateArguments(t, []string{chart + "/values-prod.yaml"}), "--set",
			"image.pullSecrets=null,networkPolicy.ingressFrom=null,networkPolicy.monitoringFrom=null,networkPolicy.ambientMesh=true,networkPolicy.dnsTo=null,networkPolicy.issuers.ports=null,networkPolicy.database.to=null,serviceMonitor.relabelings=null")...)
	}
}

// TestRemovedTextsAreEmpty: a text that may be empty can also be set to null, with either Helm.
func TestRemovedTextsAreEmpty(t *testing.T) {
	for _, helm := range helms {
		for _, installation := range [][]string{nil, {"testdata/postgres.yaml"}, {chart + "/values-prod.yaml"}} {
			run(t, "", tool(t, helm), append(templateArguments(t, installation), "--set",
				"nameOverride=null,image.tag=null,auth.workloads.jwks=null,defaults.image.tag=null,defaults.image.digest=null,defaults.database.url=null,defaults.service.labels=null,ingress.className=null,public.host=null")...)
		}
		out := run(t, "", tool(t, helm), append(templateArguments(t, []string{"testdata/postgres.yaml"}), "--set",
			"defaults.database.caBundle.configMap=null,defaults.database.caBundle.secret=ca")...)
		require.Contains(t, out, "secretName: ca")
	}
}

// TestStringsMayBeNumbers: --set and Argo CD's parameters pass fractions as strings.
func TestStringsMayBeNumbers(t *testing.T) {
	arguments := append(templateArguments(t, nil), "--set", "prometheusRule.enabled=true,dashboards.enabled=true")
	want := run(t, "", tool(t, "helm"), append(arguments, "--set-json", "slo.availability=99.5")...)
	for _, helm := range helms {
		require.ElementsMatch(t, documents(want), documents(run(t, "", tool(t, helm), append(arguments, "--set", "slo.availability=99.5")...)))
	}
}

// TestOwnKeysAreIgnored: values may have keys of their own for YAML's anchors.
func TestOwnKeysAreIgnored(t *testing.T) {
	want := render(t, "helm", nil)
	require.Equal(t, want, run(t, "x-env: {A: b}\n", tool(t, "helm"), append(templateArguments(t, nil), "--values", "-")...))
}

// TestReplicasCanBeLeftToOthers: without replicas in the values, the Deployment doesn't set them,
// with either Helm.
func TestReplicasCanBeLeftToOthers(t *testing.T) {
	for _, helm := range helms {
		for set, want := range map[string]int{"defaults.replicas=3": 2, "defaults.replicas=null": 0, "services.user-service.replicas=null": 1} {
			out := run(t, "", tool(t, helm), append(templateArguments(t, []string{"testdata/postgres.yaml"}), "--set", set)...)
			require.Equal(t, want, strings.Count(out, "\n  replicas: "), "%s %s", helm, set)
		}
	}
}

// Helm accepts these release names, and Kubernetes would reject objects halfway through.
func TestWrongReleaseNamesAreRefused(t *testing.T) {
	for _, name := range []string{"1shop", "shop.v2"} {
		_, said, err := try(t, "", tool(t, "helm"), "template", name, chart, "--kube-version", kubernetes)
		require.Error(t, err, name)
		require.Contains(t, said, "becomes part of host names")
	}
}

// Helm's errors end up in pipelines' logs.
func TestARejectedDSNIsNotPrinted(t *testing.T) {
	for _, helm := range helms {
		for _, url := range []string{"mysql://u:hunter2@h/d", "postgres://u:hunter2@h/d\nx"} {
			_, said, err := try(t, "", tool(t, helm), append(templateArguments(t, nil),
				"--set", "database.mode=postgres", "--set", "services.user-service.database.url="+url)...)
			require.Error(t, err)
			require.Contains(t, said, "database.url")
			require.NotContains(t, said, "hunter2")
		}
	}
}

// Names that YAML would read as a boolean, null or a number stay strings.
func TestNamesStayStrings(t *testing.T) {
	location := schemas(t)
	helm := tool(t, "helm")
	for _, arguments := range [][]string{
		{"no"},
		{"null"},
		{"true"},
		{"shop", "--namespace", "1234"},
		{"shop", "--set", "services.no.port=80"},
		{"shop", "--set", "commonLabels.team=a,serviceMonitor.enabled=true,serviceMonitor.labels.team=b"},
	} {
		t.Run(strings.Join(arguments, " "), func(t *testing.T) {
			validate(t, location, run(t, "", helm, append([]string{"template", "--kube-version", kubernetes, arguments[0], chart}, arguments[1:]...)...))
		})
	}
}

// YAML reads an unquoted NO as false, which would become the variable's name.
func TestVariablesKeepTheirNames(t *testing.T) {
	rendered := run(t, "", tool(t, "helm"), append(templateArguments(t, nil), "--set", "defaults.env.NO=a")...)
	require.Contains(t, rendered, "- name: \"NO\"\n              value: a")
}

// A fork that removes the issuers from these environments gets an error and no rendering.
func TestStagingAndProductionAreNeverOpen(t *testing.T) {
	for _, environment := range []string{"staging", "prod"} {
		for _, required := range []string{"true", "false"} {
			_, said, err := try(t, "", tool(t, "helm"), append(templateArguments(t, []string{chart + "/values-" + environment + ".yaml"}),
				"--set-json", "auth.issuers=[]", "--set", "auth.required="+required)...)
			require.Error(t, err, environment)
			require.Contains(t, said, "auth.issuers is empty", environment)
		}
	}
}
