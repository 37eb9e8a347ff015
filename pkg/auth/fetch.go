package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

const (
	// fetchTimeout limits fetching the keys, including the discovery.
	fetchTimeout = 5 * time.Second
	// maxFetch is the maximum size of an answer, in bytes.
	maxFetch = 1 << 20
)

// source fetches an issuer's keys.
type source struct {
	issuer Issuer
	client *http.Client
}

// newSource returns the source of an issuer's keys. It returns an error if the CA file
// can't be read.
func newSource(issuer Issuer) (*source, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// One connection, closed soon: keys are seldom fetched.
	transport.MaxConnsPerHost, transport.IdleConnTimeout = 1, time.Second
	if issuer.CAFile != "" {
		pem, err := os.ReadFile(issuer.CAFile)
		if err != nil {
			return nil, fmt.Errorf("AUTH_ISSUERS: ca_file: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("AUTH_ISSUERS: ca_file holds no certificate in PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &source{issuer: issuer, client: &http.Client{
		Transport: transport, // requests end with their contexts
		// A redirect would lead to keys that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// fetch returns the issuer's current JWK set (RFC 7517, section 5).
func (s *source) fetch(ctx context.Context) ([]byte, error) {
	address := s.issuer.JWKS
	if address == "" {
		var err error
		address, err = s.discover(ctx)
		if err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		return readFile(u.Path)
	}
	return s.get(ctx, address)
}

// discover returns the URL of the keys from the issuer's OpenID configuration (OpenID
// Connect Discovery 1.0, section 4).
func (s *source) discover(ctx context.Context) (string, error) {
	body, err := s.get(ctx, strings.TrimSuffix(s.issuer.URL, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var document struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	err = json.Unmarshal(body, &document)
	if err != nil {
		return "", fmt.Errorf("the OpenID configuration is not JSON: %w", err)
	}
	if document.Issuer != s.issuer.URL {
		return "", errors.New("the OpenID configuration has another issuer")
	}
	issuer, err := url.Parse(s.issuer.URL)
	if err != nil {
		return "", err
	}
	// Never from https to http, by http never to another host, and never to a file.
	keys, err := url.Parse(document.JWKS)
	if err != nil || !validURL(document.JWKS, "https", issuer.Scheme) || keys.Scheme == "http" && keys.Host != issuer.Host {
		return "", errors.New("the OpenID configuration has no usable jwks_uri: it must be https, or http on the host of an http issuer")
	}
	return document.JWKS, nil
}

func (s *source) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	// RFC 7517, section 8.5.1. A cluster's API server serves its keys only as jwk-set+json.
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("Cache-Control", "no-cache")
	if s.issuer.TokenFile != "" {
		token, err := readToken(s.issuer.TokenFile)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", address, response.Status)
	}
	return readAll(response.Body)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(file)
}

func readAll(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxFetch+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxFetch {
		return nil, fmt.Errorf("the content is larger than %d bytes", maxFetch)
	}
	return body, nil
}

func (s *source) close() { s.client.CloseIdleConnections() }
