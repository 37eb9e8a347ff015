//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
)

// TestAPasswordChangeFailsNoRequest changes the database's password during writes. The
// PostgreSQL requires TLS, with a certificate of a private authority, and the login is in a
// Secret with a user and a password.
func TestAPasswordChangeFailsNoRequest(t *testing.T) {
	const sessions = 4 // minimum per pod
	n := newNamespace(t)
	host := os.Getenv("E2E_HOST")
	require.NotEmpty(t, host, "E2E_HOST must be an address of this machine that pods reach")
	authority, certificate, key := certificates(t, host)
	server, err := postgres.Start(t.Context(), postgres.Options{
		Listen: host, Port: 5433,
		Settings: map[string]string{"ssl": "on"},
		Files: map[string]string{
			"server.crt": certificate, "server.key": key,
			"pg_hba.conf": "host all postgres all scram-sha-256\nhostssl all all all scram-sha-256\n",
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	admin, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.WithoutCancel(t.Context()))) }()
	set := func(statement string) {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	secret := func(service, password string) {
		n.apply(fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s-app}\nstringData: {username: %q, password: %q}\n", service, service, password))
	}
	n.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: private-ca}\ndata:\n  ca.crt: |\n    " + strings.ReplaceAll(strings.TrimSpace(authority), "\n", "\n    ") + "\n")
	values := "database: {mode: postgres}\nnetworkPolicy: {database: {port: 5433}}\ndefaults:\n  env: {DATABASE_TLS: required, USER_CLIENT_CACHE_TTL: 0s}\n  database: {caBundle: {configMap: private-ca}}\nservices:\n"
	for service := range ports {
		set(fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD 'f1rst #@/'", service))
		set(fmt.Sprintf("CREATE DATABASE %q OWNER %q", service, service))
		secret(service, "f1rst #@/")
		values += fmt.Sprintf("  %s: {database: {url: \"postgres://%s:5433/%s?sslmode=verify-full&pool_min_conns=%d&pool_max_conn_lifetime=80s&pool_health_check_period=1s\", credentials: {existingSecret: %s-app}}}\n", service, host, service, sessions, service)
	}
	n.install(installation{images: releases[0], values: values})
	pods := n.podNames()
	load := n.startLoad(loadRate, "")

	for service := range ports {
		set(fmt.Sprintf("ALTER ROLE %q PASSWORD 's3cond'", service))
	}
	// The old password stops working first, and the Secret changes later, as with an external store.
	written := len(load.report().Writes)
	n.eventually("writes continue", func() bool { return len(load.report().Writes) > written+2*loadRate })
	for service := range ports {
		secret(service, "s3cond")
	}
	changed := time.Now()
	n.kubectl("annotate", "pods", "--selector=app.kubernetes.io/part-of=microservices", "example.com/look=again") // makes the kubelet update the mounted Secret at once
	// No session is ended by force: each is replaced at the end of its lifetime.
	n.eventually("all sessions use the new password", func() bool {
		var old, renewed int
		require.NoError(t, admin.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE backend_start < to_timestamp($1)), count(DISTINCT client_addr) FILTER (WHERE backend_start > to_timestamp($1)) FROM pg_stat_activity WHERE usename IN ('user-service', 'order-service')", float64(changed.Unix())).Scan(&old, &renewed))
		return old == 0 && renewed == len(pods)
	})
	figure("a changed password: time from the Secret to all connections", time.Since(changed).Seconds(), "s")
	written = len(load.report().Writes)
	n.eventually("writes continue", func() bool { return len(load.report().Writes) > written+2*loadRate })
	report := load.stop()
	t.Logf("result: %s", report)
	require.Empty(t, report.failures())
	require.Equal(t, pods, n.podNames(), "a pod was replaced")
	for service := range ports {
		for _, p := range n.pods(service) {
			require.Zero(t, p.Status.ContainerStatuses[0].RestartCount, "a pod was restarted")
		}
	}
	var plain int
	require.NoError(t, admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename <> 'postgres' AND a.datname IS NOT NULL AND NOT s.ssl").Scan(&plain))
	require.Zero(t, plain)

	t.Run("another authority's certificate is rejected", func(t *testing.T) {
		other, _, _ := certificates(t, host)
		n.kubectl("create", "configmap", "other-ca", "--from-literal=ca.crt="+other)
		arguments := installation{images: releases[0], values: strings.Replace(values, "private-ca", "other-ca", 1)}.arguments(t)
		out, err := n.tryHelm(append([]string{"upgrade"}, append(arguments, "--wait=hookOnly")...)...)
		require.NoError(t, err, out)
		n.eventually("the migration reports the certificate", func() bool {
			out, _ := n.try("logs", "--selector=app.kubernetes.io/part-of=microservices", "--container=migrate", "--tail=20")
			return strings.Contains(out, "certificate signed by unknown authority")
		})
		require.Subset(t, n.podNames(), pods, "an old pod is gone")
	})
}

// certificates returns the certificates of a new authority and of a server at an address, and
// the server's key.
func certificates(t *testing.T, address string) (authority, server, key string) {
	t.Helper()
	issue := func(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (string, *ecdsa.PrivateKey) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		if by == nil {
			by = own
		}
		template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, own.Public(), by)
		require.NoError(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), own
	}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "private"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	authority, caKey := issue(ca, ca, nil)
	server, serverKey := issue(&x509.Certificate{Subject: pkix.Name{CommonName: "db"}, IPAddresses: []net.IP{net.ParseIP(address)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, caKey)
	der, err := x509.MarshalPKCS8PrivateKey(serverKey)
	require.NoError(t, err)
	return authority, server, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
