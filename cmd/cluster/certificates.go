package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority signs the cluster's certificates. Its key is never written to disk.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	serial      int64
}

// validity of all certificates: a cluster lives for days.
const validity = 30 * 24 * time.Hour

// writeCertificates creates an authority and certificates for the API server, the kubelet
// and the administrator, whose certificate all clients use. It also creates the key that
// signs ServiceAccount tokens.
func writeCertificates(s state) error {
	err := os.MkdirAll(s.path("pki"), 0o700)
	if err != nil {
		return err
	}
	ca := &authority{}
	err = ca.issue(s, "ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: "microservices"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		return err
	}
	server := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for name, template := range map[string]*x509.Certificate{
		"apiserver": {
			Subject: pkix.Name{CommonName: "kube-apiserver"}, ExtKeyUsage: server,
			IPAddresses: []net.IP{net.ParseIP(nodeAddress), net.ParseIP(apiService), net.ParseIP("127.0.0.1")},
			DNSNames:    []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		},
		"kubelet": {Subject: pkix.Name{CommonName: nodeName}, ExtKeyUsage: server, IPAddresses: []net.IP{net.ParseIP(nodeAddress)}},
		"admin":   {Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}, ExtKeyUsage: client},
		// Only the key is used, to sign tokens.
		"service-account": {Subject: pkix.Name{CommonName: "service-account"}},
	} {
		err = ca.issue(s, name, template)
		if err != nil {
			return fmt.Errorf("certificate of %s: %w", name, err)
		}
	}
	return writeKubeconfig(s)
}

// issue creates a key and a certificate from the template. The first certificate is the
// authority's own.
func (a *authority) issue(s state, name string, template *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.NotBefore = time.Now().Add(-time.Minute)
	template.NotAfter = template.NotBefore.Add(validity)
	if template.KeyUsage == 0 {
		template.KeyUsage = x509.KeyUsageDigitalSignature
	}
	if a.certificate == nil {
		a.certificate, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	files := map[string]string{
		s.cert(name):               encode("CERTIFICATE", der),
		s.key(name):                encode("PRIVATE KEY", private),
		s.path("pki", name+".pub"): encode("PUBLIC KEY", public),
	}
	if key == a.key {
		delete(files, s.key(name))
	}
	return writeFiles(files)
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// writeKubeconfig writes the administrator's kubeconfig, with embedded certificates.
func writeKubeconfig(s state) error {
	data := map[string]string{}
	for _, file := range []string{s.cert("ca"), s.cert("admin"), s.key("admin")} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		data[file] = base64.StdEncoding.EncodeToString(text)
	}
	return writeFiles(map[string]string{s.kubeconfig(): fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: microservices
clusters:
  - name: microservices
    cluster: {server: %q, certificate-authority-data: %s}
contexts:
  - name: microservices
    context: {cluster: microservices, user: admin}
users:
  - name: admin
    user: {client-certificate-data: %s, client-key-data: %s}
`, apiURL, data[s.cert("ca")], data[s.cert("admin")], data[s.key("admin")])})
}
