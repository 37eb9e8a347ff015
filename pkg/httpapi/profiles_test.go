package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
)

// TestAProfileIsBounded: a profile slows down requests, so its duration is limited. (The
// CPU profile can't be tested here: it doesn't use the bubble's clock.)
func TestAProfileIsBounded(t *testing.T) {
	handler := newTestAPI(auth.Open()).AdminHandler(true)
	synctest.Test(t, func(t *testing.T) {
		began, answer := time.Now(), httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/heap?seconds=86400", nil))
		require.Equal(t, http.StatusRequestTimeout, answer.Code)
		require.Equal(t, 2*time.Minute, time.Since(began))
	})
}
