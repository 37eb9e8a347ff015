package auth

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestIssuersAreRead(t *testing.T) {
	issuers, err := (&IssuerConfig{AuthIssuers: `[
		{"issuer": "https://id.example.com/", "audience": "user-service"},
		{"issuer": "https://kubernetes.default.svc", "audience": "user-service", "jwks": "https://kubernetes.default.svc/openid/v1/jwks",
		 "profile": "kubernetes", "ca_file": "/ca.crt", "token_file": "/token", "max_life": "90m", "scopes": ["users:lookup"],
		 "grants": [{"subject": "system:serviceaccount:shop:order-service", "scopes": ["users:lookup"]}]},
		{"issuer": "https://cognito.example", "audience": "client", "profile": "jwt", "audience_claim": "client_id", "subject_claim": "uid"}
	]`}).parse()
	require.NoError(t, err)
	require.Equal(t, []Issuer{
		{URL: "https://id.example.com/", Audience: "user-service", Profile: RFC9068, MaxLife: defaultMaxLife},
		{
			URL: "https://kubernetes.default.svc", Audience: "user-service", JWKS: "https://kubernetes.default.svc/openid/v1/jwks",
			Profile: Kubernetes, CAFile: "/ca.crt", TokenFile: "/token",
			Grants: map[string][]string{"system:serviceaccount:shop:order-service": {"users:lookup"}},
			Scopes: []string{"users:lookup"}, MaxLife: 90 * time.Minute,
		},
		{URL: "https://cognito.example", Audience: "client", AudienceClaim: ClientID, SubjectClaim: "uid", Profile: JWT, MaxLife: defaultMaxLife},
	}, issuers)
}

func TestNoIssuers(t *testing.T) {
	issuers, err := (&IssuerConfig{}).parse()
	require.NoError(t, err)
	require.Empty(t, issuers)
	err = (&IssuerConfig{AuthRequired: true}).Validate()
	require.ErrorContains(t, err, "AUTH_ISSUERS must be set")
}

func TestInvalidIssuers(t *testing.T) {
	with := func(members string) string {
		return `[{"issuer":"https://id.example.com","audience":"a",` + members + `}]`
	}
	for name, row := range map[string]struct {
		setting string
		want    []string
	}{
		"no JSON":         {`https://id.example.com`, []string{"AUTH_ISSUERS must be a JSON list such as"}},
		"no list":         {`{"issuer":"https://id.example.com"}`, []string{"AUTH_ISSUERS must be a JSON list"}},
		"empty":           {`[]`, []string{"empty list"}},
		"more than one":   {`[]} {"AUTH_ISSUERS":[]`, []string{"AUTH_ISSUERS must be a JSON list"}},
		"unknown member":  {`[{"issuer":"https://a.example","audience":"a","jwk":"x"}]`, []string{"AUTH_ISSUERS[0] has a field that is not known; known are issuer, audience, audience_claim, subject_claim, jwks, profile"}},
		"members missing": {`[{}]`, []string{"AUTH_ISSUERS[0].issuer", "AUTH_ISSUERS[0].audience"}},
		"all at once": {
			`[{"issuer":"id.example.com","audience":"","jwks":"ftp://x","profile":"oidc"},{"issuer":"id.example.com","audience":"a","profile":"kubernetes"}]`,
			[]string{
				"AUTH_ISSUERS[0].issuer must be a URL", "AUTH_ISSUERS[0].audience", "AUTH_ISSUERS[0].jwks", "AUTH_ISSUERS[0].profile",
				"AUTH_ISSUERS[1].issuer is listed more than once", "AUTH_ISSUERS[1].grants",
			},
		},
		"a secret as a name": {
			`[{"issuer":"https://a.example","audience":"a","secret":"x","issuer.secret":1,"secret[0]":{},"jwks[secret]":[]}]`,
			[]string{"AUTH_ISSUERS[0] has a field"},
		},
		"a secret as a name in a grant":           {with(`"grants":[{"subject":"s","scopes":["a"],"secret":"x"}]`), []string{"AUTH_ISSUERS[0].grants[0] has a field that is not known; known are subject, scopes"}},
		"a secret as a name, far down":            {with(`"secret":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), []string{"AUTH_ISSUERS[0] is nested"}},
		"a secret as a name, too deep":            {with(`"secret":` + strings.Repeat(`{"secret":`, 11000) + "1" + strings.Repeat("}", 11000)), []string{"is nested"}},
		"a secret twice":                          {with(`"secret":1,"secret":2`), []string{"the same field twice"}},
		"a secret beside the list":                {`[],"secret":[]`, []string{"has a field that is not known"}},
		"a secret that is no JSON":                {with(`"secret":secret`), []string{"unexpected character"}},
		"a password":                              {`[{"issuer":"https://ada:secret@id.example.com","audience":"a"}]`, []string{"AUTH_ISSUERS[0].issuer must be"}},
		"a token in the open":                     {`[{"issuer":"http://id.example.com","audience":"a","token_file":"/token"}]`, []string{"AUTH_ISSUERS[0].token_file needs a jwks that starts with https://"}},
		"a token file without jwks":               {`[{"issuer":"https://id.example.com","audience":"a","token_file":"/token"}]`, []string{"AUTH_ISSUERS[0].token_file needs a jwks"}},
		"a relative file":                         {`[{"issuer":"https://id.example.com","audience":"a","jwks":"file://jwks.json"}]`, []string{"AUTH_ISSUERS[0].jwks must be"}},
		"no grants":                               {`[{"issuer":"https://id.example.com","audience":"a","grants":[]}]`, []string{"AUTH_ISSUERS[0].grants must list"}},
		"an empty grant":                          {`[{"issuer":"https://id.example.com","audience":"a","grants":[{"subject":"s","scopes":[]}]}]`, []string{"AUTH_ISSUERS[0].grants[0]"}},
		"a grant without subject":                 {with(`"grants":[{"subject":"","scopes":["a"]}]`), []string{"AUTH_ISSUERS[0].grants[0]"}},
		"a grant of no scope":                     {with(`"grants":[{"subject":"s","scopes":[""]}]`), []string{"AUTH_ISSUERS[0].grants[0]"}},
		"a grant beyond scopes":                   {with(`"scopes":["a"],"grants":[{"subject":"s","scopes":["a","admin"]}]`), []string{"AUTH_ISSUERS[0].grants[0] must have only scopes that are listed in scopes"}},
		"no scopes":                               {with(`"scopes":[]`), []string{"AUTH_ISSUERS[0].scopes must list"}},
		"an empty scope":                          {with(`"scopes":[""]`), []string{"AUTH_ISSUERS[0].scopes must list"}},
		"an invalid life":                         {with(`"max_life":"1"`), []string{"AUTH_ISSUERS[0].max_life must be"}},
		"too short a life":                        {with(`"max_life":"59s"`), []string{"AUTH_ISSUERS[0].max_life must be"}},
		"another audience claim":                  {with(`"profile":"jwt","audience_claim":"azp"`), []string{"AUTH_ISSUERS[0].audience_claim must be client_id"}},
		"an audience claim where aud is required": {with(`"audience_claim":"client_id"`), []string{"AUTH_ISSUERS[0].audience_claim must be client_id"}},
		"blanks":                            {" ", []string{"AUTH_ISSUERS must be a JSON list"}},
		"a subject claim that users change": {with(`"subject_claim":"email"`), []string{"AUTH_ISSUERS[0].subject_claim must name a claim that users can't change"}},
		"no subject claim":                  {with(`"subject_claim":""`), []string{"AUTH_ISSUERS[0].subject_claim must name"}},
		"a subject claim of a cluster":      {with(`"profile":"kubernetes","grants":[{"subject":"s","scopes":["a"]}],"subject_claim":"uid"`), []string{"AUTH_ISSUERS[0].subject_claim must name"}},
		"an issuer with a fragment":         {`[{"issuer":"https://id.example.com#x","audience":"a"}]`, []string{"AUTH_ISSUERS[0].issuer must be"}},
		"an issuer without a host":          {`[{"issuer":"https:///x","audience":"a"}]`, []string{"AUTH_ISSUERS[0].issuer must be"}},
		"an issuer that is a file":          {`[{"issuer":"file:///x","audience":"a"}]`, []string{"AUTH_ISSUERS[0].issuer must be"}},
		"a file of another host":            {with(`"jwks":"file://host/jwks.json"`), []string{"AUTH_ISSUERS[0].jwks must be"}},
		"a file without a slash":            {with(`"jwks":"file:jwks.json"`), []string{"AUTH_ISSUERS[0].jwks must be"}},
		"a token over http":                 {with(`"jwks":"http://id.example.com/jwks","token_file":"/token"`), []string{"AUTH_ISSUERS[0].token_file needs a jwks that starts with https://"}},
		"a token for a file":                {with(`"jwks":"file:///jwks.json","token_file":"/token"`), []string{"AUTH_ISSUERS[0].token_file"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&IssuerConfig{AuthIssuers: row.setting}).Validate()
			require.Error(t, err)
			for _, want := range row.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "secret", "the error shows a value")
		})
	}
}

func TestInvalidCAFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.crt")
	setting := `[{"issuer":"https://id.example.com","audience":"a","ca_file":"` + path + `"}]`
	_, err := New(IssuerConfig{AuthIssuers: setting}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.ErrorContains(t, err, "ca_file")
	require.NoError(t, os.WriteFile(path, []byte("nothing"), 0o600))
	_, err = New(IssuerConfig{AuthIssuers: setting}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.ErrorContains(t, err, "no certificate")
}

func TestKeysOverHTTPCauseAWarning(t *testing.T) {
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
		require.Equal(t, warned, strings.Contains(log.String(), "are fetched over http"), setting)
	}
}

// TestIssuersWithoutScopesCauseAWarning: one per issuer.
func TestIssuersWithoutScopesCauseAWarning(t *testing.T) {
	for members, warned := range map[string]bool{
		``:                          true,
		`,"scopes":["admin"]`:       false,
		`,"scopes":["orders:read"]`: false,
		`,"profile":"jwt"`:          true,
		`,"grants":[{"subject":"s","scopes":["admin"]}]`: false,
	} {
		var log bytes.Buffer
		v, err := New(IssuerConfig{AuthIssuers: `[{"issuer":"https://id.example.com","audience":"a"` + members + `}]`}, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
		require.NoError(t, err)
		v.Close()
		require.Equal(t, warned, strings.Contains(log.String(), "may grant admin"), members)
		require.Equal(t, warned, strings.Contains(log.String(), "level=WARN"), members)
	}
}

func TestGrantsOfOneSubjectAreCombined(t *testing.T) {
	issuers, err := (&IssuerConfig{AuthIssuers: `[{"issuer":"https://a.example","audience":"a","grants":[{"subject":"s","scopes":["a"]},{"subject":"s","scopes":["b"]}]}]`}).parse()
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"s": {"a", "b"}}, issuers[0].Grants)
}

func TestTheMaximumLifeIsTheIssuersOrTheDefault(t *testing.T) {
	const setting = `[{"issuer":"https://a.example","audience":"a"},{"issuer":"https://b.example","audience":"a","max_life":"1h"}]`
	issuers, err := (&IssuerConfig{AuthIssuers: setting, AuthMaxTokenLife: 2 * time.Hour}).parse()
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, issuers[0].MaxLife)
	require.Equal(t, time.Hour, issuers[1].MaxLife)
	field, _ := reflect.TypeFor[IssuerConfig]().FieldByName("AuthMaxTokenLife")
	require.Equal(t, defaultMaxLife.String(), field.Tag.Get("default")+"0m0s")
	require.Equal(t, minMaxLife.String(), field.Tag.Get("min")+"0s")
}
