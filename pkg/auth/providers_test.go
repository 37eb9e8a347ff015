package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
)

// published is a token of an identity provider, as shown on the page source. Its times
// are moved to the present.
type published struct {
	source         string
	header, claims string
}

const (
	plainHeader = `{"alg":"RS256"}` // and a kid
	typedHeader = `{"alg":"RS256","typ":"JWT"}`
)

var (
	auth0 = published{
		source: "https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles (Auth0 profile)",
		header: typedHeader,
		claims: `{"iss":"https://my-domain.auth0.com/","sub":"auth0|123456","aud":["https://example.com/health-api","https://my-domain.auth0.com/userinfo"],
			"azp":"my_client_id","exp":1311281970,"iat":1311280970,"scope":"openid profile read:patients read:admin","permissions":["read:patients"]}`,
	}
	auth0RFC9068 = published{
		source: "https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles (RFC 9068 profile)",
		header: `{"alg":"RS256","typ":"at+jwt"}`,
		claims: `{"iss":"https://my-domain.auth0.com/","sub":"auth0|123456","aud":["https://example.com/health-api","https://my-domain.auth0.com/userinfo"],
			"client_id":"my_client_id","exp":1311281970,"iat":1311280970,"jti":"73WakrfVbNJBaAmhQtEeDv","scope":"openid profile read:patients read:admin"}`,
	}
	entra = published{
		source: "https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens (v2.0)",
		header: typedHeader,
		claims: `{"aud":"6e74172b-be56-4843-9ff4-e66a39bb12e3","iss":"https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
			"iat":1537231048,"nbf":1537231048,"exp":1537234948,"azp":"6e74172b-be56-4843-9ff4-e66a39bb12e3","azpacr":"0","name":"Abe Lincoln",
			"oid":"690222be-ff1a-4d56-abd1-7e4f7d38e474","preferred_username":"abeli@microsoft.com","rh":"I","scp":"access_as_user",
			"sub":"HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ","tid":"72f988bf-86f1-41af-91ab-2d7cd011db47","uti":"fqiBqXLPj0eQa82S-IYFAA","ver":"2.0"}`,
	}
	entraOfAnApp = published{
		source: "https://learn.microsoft.com/en-us/answers/questions/256281/microsoft-azure-ad-jwt-token-is-missing-scope-info",
		header: typedHeader,
		claims: `{"aud":"6e74172b-be56-4843-9ff4-e66a39bb12e3","iss":"https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
			"iat":1612310376,"nbf":1612310376,"exp":1612314276,"azp":"app","azpacr":"1","oid":"app","roles":["API.WRITER","API.READER"],"sub":"app","ver":"2.0"}`,
	}
	entraID = published{
		source: "https://learn.microsoft.com/en-us/entra/identity-platform/id-tokens (v2.0), with the audience of the access token",
		header: typedHeader,
		claims: `{"ver":"2.0","iss":"https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0","sub":"AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
			"aud":"6e74172b-be56-4843-9ff4-e66a39bb12e3","exp":1536361411,"iat":1536274711,"nbf":1536274711,"name":"Abe Lincoln","nonce":"123523"}`,
	}
	okta = published{
		source: "https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#access-token-payload",
		header: plainHeader,
		claims: `{"ver":1,"jti":"AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE","iss":"https://example.okta.com/oauth2/default","aud":"https://api.example.com",
			"sub":"00ujmkLgagxeRrAg20g3","iat":1467145094,"exp":1467148694,"cid":"nmdP1fcyvdVO11AL7ECm","uid":"00ujmkLgagxeRrAg20g3",
			"scp":["openid","email","flights","custom"],"auth_time":1467142021,"custom_claim":"CustomValue"}`,
	}
	oktaID = published{
		source: "https://groups.google.com/g/rabbitmq-users/c/O3GdCKf8soM/m/ZsjMcizrAgAJ, with the audience of the access token",
		header: plainHeader,
		claims: `{"sub":"yyyyy","name":"xxxx","ver":1,"iss":"https://example.okta.com/oauth2/default","aud":"https://api.example.com","iat":1688146471,"exp":1688150071,
			"jti":"ID.radCQMOQUmyvcTBmmIL0J6BaS60apUEiC7-vI7pOmkw","amr":["pwd"],"auth_time":1688145909,"at_hash":"fPlsvVszI29LU2UhDyJ9vg"}`,
	}
	cognito = published{
		source: "https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html, without resource binding",
		header: plainHeader,
		claims: `{"sub":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","device_key":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","cognito:groups":["testgroup"],
			"iss":"https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example","version":2,"client_id":"xxxxxxxxxxxxexample","token_use":"access",
			"scope":"phone openid profile resourceserver.1/appclient2 email","auth_time":1676313851,"exp":1676317451,"iat":1676313851,"username":"my-test-user"}`,
	}
	cognitoBound = published{
		source: "https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html, with resource binding",
		header: plainHeader,
		claims: `{"sub":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","iss":"https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example","version":2,
			"client_id":"xxxxxxxxxxxxexample","aud":"https://api.example.com","token_use":"access","scope":"openid resourceserver.1/appclient2","exp":1676317451,"iat":1676313851}`,
	}
	cognitoID = published{
		source: "https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html",
		header: plainHeader,
		claims: `{"sub":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","iss":"https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example","cognito:username":"my-test-user",
			"aud":"xxxxxxxxxxxxexample","event_id":"64f513be-32db-42b0-b78e-b02127b4f463","token_use":"id","auth_time":1676312777,"exp":1676316377,"iat":1676312777}`,
	}
	keycloak = published{
		source: "https://gist.github.com/phacman/bd288c7abac1d3fc1694b7e191e27e4c, with an audience mapper",
		header: typedHeader,
		claims: `{"exp":1673171296,"iat":1673170996,"jti":"d58f5dc8-fd8f-462b-8a19-716f8f83985b","iss":"https://id.example.com/realms/something","aud":["account","user-service"],
			"sub":"36fa0f91-f94d-4a0c-afed-6b7d952e47da","typ":"Bearer","azp":"something","session_state":"2a88c258-f73a-4103-b862-e1fbd8f4e04e","acr":"1",
			"realm_access":{"roles":["offline_access"]},"scope":"email profile","sid":"2a88c258-f73a-4103-b862-e1fbd8f4e04e","email_verified":true}`,
	}
	keycloakRFC9068 = published{
		source: `https://github.com/keycloak/keycloak/pull/37573: Use "at+jwt" as access token header type`,
		header: `{"alg":"RS256","typ":"at+jwt"}`,
		claims: keycloak.claims,
	}
	keycloakID = published{
		source: "https://www.keycloak.org/docs/latest/server_admin/: the typ of its ID tokens is ID, and they may be given a scope by a mapper",
		header: typedHeader,
		claims: `{"exp":1673171296,"iat":1673170996,"iss":"https://id.example.com/realms/something","aud":["something","user-service"],
			"sub":"36fa0f91-f94d-4a0c-afed-6b7d952e47da","typ":"ID","azp":"something","scope":"email profile"}`,
	}
	google = published{
		source: "https://cloud.google.com/docs/authentication/token-types: access tokens are opaque, so there is an ID token at most",
		header: typedHeader,
		claims: `{"iss":"https://accounts.google.com","azp":"1234987819200.apps.googleusercontent.com","aud":"1234987819200.apps.googleusercontent.com",
			"sub":"10769150350006150715113082367","at_hash":"HK6E_P6Dh8Y93mRNtsDB1Q","hd":"example.com","email":"jsmith@example.com","iat":1353601026,"exp":1353604926}`,
	}
)

// sign returns the token, signed by the key of i, which takes the provider's URL.
func (p published) sign(t *testing.T, i *issuer.Issuer, key jose.JSONWebKey) string {
	t.Helper()
	token, err := i.Token(nil, "", "", func(token *issuer.Token) {
		token.Key, token.Algorithm, token.Header, token.Claims = key, jose.RS256, map[string]any{}, map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(p.header), &token.Header))
		delete(token.Header, "alg")
		require.NoError(t, json.Unmarshal([]byte(p.claims), &token.Claims))
		shift := float64(time.Now().Unix()) - token.Claims["iat"].(float64)
		for _, name := range []string{"iat", "exp", "nbf", "auth_time"} {
			at, there := token.Claims[name].(float64)
			if there {
				token.Claims[name] = int64(at + shift)
			}
		}
		i.URL = token.Claims["iss"].(string)
	})
	require.NoError(t, err)
	return token
}

// TestProviders proves what docs/auth.md says about identity providers.
func TestProviders(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	key := jose.JSONWebKey{Key: private, KeyID: "of the provider", Algorithm: "RS256", Use: "sig"}
	const (
		client = `"audience_claim":"client_id"`
		object = `"subject_claim":"oid"`
	)
	for name, row := range map[string]struct {
		token    published
		audience string
		member   string // of an issuer with the profile jwt
		rfc9068  result
		jwt      result
		scope    string // one of the token's scopes
		user     string // the user id, if the subject is one
	}{
		"Auth0":                       {auth0, "https://example.com/health-api", "", badType, accepted, "read:patients", ""},
		"Auth0, RFC 9068":             {auth0RFC9068, "https://example.com/health-api", "", accepted, accepted, "read:patients", ""},
		"Auth0, for another":          {auth0, "https://example.com/other", "", badType, badAudience, "", ""},
		"Entra ID":                    {entra, "6e74172b-be56-4843-9ff4-e66a39bb12e3", "", badType, accepted, "access_as_user", ""},
		"Entra ID, by object":         {entra, "6e74172b-be56-4843-9ff4-e66a39bb12e3", object, badType, accepted, "access_as_user", "690222be-ff1a-4d56-abd1-7e4f7d38e474"},
		"Entra ID, of an application": {entraOfAnApp, "6e74172b-be56-4843-9ff4-e66a39bb12e3", "", badType, badType, "", ""},
		"Entra ID, an ID token":       {entraID, "6e74172b-be56-4843-9ff4-e66a39bb12e3", "", badType, badType, "", ""},
		"Okta":                        {okta, "https://api.example.com", "", badType, accepted, "flights", ""},
		"Okta, an ID token":           {oktaID, "https://api.example.com", "", badType, badType, "", ""},
		"Cognito":                     {cognito, "xxxxxxxxxxxxexample", client, badType, accepted, "resourceserver.1/appclient2", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"},
		"Cognito, no such setting":    {cognito, "xxxxxxxxxxxxexample", "", badType, badAudience, "", ""},
		"Cognito, of another client":  {cognito, "yyyyyyyyyyyyexample", client, badType, badAudience, "", ""},
		"Cognito, bound":              {cognitoBound, "https://api.example.com", "", badType, accepted, "resourceserver.1/appclient2", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"},
		"Cognito, bound to another":   {cognitoBound, "xxxxxxxxxxxxexample", client, badType, badAudience, "", ""},
		"Cognito, an ID token":        {cognitoID, "xxxxxxxxxxxxexample", client, badType, badType, "", ""},
		"Keycloak":                    {keycloak, "user-service", "", badType, accepted, "email", "36fa0f91-f94d-4a0c-afed-6b7d952e47da"},
		"Keycloak, RFC 9068":          {keycloakRFC9068, "user-service", "", accepted, accepted, "email", "36fa0f91-f94d-4a0c-afed-6b7d952e47da"},
		"Keycloak, an ID token":       {keycloakID, "user-service", "", badType, badType, "", ""},
		"Google, an ID token":         {google, "1234987819200.apps.googleusercontent.com", "", badType, badType, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := issuer.New()
			require.NoError(t, err)
			i.Add(key, 1)
			server := httptest.NewServer(i)
			t.Cleanup(server.Close)
			token := row.token.sign(t, i, key)
			members := []string{`"profile":"jwt"`}
			if row.member != "" {
				members = append(members, row.member)
			}
			for profile, test := range map[Profile]struct {
				members []string
				want    result
			}{RFC9068: {nil, row.rfc9068}, JWT: {members, row.jwt}} {
				caller, err := newVerifier(t, i.Setting(row.audience, server.URL, test.members...)).Authenticate(t.Context(), []string{"Bearer " + token})
				require.Equal(t, test.want, resultOf(err), "%s: %v (%s)", profile, err, row.token.source)
				if err != nil {
					continue
				}
				require.True(t, caller.Granted(row.scope))
				want := uuid.Nil
				if row.user != "" {
					want = uuid.MustParse(row.user)
				}
				require.Equal(t, want, caller.User())
			}
		})
	}
}

func TestATokenThatIsNoJWTIsMalformed(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, malformed, w.result("ya29.a0AfH6SMBx"), "an access token of Google, from https://cloud.google.com/docs/authentication/token-types")
}

// TestTheProfileJWT: each mark of another JWT is enough to reject it.
func TestTheProfileJWT(t *testing.T) {
	w := newWorldOf(t, []string{`"profile":"jwt"`})
	for name, row := range map[string]struct {
		typ    any
		claims map[string]any
		want   result
	}{
		"no type":                {nil, nil, accepted},
		"JWT":                    {"JWT", nil, accepted},
		"at+jwt":                 {"at+jwt", nil, accepted},
		"a logout token's type":  {"logout+jwt", nil, badType},
		"a type that's a number": {7, nil, badType},
		"a nonce":                {nil, map[string]any{"nonce": "n"}, badType},
		"a nonce in at+jwt":      {"at+jwt", map[string]any{"nonce": "n"}, badType},
		"at_hash":                {nil, map[string]any{"at_hash": "h"}, badType},
		"c_hash":                 {nil, map[string]any{"c_hash": "h"}, badType},
		"events":                 {nil, map[string]any{"events": map[string]any{}}, badType},
		"token_use id":           {nil, map[string]any{"token_use": "id"}, badType},
		"token_use access":       {nil, map[string]any{"token_use": "access"}, accepted},
		"token_use as a list":    {nil, map[string]any{"token_use": []string{"access"}}, badType},
		"typ Refresh":            {nil, map[string]any{"typ": "Refresh"}, badType},
		"typ Bearer":             {nil, map[string]any{"typ": "Bearer"}, accepted},
		"no scope":               {nil, map[string]any{"scope": nil}, badType},
		"an empty scope":         {nil, map[string]any{"scope": " "}, badType},
		"an empty scp":           {nil, map[string]any{"scope": nil, "scp": []string{""}}, badType},
		"scp as a text":          {nil, map[string]any{"scope": nil, "scp": "users:read"}, accepted},
		"scp as a list":          {nil, map[string]any{"scope": nil, "scp": []string{"users:read"}}, accepted},
		"scp as a number":        {nil, map[string]any{"scope": nil, "scp": 1}, malformed},
		"another audience":       {nil, map[string]any{"aud": "other"}, badAudience},
		"a client for audience":  {nil, map[string]any{"aud": nil, "client_id": audience}, badAudience},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.want, w.result(w.token(issuer.Set(row.claims), func(t *issuer.Token) {
				delete(t.Header, "typ")
				if row.typ != nil {
					t.Header["typ"] = row.typ
				}
			})))
		})
	}
}

// TestOtherProfilesIgnoreWhatTheyDontKnow: the marks of one issuer's ID tokens can be
// anything in another issuer's access tokens, whose type is sufficient.
func TestOtherProfilesIgnoreWhatTheyDontKnow(t *testing.T) {
	w := newWorld(t)
	for _, claim := range []string{"nonce", "at_hash", "c_hash", "events", "token_use", "typ", "client_id"} {
		require.Equal(t, accepted, w.result(w.token(issuer.Set(map[string]any{claim: []int{1}}))), claim)
	}
}

func TestASubjectClaimReplacesSub(t *testing.T) {
	for _, profile := range []string{"rfc9068", "jwt"} {
		w := newWorldOf(t, []string{`"profile":"` + profile + `"`, `"subject_claim":"oid"`})
		ada := uuid.New()
		c, err := w.authenticate(w.token(issuer.Set(map[string]any{"oid": ada.String()})))
		require.NoError(t, err)
		require.Equal(t, ada, c.User())
		require.Equal(t, issuer.URL+" "+ada.String(), c.Key())
		for _, value := range []any{nil, "", 7, []string{ada.String()}, "a\x00b"} {
			require.Equal(t, badSubject, w.result(w.token(issuer.Set(map[string]any{"oid": value}))), "%v: sub is not used instead", value)
		}
	}
}

func TestAnAudienceClaimMustBeText(t *testing.T) {
	w := newWorldOf(t, []string{`"profile":"jwt"`, `"audience_claim":"client_id"`})
	require.Equal(t, accepted, w.result(w.token(issuer.Set(map[string]any{"aud": nil, "client_id": audience}))))
	for _, value := range []any{nil, 7, []string{audience}, ""} {
		require.Equal(t, badAudience, w.result(w.token(issuer.Set(map[string]any{"aud": nil, "client_id": value}))), "%v", value)
	}
}
