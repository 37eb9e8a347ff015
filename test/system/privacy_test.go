package system

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/collector"
)

// canary is a person who must not occur in any log or metric.
var canary = struct{ name, email, address, token string }{"Kanarienvogel", "kanarienvogel@example.com", "Vogelgasse 7", "Bearer-Kanarienvogel-token"}

// TestTelemetryHasNoPersonalData uses every operation with a person's data, at debug level and
// with all traces kept, and searches for the person in logs, metrics and spans, and in other
// people's answers. TestErrorsShowNoPersonalData covers the errors.
func TestTelemetryHasNoPersonalData(t *testing.T) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			receiver := collector.Start(t)
			services := startTraced(t, receiver.URL, address, "LOG_LEVEL=debug")
			users, orders := services.users, services.orders
			client := httpClient(t)
			sent := 0
			send := func(method, url, body string) string {
				request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
				require.NoError(t, err)
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Authorization", canary.token)
				request.Header.Set("X-Request-ID", canary.email)
				request.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
				request.Header.Set("Tracestate", "who="+canary.name)
				sent++
				request.Header.Set("Idempotency-Key", fmt.Sprint(canary.email, sent))
				response, err := client.Do(request)
				require.NoError(t, err)
				defer response.Body.Close()
				read, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				return string(read)
			}
			person := fmt.Sprintf(`{"name":%q,"email":%q}`, canary.name, canary.email)
			u, o := users.URL+"/api/v1/users", orders.URL+"/api/v1/orders"
			created := send(http.MethodPost, u, person)
			id := created[len(`{"id":"`) : len(`{"id":"`)+36]
			order := fmt.Sprintf(`{"user_id":%q,"shipping_address":%q,"items":[{"product_id":"p","product_name":%q,"quantity":1,"price":1}]}`, id, canary.address, canary.name)
			made := send(http.MethodPost, o, order)
			orderID := made[len(`{"id":"`) : len(`{"id":"`)+36]
			for _, body := range []string{person, order, person + "x", person[:20], `{"` + canary.email + `":1}`, `{"name":"` + canary.name + "\x00" + `"}`, `"` + canary.name} {
				for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodGet, canary.name} {
					for _, url := range []string{u, u + "/" + id, u + "/" + canary.email, o, o + "/" + orderID, o + "/user/" + canary.name, u + "?name=" + canary.name, orders.URL + "/" + canary.name} {
						send(method, url, body)
					}
				}
			}
			others(t, client, u, u+"/"+id, o, o+"/"+orderID)
			send(http.MethodDelete, u+"/"+id, "")
			send(http.MethodDelete, o+"/"+orderID, "")
			metrics := scrape(t, users)
			require.NoError(t, users.Signal(syscall.SIGTERM))
			require.Equal(t, 0, users.ExitCode(), users.Log())
			refused := send(http.MethodPost, o, strings.ReplaceAll(order, id, uuid.NewString())) // user-service is stopped
			require.Contains(t, refused, `"status":503`)
			metrics += scrape(t, orders)
			require.Contains(t, metrics, "http_server_request_duration_seconds")
			require.NoError(t, orders.Signal(syscall.SIGTERM))
			require.Equal(t, 0, orders.ExitCode(), orders.Log())
			logs := users.Log() + orders.Log()
			require.Contains(t, logs, `"msg":"request"`)
			require.Contains(t, logs, `"msg":"request failed"`, "the cause of the 503")
			spans := receiver.Received()
			require.Contains(t, spans, "POST /api/v1/users")
			for _, seen := range []string{metrics, logs, spans, refused} {
				requireNoCanary(t, seen)
			}
		})
	}
}

// others sends requests as another person, and searches the problems in the answers.
func others(t *testing.T, client *http.Client, urls ...string) {
	t.Helper()
	problems := 0
	for _, url := range urls {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			for _, body := range []string{"", "{", `{"name":1,"email":"x","status":"y"}`, `{"name":"Bob","email":"bob@example.com"}`} {
				request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
				require.NoError(t, err)
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("If-Match", `"999"`) // so that nothing changes
				response, err := client.Do(request)
				require.NoError(t, err)
				answer, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				if response.StatusCode >= http.StatusBadRequest {
					problems++
					requireNoCanary(t, string(answer))
				}
			}
		}
	}
	require.Greater(t, problems, 30)
}

func requireNoCanary(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{canary.name, strings.ToLower(canary.name), canary.address} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Fatalf("%q is in …%s…", secret, text[max(0, i-200):min(len(text), i+200)])
		}
	}
}
