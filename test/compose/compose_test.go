//go:build e2e

package compose

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/session"
)

// TestCompose runs its steps in order: each starts from the state that the one before left.
func TestCompose(t *testing.T) {
	p := newProject(t)
	step := func(name string, run func(t *testing.T)) {
		t.Helper()
		require.True(t, t.Run(name, run), "later steps depend on this one")
	}

	step("a missing image is named", func(t *testing.T) {
		unbuilt := p.with("TAG=unbuilt")
		_, said, err := unbuilt.try(t.Context(), append(p.program, "up", "--detach", "user-service")...)
		require.Error(t, err)
		require.Contains(t, said, "No such image: microservices.local/user-service:unbuilt")
		unbuilt.compose(t, "down")
	})
	step("make compose runs everything and prints the addresses", func(t *testing.T) {
		out, _ := p.must(t, "make", "compose")
		require.Equal(t, fmt.Sprintf("user-service   http://%s/docs\norder-service  http://%s/docs\n", p.users, p.orders), out)
		for _, service := range []string{"user-service", "order-service"} {
			require.Equal(t, service+" v1.2.3-test\n", p.compose(t, "exec", "-T", service, "/ko-app/"+service, "version"))
		}
		for _, address := range []string{p.users, p.orders} {
			require.Equal(t, http.StatusOK, get(t, address, "/docs", nil))
		}
	})
	step("the README's session runs", func(t *testing.T) {
		session.Run(t, root, p.users, p.orders)
	})
	step("no container is root, or can change its programs or gain rights", func(t *testing.T) {
		confined(t, p)
	})
	step("a service's role reaches its own database only", func(t *testing.T) {
		psql := []string{"exec", "-T", "-e", "PGPASSWORD=development", "postgres", "psql", "--host=postgres", "--username=user_service", "--command=SELECT 1"}
		p.compose(t, append(psql, "--dbname=user_service")...)
		for _, foreign := range []string{"order_service", "postgres"} {
			out, said, err := p.try(t.Context(), append(append(p.program, psql...), "--dbname="+foreign, "--command=CREATE TABLE t (n int)")...)
			require.Error(t, err, out)
			require.Contains(t, said, "permission denied")
		}
	})
	step("without user-service orders are read, not created; later they are created again", func(t *testing.T) {
		outage(t, p)
	})

	before := everything(t, p)
	require.NotEmpty(t, before.Items)
	same := func(t *testing.T) {
		t.Helper()
		apitest.Eventually(t, "both services answer", func() bool {
			return ready(p.users) && ready(p.orders)
		})
		require.Equal(t, before, everything(t, p))
	}
	step("docker compose restart keeps the data", func(t *testing.T) {
		p.compose(t, "restart")
		same(t)
	})
	step("down and up keep the data", func(t *testing.T) {
		p.must(t, "make", "compose-down")
		require.Empty(t, p.compose(t, "ps", "--all", "--quiet"))
		p.must(t, "make", "compose")
		same(t)
	})
	step("a service's new password is set in the existing database", func(t *testing.T) {
		p.with("USER_DATABASE_PASSWORD=changed").must(t, "make", "compose")
		same(t)
	})
	step("a wrong password is reported", func(t *testing.T) {
		_, said, err := p.with("POSTGRES_PASSWORD=wrong").try(t.Context(), "make", "compose")
		require.Error(t, err)
		require.Contains(t, said, `password authentication failed for user "postgres"`)
		require.Contains(t, said, "the database was created with another POSTGRES_PASSWORD")
	})
	step("services that are unhealthy without the database are waited for", func(t *testing.T) {
		p.must(t, "make", "compose")
		p.compose(t, "stop", "postgres")
		apitest.Eventually(t, "both services are unhealthy", func() bool {
			unhealthy := 0
			for _, c := range p.containers(t) {
				if c.State.Health.Status == "unhealthy" {
					unhealthy++
				}
			}
			return unhealthy == 2
		})
		p.must(t, "make", "compose")
		same(t)
	})
	step("a port in use is reported", func(t *testing.T) {
		_, port, _ := strings.Cut(p.orders, ":")
		p.must(t, "make", "compose")
		_, said, err := p.with("USER_PORT="+port).try(t.Context(), "make", "compose")
		require.Error(t, err)
		require.Contains(t, said, "port is already allocated")
		require.Contains(t, said, "port "+port+" is in use; choose another: make compose USER_PORT=")
	})
}

func confined(t *testing.T, p project) {
	t.Helper()
	all := p.containers(t)
	require.Len(t, all, 4)
	for _, c := range all {
		require.NotContains(t, []string{"", "root", "0"}, strings.Split(c.Config.User, ":")[0], c.Name)
		require.True(t, c.HostConfig.ReadonlyRootfs, c.Name)
		require.False(t, c.HostConfig.Privileged, c.Name)
		require.Equal(t, []string{"ALL"}, c.HostConfig.CapDrop, c.Name)
		require.Empty(t, c.HostConfig.CapAdd, c.Name)
		require.Equal(t, []string{"no-new-privileges:true"}, c.HostConfig.SecurityOpt, c.Name)
		for port, bindings := range c.HostConfig.PortBindings {
			for _, binding := range bindings {
				require.Equal(t, "127.0.0.1", binding.HostIP, "%s %s", c.Name, port)
			}
		}
		if strings.Contains(c.Config.Image, "-service:") {
			require.Equal(t, "65532:65532", c.Config.User, c.Name)
			require.Equal(t, "healthy", c.State.Health.Status, c.Name)
		}
	}
	require.NotEqual(t, "0\n", p.compose(t, "exec", "-T", "postgres", "id", "-u"))
	_, said, err := p.try(t.Context(), append(p.program, "exec", "-T", "postgres", "touch", "/usr/bin/mine")...)
	require.Error(t, err)
	require.Contains(t, said, "Read-only file system")
	out, said, err := p.try(t.Context(), append(p.program, "exec", "-T", "user-service", "sh")...)
	require.Error(t, err, "the image has a shell")
	require.Contains(t, out+said, "executable file not found")
}

func outage(t *testing.T, p project) {
	t.Helper()
	var users struct{ Items []struct{ ID string } }
	require.Equal(t, http.StatusOK, get(t, p.users, "/api/v1/users", &users))
	require.NotEmpty(t, users.Items)
	user := users.Items[0].ID
	order := fmt.Sprintf(`{"user_id": %q, "shipping_address": "12 St James Square", "items": [{"product_id": "p", "product_name": "P", "quantity": 1, "price": 0.1}]}`, user)
	post := func() *http.Response {
		response, err := http.Post("http://"+p.orders+"/api/v1/orders", "application/json", strings.NewReader(order))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response
	}

	p.compose(t, "stop", "user-service")
	var refused *http.Response
	apitest.Eventually(t, "order-service's cache of the user has expired", func() bool {
		refused = post()
		return refused.StatusCode != http.StatusCreated
	})
	require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, get(t, p.orders, "/api/v1/orders/user/"+user, nil))

	p.compose(t, "start", "user-service")
	apitest.Eventually(t, "orders are created again", func() bool { return post().StatusCode == http.StatusCreated })
}

// orders is a page of orders, undecoded.
type orders struct{ Items []json.RawMessage }

func everything(t *testing.T, p project) orders {
	t.Helper()
	var all orders
	require.Equal(t, http.StatusOK, get(t, p.orders, "/api/v1/orders?limit=100", &all))
	return all
}

func ready(address string) bool { return answers(address, "/health/ready") }

// get reads a JSON document into what, if it isn't nil.
func get(t *testing.T, address, path string, what any) (status int) {
	t.Helper()
	response, err := http.Get("http://" + address + path)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if what != nil {
		require.NoError(t, json.Unmarshal(body, what), "%s", body)
	}
	return response.StatusCode
}
