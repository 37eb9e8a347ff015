package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func readCertificate(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block, file)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return certificate
}

func TestServerCertificatesHaveEveryName(t *testing.T) {
	s := state(filepath.Join(t.TempDir(), ".cache", "cluster"))
	require.NoError(t, writeCertificates(s))
	roots := x509.NewCertPool()
	roots.AddCert(readCertificate(t, s.cert("ca")))
	for server, names := range map[string][]string{
		"apiserver": {nodeAddress, apiService, "127.0.0.1", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		"kubelet":   {nodeAddress},
	} {
		for _, name := range names {
			_, err := readCertificate(t, s.cert(server)).Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
			require.NoError(t, err, "%s as %s", server, name)
		}
	}
}

func TestTheAdministratorsCertificateIsForClientsOnly(t *testing.T) {
	s := state(filepath.Join(t.TempDir(), ".cache", "cluster"))
	require.NoError(t, writeCertificates(s))
	roots := x509.NewCertPool()
	roots.AddCert(readCertificate(t, s.cert("ca")))
	admin := readCertificate(t, s.cert("admin"))
	_, err := admin.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.NoError(t, err)
	require.Equal(t, []string{"system:masters"}, admin.Subject.Organization)
	_, err = admin.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	require.Error(t, err)
}
