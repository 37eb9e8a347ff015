package auth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
)

// together calls do n times concurrently.
func together(n int, do func()) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range n {
		wg.Go(func() { <-begin; do() })
	}
	close(begin)
	wg.Wait()
}

func TestANewKeyIsFetchedOnce(t *testing.T) {
	w := newWorld(t)
	old := w.token()
	require.Equal(t, accepted, w.result(old))
	w.clock.pass(defaultCooldown)
	require.NoError(t, w.issuer.Rotate(2))
	fresh := w.token()
	var wrong atomic.Int64
	together(200, func() {
		if w.result(fresh) != accepted || w.result(old) != accepted {
			wrong.Add(1)
		}
	})
	require.Zero(t, wrong.Load())
	require.EqualValues(t, 2, w.fetches.Load(), "one fetch at first, one for the new key")
}

func TestManyUnknownKeysCauseOneFetch(t *testing.T) {
	w := newWorld(t)
	good := w.token()
	require.Equal(t, accepted, w.result(good))
	w.clock.pass(defaultCooldown)
	stranger, err := issuer.New()
	require.NoError(t, err)
	strange := stranger.Key()
	tokens := make(chan string, 200)
	for i := range cap(tokens) {
		tokens <- w.token(func(t *issuer.Token) {
			t.Key = strange
			if i%2 == 0 {
				t.Key.KeyID = uuid.NewString()
			}
		})
	}
	var passed, failed atomic.Int64
	together(cap(tokens), func() {
		if w.result(<-tokens) == accepted {
			passed.Add(1)
		}
		if w.result(good) != accepted {
			failed.Add(1)
		}
	})
	require.Zero(t, passed.Load())
	require.Zero(t, failed.Load(), "no valid token is rejected")
	require.EqualValues(t, 2, w.fetches.Load())
}

func TestAnUnknownKeyIsRejectedOnlyAfterAFetch(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, accepted, w.result(w.token()))
	require.NoError(t, w.issuer.Rotate(2))
	fresh := w.token()
	_, err := w.authenticate(fresh)
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable, "right after a fetch, the key may be a new one")
	require.Equal(t, defaultCooldown, unavailable.RetryAfter)
	require.True(t, unavailable.TooSoon)
	w.clock.pass(unavailable.RetryAfter)
	require.Equal(t, accepted, w.result(fresh))
	require.Zero(t, w.counted(unknownKey))
}

// TestAKeyServerWithPreviousKeys: one answer has the previous keys.
func TestAKeyServerWithPreviousKeys(t *testing.T) {
	w := newWorld(t)
	before := httptest.NewRecorder()
	w.issuer.ServeHTTP(before, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	require.NoError(t, w.issuer.Rotate(2))
	good := w.token()
	require.Equal(t, accepted, w.result(good))

	w.serve(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(before.Body.Bytes()) })
	w.clock.pass(defaultRefresh)
	require.NoError(t, w.verifier.Check(t.Context()))
	_, _, _ = w.verifier.issuers[issuer.URL].keys.flight.Do("", func() (any, error) { return nil, nil }) // waits for the fetch
	require.Equal(t, notJudged, w.result(good), "the token is not called invalid")
	w.serve(nil)
	w.clock.pass(defaultCooldown)
	require.Equal(t, accepted, w.result(good))
	require.Zero(t, w.counted(unknownKey))
}

func TestAMissingKeyIsCached(t *testing.T) {
	w := newWorld(t)
	stranger, err := issuer.New()
	require.NoError(t, err)
	strange := stranger.Key()
	token := w.token(func(t *issuer.Token) { t.Key = strange })
	for range 5 {
		require.Equal(t, unknownKey, w.result(token))
	}
	require.EqualValues(t, 1, w.fetches.Load())
	w.clock.pass(defaultCooldown)
	other := w.token(func(t *issuer.Token) { t.Key.KeyID = "other" })
	require.Equal(t, unknownKey, w.result(other))
	require.EqualValues(t, 2, w.fetches.Load())
	require.Equal(t, unknownKey, w.result(token), "the key is still missing")
	require.EqualValues(t, 2, w.fetches.Load())
	// An issuer may sign with a key before all its servers publish it.
	w.issuer.Add(strange, 2)
	w.clock.pass(defaultCooldown)
	require.Equal(t, accepted, w.result(token), "the key is published now")
}

// TestUnknownKeysDoNotEvictTokens: made-up key ids cause fetches. As the keys stay the same,
// verified tokens stay cached.
func TestUnknownKeysDoNotEvictTokens(t *testing.T) {
	w := newWorld(t)
	good := w.token()
	require.Equal(t, accepted, w.result(good))
	before := w.verifier.issuers[w.issuer.URL].keys.current.Load()
	w.clock.pass(defaultCooldown)
	require.Equal(t, unknownKey, w.result(w.token(func(t *issuer.Token) { t.Key.KeyID = "made up" })))
	after := w.verifier.issuers[w.issuer.URL].keys.current.Load()
	require.NotSame(t, before, after)
	require.Same(t, before.set, after.set)
	require.NoError(t, w.issuer.Rotate(2))
	w.clock.pass(defaultCooldown)
	require.Equal(t, accepted, w.result(w.token()))
	require.NotSame(t, before.set, w.verifier.issuers[w.issuer.URL].keys.current.Load().set)
}

func TestKnownKeysAreUsedWhileFetchesFail(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"down":        func(rw http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		"an error":    func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) },
		"garbage":     func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<html>") },
		"nothing":     func(http.ResponseWriter, *http.Request) {},
		"no keys":     func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, `{"keys":[]}`) },
		"too much":    func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, 2<<20)) },
		"another set": func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, `{"keys":"none"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.serve(answer)
			token := w.token()
			require.Equal(t, notJudged, w.result(token), "without keys, a token is neither accepted nor rejected")
			require.Error(t, w.verifier.Check(t.Context()), "not ready")
			require.Equal(t, missing, func() result { _, err := w.verifier.Authenticate(t.Context(), nil); return resultOf(err) }())

			w.serve(nil)
			w.clock.pass(defaultCooldown)
			require.NoError(t, w.verifier.Check(t.Context()))
			require.Equal(t, accepted, w.result(token))

			w.serve(answer)
			w.clock.pass(defaultRefresh)
			before := w.fetches.Load()
			require.NoError(t, w.verifier.Check(t.Context()), "the known keys stay in use")
			require.Eventually(t, func() bool { return w.fetches.Load() > before }, time.Minute, time.Millisecond)
			require.Equal(t, accepted, w.result(w.token()))
			require.NoError(t, w.issuer.Rotate(2))
			require.Equal(t, notJudged, w.result(w.token()), "a new key can't be told from an unknown one")

			w.serve(nil)
			w.clock.pass(defaultCooldown)
			require.Equal(t, accepted, w.result(w.token()))
			require.Equal(t, accepted, w.result(token))
		})
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	w := newWorld(t)
	w.serve(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			w.issuer.ServeHTTP(rw, r)
			return
		}
		http.Redirect(rw, r, "/elsewhere", http.StatusFound)
	})
	require.ErrorContains(t, w.verifier.Check(t.Context()), "302")
	require.Equal(t, notJudged, w.result(w.token()))
}

func TestASlowKeyServerDelaysCallersOnlyBriefly(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.serve(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			w.issuer.ServeHTTP(rw, r)
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, w.verifier.Check(ctx), context.DeadlineExceeded, "the caller's deadline applies")
	_, err := w.verifier.Authenticate(ctx, []string{"Bearer " + w.token()})
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)

	close(release) // the fetch continues for the next caller
	require.NoError(t, w.verifier.Check(t.Context()))
	require.Equal(t, accepted, w.result(w.token()))
	require.EqualValues(t, 1, w.fetches.Load())
}

func TestAFetchEndsWithTheVerifier(t *testing.T) {
	w := newWorld(t)
	began := make(chan struct{})
	w.serve(func(_ http.ResponseWriter, r *http.Request) { close(began); <-r.Context().Done() })
	result := make(chan error, 1)
	go func() { _, err := w.authenticate(w.token()); result <- err }()
	<-began
	w.verifier.Close()
	var unavailable *UnavailableError
	require.ErrorAs(t, <-result, &unavailable)
	require.ErrorIs(t, unavailable, context.Canceled, "the fetch ends at once, not at its timeout")
}

func TestARemovedKeyInvalidatesItsTokens(t *testing.T) {
	w := newWorld(t)
	token := w.token()
	require.Equal(t, accepted, w.result(token))
	require.NoError(t, w.issuer.Rotate(1))
	require.Equal(t, accepted, w.result(token), "the removal is not known yet")
	w.clock.pass(defaultRefresh)
	require.NoError(t, w.verifier.Check(t.Context()))
	_, _, _ = w.verifier.issuers[issuer.URL].keys.flight.Do("", func() (any, error) { return nil, nil }) // waits for the fetch
	require.Equal(t, notJudged, w.result(token), "cached or not: a single fetch without the key may be a server's mistake")
	w.clock.pass(defaultCooldown)
	require.Equal(t, unknownKey, w.result(token))
}

// TestRotationUnderLoad rotates the keys three times at 500 requests a second. No valid
// token is rejected, and no forged one accepted.
func TestRotationUnderLoad(t *testing.T) {
	w := newWorld(t)
	const cooldown = 200 * time.Millisecond
	w.verifier.now = time.Now
	Refresh(defaultRefresh, cooldown)(w.verifier)
	require.Equal(t, accepted, w.result(w.token()))
	stranger, err := issuer.New()
	require.NoError(t, err)
	strange := stranger.Key()
	before := w.token()

	var wg sync.WaitGroup
	var wrong atomic.Int64
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	const phase = 300 // longer than the cooldown
	for n := range 4 * phase {
		<-tick.C
		if n > 0 && n%phase == 0 {
			require.NoError(t, w.issuer.Rotate(4))
		}
		wg.Go(func() {
			forged := w.token(func(t *issuer.Token) { t.Key.Key = strange.Key })
			if w.result(w.token()) != accepted || w.result(before) != accepted || w.result(forged) != badSignature {
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	require.Zero(t, wrong.Load())
	require.EqualValues(t, 4, w.fetches.Load(), "one fetch at first, one for each rotation")
}

func newVerifier(t *testing.T, setting string) *Verifier {
	t.Helper()
	v, err := New(IssuerConfig{AuthIssuers: setting}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(v.Close)
	return v
}

func TestDiscovery(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	var configuration atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		said := configuration.Load()
		if said != nil && strings.HasPrefix(r.URL.Path, "/tenant/.well-known/") {
			_, _ = io.WriteString(rw, *said)
			return
		}
		i.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	i.URL = server.URL + "/tenant/"
	require.NoError(t, newVerifier(t, i.Setting(audience, "")).Check(t.Context()))
	for _, said := range []string{
		`{"issuer":"https://other.invalid","jwks_uri":"` + server.URL + `/keys"}`,
		`{"issuer":"` + i.URL + `","jwks_uri":"file:///etc/passwd"}`,
		`{"issuer":"` + i.URL + `"}`, `nothing`, `{"issuer":"` + i.URL + `","jwks_uri":"/keys"}`,
	} {
		configuration.Store(&said)
		require.Error(t, newVerifier(t, i.Setting(audience, "")).Check(t.Context()), said)
	}
}

// TestKeysOfACluster: the API server has its own certificate, requires a token, and
// serves keys only as jwk-set+json.
func TestKeysOfACluster(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer mine" {
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		if !strings.Contains(r.Header.Get("Accept"), "application/jwk-set+json") {
			rw.WriteHeader(http.StatusNotAcceptable)
			return
		}
		i.ServeHTTP(rw, r)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(ca, pemOf(server.Certificate().Raw), 0o600))
	setting := func(more ...string) string { return i.Setting(audience, server.URL, more...) }

	require.Error(t, newVerifier(t, setting()).Check(t.Context()), "an unknown certificate")
	require.Error(t, newVerifier(t, setting(`"ca_file":"`+ca+`"`)).Check(t.Context()), "no token")
	v := newVerifier(t, setting(`"ca_file":"`+ca+`"`, `"token_file":"`+token+`"`))
	require.Error(t, v.Check(t.Context()), "no file")
	require.NoError(t, os.WriteFile(token, []byte("mine\n"), 0o600))
	for _, trusted := range v.issuers {
		trusted.keys.last.Store(nil)
	}
	require.NoError(t, v.Check(t.Context()))
}

func TestTheKeysOfIssuersAreSeparate(t *testing.T) {
	a, err := issuer.New()
	require.NoError(t, err)
	b, err := issuer.New()
	require.NoError(t, err)
	b.URL = "https://b.invalid"
	serverA, serverB := httptest.NewServer(a), httptest.NewServer(b)
	t.Cleanup(serverA.Close)
	t.Cleanup(serverB.Close)
	settingA, settingB := a.Setting(audience, serverA.URL), b.Setting(audience, serverB.URL)
	v := newVerifier(t, strings.TrimSuffix(settingA, "]")+","+strings.TrimPrefix(settingB, "["))
	require.NoError(t, v.Check(t.Context()))
	send := func(by *issuer.Issuer, iss string) result {
		token, err := by.Token([]string{audience}, "s", "", issuer.Set(map[string]any{"iss": iss}))
		require.NoError(t, err)
		_, err = v.Authenticate(context.Background(), []string{"Bearer " + token})
		return resultOf(err)
	}
	require.Equal(t, accepted, send(a, a.URL))
	require.Equal(t, accepted, send(b, b.URL))
	require.NotEqual(t, accepted, send(a, b.URL))
	require.NotEqual(t, accepted, send(b, a.URL))

	serverB.Close()
	require.Equal(t, accepted, send(a, a.URL), "the other issuer's outage doesn't matter")
}

func TestErrorsSayWhatTheyAre(t *testing.T) {
	cause := errors.New("cause")
	require.ErrorIs(t, &UnavailableError{Err: cause}, cause)
	require.ErrorContains(t, &UnavailableError{Err: cause}, "can't be verified: cause")
}
