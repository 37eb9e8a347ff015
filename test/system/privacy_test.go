package system

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/test/process"
)

// canary is a person who must not be found in any log or metric.
var canary = struct{ name, email, address, token string }{"Kanarienvogel", "kanarienvogel@example.com", "Vogelgasse 7", "Bearer-Kanarienvogel-token"}

// TestNoPersonIsInALogOrAMetric sends a person through every operation and many
// errors, at the finest log level.
func TestNoPersonIsInALogOrAMetric(t *testing.T) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			users := process.Start(t, process.Build(t, "user-service"), "LOG_LEVEL=debug", "DATABASE_URL="+address(t))
			orders := process.Start(t, process.Build(t, "order-service"), "LOG_LEVEL=debug", "DATABASE_URL="+databases[kind](t), "USER_SERVICE_URL="+users.URL)
			client := httpClient(t)
			send := func(method, url, body string) string {
				request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
				require.NoError(t, err)
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Authorization", canary.token)
				request.Header.Set("X-Request-ID", canary.email)
				request.Header.Set("Idempotency-Key", canary.email+method)
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
			send(http.MethodDelete, u+"/"+id, "")
			send(http.MethodDelete, o+"/"+orderID, "")
			for _, service := range []*process.Process{users, orders} {
				seen := service.Log() + send(http.MethodGet, service.URL+"/metrics", "")
				require.Contains(t, seen, `"msg":"request"`)
				for _, secret := range []string{canary.name, strings.ToLower(canary.name), canary.address} {
					require.NotContains(t, seen, secret)
				}
			}
		})
	}
}
