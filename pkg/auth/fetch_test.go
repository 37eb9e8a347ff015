package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
)

// TestDiscoveryOverHTTPStaysOnTheIssuersHost: somebody on the path to another host could
// replace the keys.
func TestDiscoveryOverHTTPStaysOnTheIssuersHost(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		i.ServeHTTP(w, r)
	}))
	t.Cleanup(other.Close)
	var keys atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			_, _ = io.WriteString(w, `{"issuer":"`+i.URL+`","jwks_uri":"`+*keys.Load()+`"}`)
			return
		}
		i.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	i.URL = server.URL
	check := func(address string) error {
		keys.Store(&address)
		return newVerifier(t, i.Setting(audience, "")).Check(t.Context())
	}
	require.NoError(t, check(server.URL+"/keys"))
	// Another host than the issuer's: another port, and another name.
	require.ErrorContains(t, check(other.URL+"/keys"), "jwks_uri")
	require.ErrorContains(t, check(strings.Replace(server.URL, "127.0.0.1", "localhost", 1)+"/keys"), "jwks_uri")
	require.Zero(t, asked.Load(), "no request was sent")
}

// TestDiscoveryNeverReadsAFile: not even one with keys.
func TestDiscoveryNeverReadsAFile(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	set, err := i.JWKS()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(path, set, 0o600))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"issuer":"`+i.URL+`","jwks_uri":"file://`+path+`"}`)
	}))
	t.Cleanup(server.Close)
	i.URL = server.URL
	require.NoError(t, newVerifier(t, i.Setting(audience, "file://"+path)).Check(t.Context()), "a configured file is read")
	require.ErrorContains(t, newVerifier(t, i.Setting(audience, "")).Check(t.Context()), "jwks_uri")
}

// TestTheRequestForKeys: the request bypasses caches, and only a 200 is accepted.
func TestTheRequestForKeys(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	for status, good := range map[int]bool{http.StatusOK: true, http.StatusNonAuthoritativeInfo: false, http.StatusPartialContent: false, http.StatusBadGateway: false} {
		var header http.Header
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			header = r.Header
			w.WriteHeader(status)
			i.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		require.Equal(t, good, newVerifier(t, i.Setting(audience, server.URL)).Check(t.Context()) == nil, status)
		require.Equal(t, "no-cache", header.Get("Cache-Control"))
		require.Empty(t, header.Get("Authorization"))
	}
}

// TestACAFileReplacesTheSystemsCertificates: only the file's certificates are trusted.
func TestACAFileReplacesTheSystemsCertificates(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(i)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(path, pemOf(server.Certificate().Raw), 0o600))
	v := newVerifier(t, i.Setting(audience, server.URL, `"ca_file":"`+path+`"`))
	require.NoError(t, v.Check(t.Context()))
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	config := v.issuers[i.URL].source.client.Transport.(*http.Transport).TLSClientConfig
	require.True(t, roots.Equal(config.RootCAs))
	require.EqualValues(t, tls.VersionTLS12, config.MinVersion)

	require.NoError(t, os.WriteFile(path, pemOf(anotherCertificate(t)), 0o600))
	require.Error(t, newVerifier(t, i.Setting(audience, server.URL, `"ca_file":"`+path+`"`)).Check(t.Context()))
}

// anotherCertificate returns an unrelated self-signed certificate, in DER.
func anotherCertificate(t *testing.T) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	return der
}

// TestTheSizeOfAKeySetIsLimited: a larger answer is rejected, even if it has keys.
func TestTheSizeOfAKeySetIsLimited(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	set, err := i.JWKS()
	require.NoError(t, err)
	padded := func(size int) []byte { return append(bytes.Repeat([]byte(" "), size-len(set)), set...) }
	var answer atomic.Pointer[[]byte]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(*answer.Load()) }))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "jwks.json")
	for _, from := range []string{server.URL, (&url.URL{Scheme: "file", Path: path}).String()} {
		for size, fits := range map[int]bool{maxFetch: true, maxFetch + 1: false} {
			content := padded(size)
			answer.Store(&content)
			require.NoError(t, os.WriteFile(path, content, 0o600))
			err := newVerifier(t, i.Setting(audience, from)).Check(t.Context())
			if fits {
				require.NoError(t, err, from)
				continue
			}
			require.ErrorContains(t, err, "larger than", from)
		}
	}
}

// zeros is an endless reader that counts what was read.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += len(p)
	return len(p), nil
}

func TestAnEndlessKeySetIsReadToItsLimitOnly(t *testing.T) {
	var endless zeros
	_, err := readAll(io.LimitReader(&endless, 16*maxFetch))
	require.Error(t, err)
	require.LessOrEqual(t, endless.read, 2*maxFetch)
}
