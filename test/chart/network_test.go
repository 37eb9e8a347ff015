package chart

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type networkPolicy struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Egress []struct {
			To    []any
			Ports []struct{ Port int }
		}
	}
}

// egress returns the ports outside the release that order-service may reach.
func egress(t *testing.T, rendering string) []int {
	t.Helper()
	ports := []int{}
	for _, document := range documents(rendering) {
		var policy networkPolicy
		require.NoError(t, yaml.Unmarshal([]byte(document), &policy))
		if policy.Kind != "NetworkPolicy" || policy.Metadata.Name != "shop-order-service" {
			continue
		}
		for _, rule := range policy.Spec.Egress {
			for _, port := range rule.Ports {
				if rule.To == nil && port.Port != 53 {
					ports = append(ports, port.Port)
				}
			}
		}
	}
	return ports
}

// TestTheNetworkPolicyFollowsEachSetting: the policy allows exactly the connections that a
// service's settings need.
func TestTheNetworkPolicyFollowsEachSetting(t *testing.T) {
	url := func(dsn string) []string {
		return []string{"database.mode=postgres", "services.user-service.database.url=postgres://a@b/c", "services.order-service.database.url=" + dsn}
	}
	secrets := []string{"database.mode=postgres", "services.user-service.database.existingSecret=a", "services.order-service.database.existingSecret=b"}
	away := []string{"services.order-service.upstreams.USER_SERVICE_URL=null"}
	for name, test := range map[string]struct {
		set  []string
		want []int
	}{
		"nothing":                        {nil, []int{}},
		"traces":                         {[]string{"traces.endpoint=http://collector.monitoring:9999"}, []int{9999}},
		"traces, no port":                {[]string{"traces.endpoint=https://otlp.example.com/v1"}, []int{443}},
		"traces, by a Service":           {[]string{"traces.endpoint=http://collector", "networkPolicy.traces.port=4318"}, []int{80, 4318}},
		"traces, by a variable":          {[]string{"defaults.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://[fd00::1]:9999/v1/traces"}, []int{9999}},
		"an issuer":                      {[]string{"auth.issuers[0].issuer=https://id.example.com:8443/realms/shop"}, []int{443, 6443, 8443}},
		"an issuer's keys":               {[]string{"auth.issuers[0].issuer=http://id", "auth.issuers[0].jwks=http://keys.id:8080/jwks"}, []int{443, 6443, 80, 8080}},
		"a database":                     {url("postgres://u:p@db.example.com/orders"), []int{5432}},
		"a pooler":                       {url("postgresql://u:p%40@db:6543/orders?sslmode=require"), []int{6543}},
		"databases":                      {url(`postgres://u@a:5433\,b:5434\,[fd00::1]:5435\,c/orders`), []int{5433, 5434, 5435, 5432}},
		"a database by a Secret":         {secrets, []int{5432}},
		"a pooler by a Secret":           {append(secrets, "networkPolicy.database.port=6543"), []int{6543}},
		"a database's variable":          {append(secrets, `defaults.env.PGPORT=6543\,6544`), []int{5432, 6543, 6544}},
		"its variable in a Secret":       {append(secrets, "defaults.env.PGPORT.valueFrom.secretKeyRef.name=a", "networkPolicy.database.port=6543"), []int{6543}},
		"its usual variable":             {append(secrets, `defaults.env.PGPORT=5432\,5432`), []int{5432}},
		"its empty variable":             {append(secrets, "defaults.env.PGPORT="), []int{5432}},
		"Valkey":                         {[]string{"rateLimit.redis.existingSecret=a"}, []int{6379}},
		"Valkey elsewhere":               {[]string{"rateLimit.redis.existingSecret=a", "networkPolicy.redis.port=6380"}, []int{6380}},
		"an upstream by a variable":      {append(away, "services.order-service.env.USER_SERVICE_URL=https://users.example.com"), []int{443}},
		"its other port":                 {append(away, "services.order-service.env.USER_SERVICE_URL=http://users.example.com:8080/api"), []int{8080}},
		"a proxy":                        {[]string{"defaults.env.HTTPS_PROXY=proxy.example.com:3128", "defaults.env.NO_PROXY=.svc"}, []int{3128}},
		"not an address":                 {[]string{`defaults.env.CORS_ORIGINS=https://shop.example.com`}, []int{}},
		"a port at given addresses only": {append(secrets, "networkPolicy.database.to[0].ipBlock.cidr=10.0.0.0/8"), []int{}},
	} {
		t.Run(name, func(t *testing.T) {
			arguments := templateArguments(t, nil)
			for _, set := range test.set {
				arguments = append(arguments, "--set", set)
			}
			require.Equal(t, test.want, egress(t, run(t, "", tool(t, "helm"), arguments...)))
		})
	}
}

// TestNameServersAreReachedWhereverTheyAre: on EKS Auto Mode, and with a cache on the nodes,
// name servers aren't pods.
func TestNameServersAreReachedWhereverTheyAre(t *testing.T) {
	for _, installation := range installations {
		for _, document := range documents(render(t, "helm", installation.values)) {
			var policy networkPolicy
			require.NoError(t, yaml.Unmarshal([]byte(document), &policy))
			if policy.Kind != "NetworkPolicy" || strings.HasSuffix(policy.Metadata.Name, "default-deny") {
				continue
			}
			require.Equal(t, 53, policy.Spec.Egress[0].Ports[0].Port)
			require.Nil(t, policy.Spec.Egress[0].To, "%s of %s", policy.Metadata.Name, installation.name)
		}
	}
}

// TestNameServersMayUseOtherPorts: a policy applies to the ports of the name servers' pods, which
// differ from their Service's on OpenShift.
func TestNameServersMayUseOtherPorts(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		want      []int
	}{
		{nil, []int{53, 53}},
		{[]string{"--api-versions", "security.openshift.io/v1"}, []int{53, 53, 5353, 5353}},
		{[]string{"--set", "networkPolicy.dnsPorts={53,8053}"}, []int{53, 53, 8053, 8053}},
		{[]string{"--set", "networkPolicy.dnsPorts=null"}, []int{53, 53}},
	} {
		found := 0
		for _, document := range documents(run(t, "", tool(t, "helm"), append(templateArguments(t, nil), test.arguments...)...)) {
			var policy networkPolicy
			require.NoError(t, yaml.Unmarshal([]byte(document), &policy))
			if policy.Kind != "NetworkPolicy" || strings.HasSuffix(policy.Metadata.Name, "default-deny") {
				continue
			}
			found++
			ports := []int{}
			for _, port := range policy.Spec.Egress[0].Ports {
				ports = append(ports, port.Port)
			}
			require.Equal(t, test.want, ports, "%s %v", policy.Metadata.Name, test.arguments)
		}
		require.Equal(t, 3, found, "%v", test.arguments)
	}
}
