package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/pkg/config"
)

// inProcess starts the whole service on SQLite, without a network.
func inProcess(tb testing.TB, limited bool, change ...func(*configuration)) http.Handler {
	tb.Helper()
	c := newConfiguration()
	require.NoError(tb, config.Load(c))
	c.DatabaseURL = databases["sqlite"](tb)
	for _, f := range change {
		f(c)
	}
	return apitest.Handler(tb, program(c), limited)
}

// fill creates some users and returns the path of the last one.
func fill(tb testing.TB, handler http.Handler, n int) (path string) {
	tb.Helper()
	create := apitest.NewCall(tb, handler, http.MethodPost, users, "Content-Type", "application/json")
	for i := range n {
		create.Send(fmt.Appendf(nil, `{"name":"Ada Lovelace","email":"ada%d@example.com","age":36}`, i))
		require.Equal(tb, http.StatusCreated, create.Status, create.Answer.String())
	}
	return create.Header().Get("Location")
}

// BenchmarkHandler measures whole requests, without net/http.
func BenchmarkHandler(b *testing.B) {
	handler := inProcess(b, false)
	path := fill(b, handler, 100)
	again := func(handler http.Handler, path string, status int) func(*testing.B) {
		return func(b *testing.B) {
			call := apitest.NewCall(b, handler, http.MethodGet, path)
			call.Do() // the first one may succeed
			b.ReportAllocs()
			for b.Loop() {
				call.Do()
			}
			require.Equal(b, status, call.Status, call.Answer.String())
		}
	}
	b.Run("get", again(handler, path, http.StatusOK))
	b.Run("list of 20", again(handler, users, http.StatusOK))
	b.Run("nobody", again(handler, users+"/"+unknown, http.StatusNotFound))
	b.Run("too many", again(inProcess(b, true), path, http.StatusTooManyRequests))
	dir := filepath.Join(b.TempDir(), "issuer")
	i, err := issuer.Folder(dir)
	require.NoError(b, err)
	keys, err := issuer.KeysURL(dir)
	require.NoError(b, err)
	guarded := inProcess(b, false, func(c *configuration) { c.AuthIssuers = i.Setting(name, keys) })
	b.Run("no token", again(guarded, path, http.StatusUnauthorized))
	for _, kind := range []string{"post", "post with a key"} {
		b.Run(kind, func(b *testing.B) {
			call := apitest.NewCall(b, handler, http.MethodPost, users, "Content-Type", "application/json")
			prefix, n := strings.ReplaceAll(b.Name(), "/", ""), 0
			var headers []string
			b.ReportAllocs()
			for b.Loop() {
				n++
				if kind != "post" {
					headers = append(headers[:0], "Idempotency-Key", strconv.Itoa(n))
				}
				call.Send(fmt.Appendf(nil, `{"name":"Ada Lovelace","email":"%s%d-%d@example.com","age":36}`, prefix, b.N, n), headers...)
			}
			require.Equal(b, http.StatusCreated, call.Status, call.Answer.String())
		})
	}
}
