package auth

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
)

// TestTheCacheOfAbsentKeysIsBounded: anybody can make up ids.
func TestTheCacheOfAbsentKeysIsBounded(t *testing.T) {
	k := newKeys(map[string]key{"old": {}}, time.Time{}, time.Time{}, nil)
	for i := range 3 * maxAbsent {
		id := fmt.Sprint(i)
		k.remember(id)
		require.True(t, k.lacks(id), "the newest is remembered")
		require.LessOrEqual(t, len(k.absent), maxAbsent)
	}
	require.Len(t, k.absent, maxAbsent)
	k = newKeys(map[string]key{"new": {}, fmt.Sprint(3*maxAbsent - 1): {}}, time.Time{}, time.Time{}, k)
	require.Len(t, k.absent, maxAbsent-1, "an added key is no longer absent")
	require.False(t, k.lacks("old"), "a key that was just removed isn't absent yet")
}

// TestACachedTokenIsNotVerifiedAgain replaces the token's key, so that verifying the
// signature again would fail.
func TestACachedTokenIsNotVerifiedAgain(t *testing.T) {
	w := newWorld(t)
	known, other := w.token(), w.token()
	require.Equal(t, accepted, w.result(known))
	stranger, err := issuer.New()
	require.NoError(t, err)
	private := stranger.Key()
	public := private.Public()
	another, ok := usable(&public)
	require.True(t, ok)
	current := w.verifier.issuers[w.issuer.URL].keys.current.Load()
	require.Len(t, current.byID, 1)
	for id := range current.byID {
		current.byID[id] = another
	}
	require.Equal(t, accepted, w.result(known))
	require.Equal(t, badSignature, w.result(other))
	require.EqualValues(t, 1, w.verifier.cache.Metrics().Hits)
	w.verifier.cache.DeleteAll()
	require.Equal(t, badSignature, w.result(known))
}

// TestCachedTokensDoNotRetainKeys: each made-up id causes a fetch. The previous keys are
// garbage collected, although the tokens they verified stay cached.
func TestCachedTokensDoNotRetainKeys(t *testing.T) {
	w := newWorld(t)
	set := w.verifier.issuers[w.issuer.URL].keys
	var before []weak.Pointer[keys]
	for i := range 3 {
		require.Equal(t, accepted, w.result(w.token()))
		before = append(before, weak.Make(set.current.Load()))
		w.clock.pass(defaultCooldown)
		require.Equal(t, unknownKey, w.result(w.token(func(t *issuer.Token) { t.Key.KeyID = fmt.Sprint("made up", i) })))
	}
	require.EqualValues(t, 4, w.fetches.Load())
	require.Equal(t, 3, w.verifier.cache.Len())
	for _, old := range before {
		require.Eventually(t, func() bool { runtime.GC(); return old.Value() == nil }, time.Minute, time.Millisecond)
	}
	require.Len(t, set.current.Load().absent, 3)
}

// TestDiscoveryNeverLeadsFromHTTPSToHTTP: somebody on the path could replace the keys.
func TestDiscoveryNeverLeadsFromHTTPSToHTTP(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	var plainly atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		plainly.Add(1)
		i.ServeHTTP(rw, r)
	}))
	t.Cleanup(plain.Close)
	var where atomic.Pointer[string]
	secure := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			_, _ = io.WriteString(rw, `{"issuer":"`+i.URL+`","jwks_uri":"`+*where.Load()+`"}`)
			return
		}
		i.ServeHTTP(rw, r)
	}))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(secure.Close)
	i.URL = secure.URL
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, pemOf(secure.Certificate().Raw), 0o600))
	check := func(keys string) error {
		where.Store(&keys)
		return newVerifier(t, i.Setting(audience, "", `"ca_file":"`+ca+`"`)).Check(t.Context())
	}
	require.NoError(t, check(secure.URL+"/keys"))
	for _, scheme := range []string{"http", "HTTP"} {
		require.ErrorContains(t, check(scheme+strings.TrimPrefix(plain.URL, "http")+"/keys"), "jwks_uri")
	}
	require.ErrorContains(t, check("http"+strings.TrimPrefix(secure.URL, "https")+"/keys"), "jwks_uri", "not even on the same host")
	require.Zero(t, plainly.Load(), "no request was sent")
}

// TestAKeyWithoutAnIDIsIgnored: tokens refer to keys by id, so none could use it.
func TestAKeyWithoutAnIDIsIgnored(t *testing.T) {
	w := newWorld(t)
	stranger, err := issuer.New()
	require.NoError(t, err)
	nameless := stranger.Key()
	name := nameless.KeyID
	nameless.KeyID = ""
	w.issuer.Add(nameless, 2)
	set, err := w.issuer.JWKS()
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(set), `"kty"`))
	require.Equal(t, 1, strings.Count(string(set), `"kid"`))
	found, err := parseKeys(set)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, badHeader, w.result(w.token()))
	require.Equal(t, unknownKey, w.result(w.token(func(t *issuer.Token) { t.Key.KeyID = name })))
	w.issuer.Add(nameless, 1)
	set, err = w.issuer.JWKS()
	require.NoError(t, err)
	_, err = parseKeys(set)
	require.ErrorIs(t, err, errNoKeys)
}

// TestKeysAreNotReadFromAPipe: opening a pipe would wait for a writer.
func TestKeysAreNotReadFromAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := readFile(path)
	require.ErrorContains(t, err, "is not a regular file")
}
