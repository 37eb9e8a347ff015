package auth

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestIssuersAreRead(t *testing.T) {
	issuers, err := (&IssuerConfig{AuthIssuers: `[
		{"issuer": "https://id.example.com/", "audience": "user-service"},
		{"issuer": "https://kubernetes.default.svc", "audience": "user-service", "jwks": "https://kubernetes.default.svc/openid/v1/jwks",
		 "profile": "kubernetes", "ca_file": "/ca.crt", "token_file": "/token",
		 "grants": [{"subject": "system:serviceaccount:shop:order-service", "scopes": ["users:lookup"]}]}
	]`}).parse()
	require.NoError(t, err)
	require.Equal(t, []Issuer{
		{URL: "https://id.example.com/", Audience: "user-service", Profile: RFC9068},
		{
			URL: "https://kubernetes.default.svc", Audience: "user-service", JWKS: "https://kubernetes.default.svc/openid/v1/jwks",
			Profile: Kubernetes, CAFile: "/ca.crt", TokenFile: "/token",
			Grants: map[string][]string{"system:serviceaccount:shop:order-service": {"users:lookup"}},
		},
	}, issuers)
}

func TestNoIssuers(t *testing.T) {
	issuers, err := (&IssuerConfig{AuthIssuers: " "}).parse()
	require.NoError(t, err)
	require.Empty(t, issuers)
	err = (&IssuerConfig{AuthRequired: true}).Validate()
	require.ErrorContains(t, err, "AUTH_ISSUERS must be set")
}

func TestIssuersThatAreWrong(t *testing.T) {
	for name, row := range map[string]struct {
		setting string
		want    []string
	}{
		"no JSON":         {`https://id.example.com`, []string{"AUTH_ISSUERS must be a JSON list such as"}},
		"no list":         {`{"issuer":"https://id.example.com"}`, []string{"AUTH_ISSUERS must be a JSON list"}},
		"empty":           {`[]`, []string{"empty list"}},
		"more than one":   {`[]} {"AUTH_ISSUERS":[]`, []string{"AUTH_ISSUERS must be a JSON list"}},
		"unknown member":  {`[{"issuer":"https://a.example","audience":"a","jwk":"x"}]`, []string{"AUTH_ISSUERS[0].jwk"}},
		"members missing": {`[{}]`, []string{"AUTH_ISSUERS[0].issuer", "AUTH_ISSUERS[0].audience"}},
		"all at once": {
			`[{"issuer":"id.example.com","audience":"","jwks":"ftp://x","profile":"oidc"},{"issuer":"id.example.com","audience":"a","profile":"kubernetes"}]`,
			[]string{
				"AUTH_ISSUERS[0].issuer must be a URL", "AUTH_ISSUERS[0].audience", "AUTH_ISSUERS[0].jwks", "AUTH_ISSUERS[0].profile",
				"AUTH_ISSUERS[1].issuer is there already", "AUTH_ISSUERS[1].grants",
			},
		},
		"a password":           {`[{"issuer":"https://ada:secret@id.example.com","audience":"a"}]`, []string{"AUTH_ISSUERS[0].issuer must be"}},
		"a token in the open":  {`[{"issuer":"http://id.example.com","audience":"a","token_file":"/token"}]`, []string{"AUTH_ISSUERS[0].token_file is sent to https:// only"}},
		"a token to whom else": {`[{"issuer":"https://id.example.com","audience":"a","token_file":"/token"}]`, []string{"and to a jwks that is given"}},
		"a relative file":      {`[{"issuer":"https://id.example.com","audience":"a","jwks":"file://jwks.json"}]`, []string{"AUTH_ISSUERS[0].jwks must be"}},
		"no grants":            {`[{"issuer":"https://id.example.com","audience":"a","grants":[]}]`, []string{"AUTH_ISSUERS[0].grants must say"}},
		"an empty grant":       {`[{"issuer":"https://id.example.com","audience":"a","grants":[{"subject":"s","scopes":[]}]}]`, []string{"AUTH_ISSUERS[0].grants[0]"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&IssuerConfig{AuthIssuers: row.setting}).Validate()
			require.Error(t, err)
			for _, want := range row.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "secret", "no value is shown")
		})
	}
}

func TestFilesThatAreWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.crt")
	setting := `[{"issuer":"https://id.example.com","audience":"a","ca_file":"` + path + `"}]`
	_, err := New(IssuerConfig{AuthIssuers: setting}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.ErrorContains(t, err, "ca_file")
	require.NoError(t, os.WriteFile(path, []byte("nothing"), 0o600))
	_, err = New(IssuerConfig{AuthIssuers: setting}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.ErrorContains(t, err, "no certificate")
}

func TestKeysInTheOpenAreWarnedOf(t *testing.T) {
	for setting, warned := range map[string]bool{
		`{"issuer":"https://id.example.com","audience":"a"}`:                                false,
		`{"issuer":"http://id.example.com","audience":"a"}`:                                 true,
		`{"issuer":"https://id.example.com","audience":"a","jwks":"http://10.0.0.1/jwks"}`:  true,
		`{"issuer":"http://id.example.com","audience":"a","jwks":"https://id.example.com"}`: false,
		`{"issuer":"https://id.example.com","audience":"a","jwks":"http://127.0.0.1/jwks"}`: false,
		`{"issuer":"http://localhost:8080","audience":"a"}`:                                 false,
		`{"issuer":"https://id.example.com","audience":"a","jwks":"file:///jwks.json"}`:     false,
	} {
		var log bytes.Buffer
		v, err := New(IssuerConfig{AuthIssuers: "[" + setting + "]"}, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
		require.NoError(t, err)
		v.Close()
		require.Equal(t, warned, strings.Contains(log.String(), "level=WARN"), setting)
	}
}

func TestOpenIsSaidOnce(t *testing.T) {
	var log bytes.Buffer
	_, err := New(IssuerConfig{}, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	require.Contains(t, log.String(), "AUTH_ISSUERS")
}
