package auth

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
)

func TestAVerifiedTokenIsRecalled(t *testing.T) {
	w := newWorld(t)
	token := w.token()
	sent := []string{"Bearer " + token}
	c, known := w.verifier.Recall(sent)
	require.False(t, known, "an unverified token is not known")
	require.Equal(t, Caller{}, c)
	require.Zero(t, w.fetches.Load(), "nothing is fetched")

	want, err := w.authenticate(token)
	require.NoError(t, err)
	for range 3 {
		c, known = w.verifier.Recall(sent)
		require.True(t, known)
		require.Equal(t, want, c)
	}
	require.Equal(t, 4, w.counted(accepted), "recalled tokens count as accepted")

	for name, other := range map[string][]string{
		"no header": nil, "two headers": {sent[0], sent[0]}, "another scheme": {"Basic YTpi"}, "no token": {"Bearer"},
		"another token": {"Bearer " + w.token()}, "one character more": {sent[0] + "A"},
	} {
		_, known := w.verifier.Recall(other)
		require.False(t, known, name)
	}
}

func TestATokenThatBecameInvalidIsNotRecalled(t *testing.T) {
	w := newWorld(t)
	sent := []string{"Bearer " + w.token(issuer.ValidFor(time.Minute))}
	_, err := w.verifier.Authenticate(t.Context(), sent)
	require.NoError(t, err)
	w.clock.pass(time.Minute - 2*time.Second)
	_, known := w.verifier.Recall(sent)
	require.True(t, known)
	w.clock.pass(4 * time.Second)
	_, known = w.verifier.Recall(sent)
	require.False(t, known, "it has expired; within the leeway it is verified each time")

	sent = []string{"Bearer " + w.token()}
	_, err = w.verifier.Authenticate(t.Context(), sent)
	require.NoError(t, err)
	require.NoError(t, w.issuer.Rotate(1))
	w.clock.pass(defaultCooldown)
	require.Equal(t, accepted, w.result(w.token()), "which fetches the keys")
	_, known = w.verifier.Recall(sent)
	require.False(t, known, "its key was removed")
}

func TestABadTokenIsNotRecalled(t *testing.T) {
	w := newWorld(t)
	token := w.token(issuer.Set(map[string]any{"aud": "other"}))
	for range 2 {
		require.Equal(t, badAudience, w.result(token))
		_, known := w.verifier.Recall([]string{"Bearer " + token})
		require.False(t, known)
	}
}

func TestAnOpenServiceRecallsAnyone(t *testing.T) {
	v, err := New(IssuerConfig{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	c, known := v.Recall(nil)
	require.True(t, known)
	require.Equal(t, Anyone(), c)
}

func BenchmarkRecall(b *testing.B) {
	dir := b.TempDir()
	i, err := issuer.Folder(dir)
	require.NoError(b, err)
	keys, err := issuer.KeysURL(dir)
	require.NoError(b, err)
	v, err := New(IssuerConfig{AuthIssuers: i.Setting(audience, keys)}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(b, err)
	b.Cleanup(v.Close)
	token, err := i.Token([]string{audience}, "subject", "users:read")
	require.NoError(b, err)
	sent := []string{"Bearer " + token}
	_, err = v.Authenticate(b.Context(), sent)
	require.NoError(b, err)
	for b.Loop() {
		_, known := v.Recall(sent)
		require.True(b, known)
	}
}
