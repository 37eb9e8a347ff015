package apitest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/catalog"
)

// Access is the expected access to an operation.
type Access struct {
	// Prepare creates what the operation needs, owned by the subject owner, and returns the
	// path and the body of the request.
	Prepare func(t *testing.T, owner string) (path string, body any)
	// Owner, Other, Admin and Service are the expected statuses for the owner, another
	// subject with the same scopes, one with the scope admin, and the other service with
	// its granted scope.
	Owner, Other, Admin, Service int
	// Check, if set, checks a success.
	Check func(t *testing.T, who, subject, owner string, a *Answer)
}

// TestAccess calls every operation of the document with every kind of token. An operation
// without security in the document must be listed in open; any other must have a row in
// table.
func (c *Client) TestAccess(t *testing.T, is *Issuers, open []string, table map[string]Access) {
	// Right after a fetch of the keys, an unknown key can't be told from a new one.
	for _, unknown := range []string{is.Refused(t, uuid.NewString())["an unknown key"], is.RefusedServices(t)["a service's with an unknown key"]} {
		Eventually(t, "an unknown key is told from a new one", func() bool {
			return c.For(t).Do(http.MethodGet, c.protected(), nil, "Authorization", unknown).Status == http.StatusUnauthorized
		})
	}
	operations := c.document.ByID()
	for id := range table {
		require.Contains(t, operations, id)
	}
	for _, id := range slices.Sorted(maps.Keys(operations)) {
		t.Run(id, func(t *testing.T) {
			op, client := operations[id], c.For(t)
			scopes := op.Scopes()
			if len(scopes) == 0 {
				require.Contains(t, open, id, "the document has no security for it")
				client.Do(op.Method, op.Path, nil).Want(http.StatusOK)
				return
			}
			row, found := table[id]
			require.True(t, found, "add it to the table of access rules")
			client.testRefused(t, is, op, row)
			client.testScopes(t, is, op, row, scopes)
			client.testOwnership(t, is, op, row, scopes[0])
		})
	}
}

// protected returns the path of a GET that needs a token and has no parameter.
func (c *Client) protected() string {
	for _, op := range c.document.ByID() {
		if op.Method == http.MethodGet && len(op.Security) > 0 && !strings.Contains(op.Path, "{") {
			return op.Path
		}
	}
	panic("there is none")
}

func (c *Client) testRefused(t *testing.T, is *Issuers, op Operation, row Access) {
	owner := uuid.NewString()
	path, body := row.Prepare(t, owner)
	before := c.state(t, is, op, path)
	none := c.Do(op.Method, path, body).Want(http.StatusUnauthorized)
	require.Equal(t, "Bearer", none.Header.Get("WWW-Authenticate"), "no token is no error (RFC 6750, section 3.1)")
	require.Equal(t, before, c.state(t, is, op, path), "without a token")
	refused := is.Refused(t, owner)
	maps.Copy(refused, is.RefusedServices(t))
	for name, header := range refused {
		got := c.Do(op.Method, path, body, "Authorization", header)
		require.Equal(t, http.StatusUnauthorized, got.Status, "%s: %s", name, got.Body)
		require.Regexp(t, `^Bearer error="invalid_token", error_description="[^"\\]+"$`, got.Header.Get("WWW-Authenticate"), name)
		require.Equal(t, before, c.state(t, is, op, path), name)
	}
}

// allScopes returns all scopes except admin.
func allScopes(t *testing.T) []string {
	services, err := catalog.Read(catalog.Root())
	require.NoError(t, err)
	var all []string
	for _, s := range services {
		all = append(append(all, s.Scopes...), s.CallerScopes...)
	}
	return all
}

func (c *Client) testScopes(t *testing.T, is *Issuers, op Operation, row Access, scopes []string) {
	owner := uuid.NewString()
	path, body := row.Prepare(t, owner)
	before := c.state(t, is, op, path)
	others := slices.DeleteFunc(allScopes(t), func(s string) bool { return slices.Contains(scopes, s) })
	for name, header := range map[string]string{
		"no scope":                 is.Token(t, owner, ""),
		"all other scopes":         is.Token(t, owner, strings.Join(others, " ")),
		"a scope that looks alike": is.Token(t, owner, scopes[0]+"x administrator Admin"),
		"another ServiceAccount":   is.Service(t, "system:serviceaccount:other:order-service"),
		"one that looks alike":     is.Service(t, ServiceSubject+"x"),
		"a person of its name":     is.Token(t, ServiceSubject, ""),
	} {
		got := c.Do(op.Method, path, body, "Authorization", header)
		require.Equal(t, http.StatusForbidden, got.Status, "%s: %s", name, got.Body)
		require.Contains(t, got.Header.Get("WWW-Authenticate"), `Bearer error="insufficient_scope"`)
		require.Contains(t, got.Header.Get("WWW-Authenticate"), `scope="`+scopes[0]+`"`)
		require.Equal(t, before, c.state(t, is, op, path), name)
	}
}

func (c *Client) testOwnership(t *testing.T, is *Issuers, op Operation, row Access, scope string) {
	for _, who := range []struct {
		name   string
		status int
	}{{"owner", row.Owner}, {"other", row.Other}, {"admin", row.Admin}, {"service", row.Service}} {
		owner := uuid.NewString()
		path, body := row.Prepare(t, owner)
		subject, header := owner, ""
		switch who.name {
		case "owner":
			header = is.Token(t, subject, scope)
		case "other":
			subject = uuid.NewString()
			header = is.Token(t, subject, scope)
		case "admin":
			subject = uuid.NewString()
			header = is.Token(t, subject, "admin")
		case "service":
			subject = ServiceSubject
			header = is.Service(t, subject)
		}
		before := c.state(t, is, op, path)
		got := c.Do(op.Method, path, body, "Authorization", header)
		if got.Status >= http.StatusBadRequest {
			require.Equal(t, before, c.state(t, is, op, path), who.name)
		}
		require.Equal(t, who.status, got.Status, "%s: %s", who.name, got.Body)
		if row.Check != nil && got.Status < http.StatusBadRequest {
			row.Check(t, who.name, subject, owner, got)
		}
	}
}

// state returns what an admin sees of the target of a request: the resource with its
// ETag, and the list. A rejected request must not change it.
func (c *Client) state(t *testing.T, is *Issuers, op Operation, path string) string {
	t.Helper()
	read := func(o Operation) bool { return o.Method == http.MethodGet && o.Path == op.Path }
	if op.Method == http.MethodGet || strings.HasSuffix(op.Path, "}") && !slices.ContainsFunc(slices.Collect(maps.Values(c.document.ByID())), read) {
		return "" // there is nothing to read
	}
	admin := is.Token(t, uuid.NewString(), "admin")
	collection, _, one := strings.Cut(op.Path, "/{")
	all := c.Do(http.MethodGet, collection+"?limit=100", nil, "Authorization", admin).Want(http.StatusOK)
	if !one {
		return string(all.Body)
	}
	resource := c.Do(http.MethodGet, path, nil, "Authorization", admin).Want(http.StatusOK)
	require.NotEmpty(t, resource.Header.Get("ETag"))
	return resource.Header.Get("ETag") + "\n" + string(resource.Body) + "\n" + string(all.Body)
}
