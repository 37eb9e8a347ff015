package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// rights is the contract: the response for each kind of caller, by operation, status of the
// order, and change. The status "*" means every status. The change of put-order and
// patch-order is a status, an edit, or nothing: the order as it was read. "empty" is a list
// without the order.
const rights = `
operation               status     asked      none     service  other    owner    fulfil   admin
create-order            -          -          401      403      422      201      403      201
list-orders             *          -          401      403      empty    200      200      200
list-orders-of-user     *          -          401      403      empty    200      200      200
get-order               *          -          401      403      404      200      200      200
get-order-history       *          -          401      403      404      200      200      200
get-order-events        *          -          401      200      403      403      403      200
put-order,patch-order   pending    pending    401      403      404      409      409      409
put-order,patch-order   pending    confirmed  401      403      404      403      200      200
put-order,patch-order   pending    shipped    401      403      404      403      409      409
put-order,patch-order   pending    delivered  401      403      404      403      409      409
put-order,patch-order   pending    cancelled  401      403      404      200      200      200
put-order,patch-order   pending    items      401      403      404      200      403      200
put-order,patch-order   pending    address    401      403      404      200      403      200
put-order,patch-order   pending    same       401      403      404      200      200      200
put-order,patch-order   confirmed  pending    401      403      404      409      409      409
put-order,patch-order   confirmed  confirmed  401      403      404      403      409      409
put-order,patch-order   confirmed  shipped    401      403      404      403      200      200
put-order,patch-order   confirmed  delivered  401      403      404      403      409      409
put-order,patch-order   confirmed  cancelled  401      403      404      200      200      200
put-order,patch-order   confirmed  items      401      403      404      409      403      409
put-order,patch-order   confirmed  address    401      403      404      409      403      409
put-order,patch-order   confirmed  same       401      403      404      200      200      200
put-order,patch-order   shipped    pending    401      403      404      409      409      409
put-order,patch-order   shipped    confirmed  401      403      404      403      409      409
put-order,patch-order   shipped    shipped    401      403      404      403      409      409
put-order,patch-order   shipped    delivered  401      403      404      403      200      200
put-order,patch-order   shipped    cancelled  401      403      404      409      409      409
put-order,patch-order   shipped    items      401      403      404      409      403      409
put-order,patch-order   shipped    address    401      403      404      409      403      409
put-order,patch-order   shipped    same       401      403      404      200      200      200
put-order,patch-order   delivered  pending    401      403      404      409      409      409
put-order,patch-order   delivered  confirmed  401      403      404      403      409      409
put-order,patch-order   delivered  shipped    401      403      404      403      409      409
put-order,patch-order   delivered  delivered  401      403      404      403      409      409
put-order,patch-order   delivered  cancelled  401      403      404      409      409      409
put-order,patch-order   delivered  items      401      403      404      409      403      409
put-order,patch-order   delivered  address    401      403      404      409      403      409
put-order,patch-order   delivered  same       401      403      404      200      200      200
put-order,patch-order   cancelled  pending    401      403      404      409      409      409
put-order,patch-order   cancelled  confirmed  401      403      404      403      409      409
put-order,patch-order   cancelled  shipped    401      403      404      403      409      409
put-order,patch-order   cancelled  delivered  401      403      404      403      409      409
put-order,patch-order   cancelled  cancelled  401      403      404      409      409      409
put-order,patch-order   cancelled  items      401      403      404      409      403      409
put-order,patch-order   cancelled  address    401      403      404      409      403      409
put-order,patch-order   cancelled  same       401      403      404      200      200      200
delete-order            pending    -          401      403      404      204      403      204
delete-order            confirmed  -          401      403      404      409      403      204
delete-order            shipped    -          401      403      404      409      403      204
delete-order            delivered  -          401      403      404      409      403      204
delete-order            cancelled  -          401      403      404      204      403      204`

// cell is a row of rights: the response for each caller.
type cell map[string]string

// readRights returns the rows by operation, status and change.
func readRights(t *testing.T, statuses []string) (callers []string, cells map[string]cell) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(rights), "\n")
	callers = strings.Fields(lines[0])[3:]
	cells = map[string]cell{}
	for _, line := range lines[1:] {
		row := strings.Fields(line)
		require.Len(t, row, 3+len(callers), line)
		in := []string{row[1]}
		if row[1] == "*" {
			in = statuses
		}
		for _, operation := range strings.Split(row[0], ",") {
			for _, status := range in {
				c := cell{}
				for i, caller := range callers {
					c[caller] = row[3+i]
				}
				key := operation + " " + status + " " + row[2]
				require.NotContains(t, cells, key)
				cells[key] = c
			}
		}
	}
	return callers, cells
}

// enum returns the statuses that a schema of the OpenAPI document allows.
func enum(schema string) []string {
	var all []string
	for _, status := range program(newConfiguration()).Document().Components.Schemas.Map()[schema].Properties["status"].Enum {
		all = append(all, fmt.Sprint(status))
	}
	return all
}

// TestRights tests every operation of the OpenAPI document with orders in every status,
// every change and every kind of caller. It fails if the document or rights contains what
// the other lacks. A rejected request must change nothing.
func TestRights(t *testing.T) {
	statuses, changes := enum("Order"), append(enum("OrderChange"), "items", "address", "same")
	callers, cells := readRights(t, statuses)
	keys := map[string]apitest.Operation{}
	for id, op := range described.ByID() {
		switch {
		case len(op.Security) == 0: // a probe
		case op.Method == http.MethodPost:
			keys[id+" - -"] = op
		default:
			asked := []string{"-"}
			if op.Method == http.MethodPut || op.Method == http.MethodPatch {
				asked = changes
			}
			for _, status := range statuses {
				for _, a := range asked {
					keys[id+" "+status+" "+a] = op
				}
			}
		}
	}
	for key := range keys {
		require.Contains(t, cells, key, "add a row with the rights to the table")
	}
	require.Len(t, cells, len(keys), "the table has rows that the document doesn't have")

	eachWithTokens(t, func(t *testing.T, g *guarded) {
		owner := uuid.NewString()
		g.register(t, owner)
		tokens := map[string]string{
			"none":    "",
			"service": g.is.Service(t, apitest.ServiceSubject),
			"other":   g.is.Token(t, uuid.NewString(), "orders:read orders:write"),
			"owner":   g.is.Token(t, owner, "orders:read orders:write"),
			"fulfil":  g.is.Token(t, "warehouse", "orders:fulfil"),
			"admin":   g.is.Token(t, uuid.NewString(), "admin"),
		}
		for key, op := range keys {
			status, asked, _ := strings.Cut(strings.TrimPrefix(key, op.OperationID+" "), " ")
			r := rightsTest{g: g, op: op, owner: owner, status: status, asked: asked, tokens: tokens}
			for _, caller := range callers {
				r.try(t, key+" by "+caller, caller, cells[key][caller])
			}
		}
	})
}

// rightsTest is the test of one row.
type rightsTest struct {
	g                    *guarded
	op                   apitest.Operation
	owner, status, asked string
	tokens               map[string]string
	// path is the path of an order in the status; "" if a new one is needed.
	path string
}

func (r *rightsTest) as(t *testing.T, caller, method, path string, body any) *apitest.Answer {
	t.Helper()
	var headers []string
	if r.tokens[caller] != "" {
		headers = []string{"Authorization", r.tokens[caller]}
	}
	return r.g.For(t).Do(method, path, body, headers...)
}

func (r *rightsTest) try(t *testing.T, name, caller, want string) {
	t.Helper()
	if r.path == "" && r.op.Method != http.MethodPost {
		made := r.as(t, "admin", http.MethodPost, orders, r.g.order(map[string]any{"user_id": r.owner})).Want(http.StatusCreated)
		r.path = orders + "/" + made.ID()
		for _, step := range ways[r.status] {
			r.as(t, "admin", http.MethodPut, r.path, map[string]any{"status": step}).Want(http.StatusOK)
		}
	}
	before := r.state(t)
	path, body := r.request(t)
	got := r.as(t, caller, r.op.Method, path, body)
	status, err := strconv.Atoi(cmp.Or(map[string]string{"empty": "200"}[want], want))
	require.NoError(t, err)
	require.Equal(t, status, got.Status, "%s: %s", name, got.Body)
	switch {
	case status >= http.StatusBadRequest, r.op.Method == http.MethodGet, r.asked == "same":
		require.Equal(t, before, r.state(t), name)
	case slices.Contains(allStatuses, r.asked):
		require.Equal(t, r.asked, got.Object()["status"], name)
	}
	if status == http.StatusOK && strings.HasPrefix(r.op.OperationID, "list") {
		require.Equal(t, want == "empty", len(owners(t, got)) == 0, name)
	}
	if status == http.StatusForbidden {
		lacks := r.op.Scopes()[0]
		switch caller {
		case "owner":
			if strings.HasPrefix(lacks, "orders:") {
				lacks = "orders:fulfil"
			}
		case "fulfil":
			if len(r.op.Scopes()) > 1 {
				lacks = "admin"
			}
		}
		require.Contains(t, got.Header.Get("WWW-Authenticate"), `Bearer error="insufficient_scope"`, name)
		require.Contains(t, got.Header.Get("WWW-Authenticate"), `scope="`+lacks+`"`, name)
	}
	if status < http.StatusBadRequest && r.op.Method != http.MethodGet {
		r.path = "" // the order has changed
	}
}

// request returns the path and the body.
func (r *rightsTest) request(t *testing.T) (path string, body any) {
	t.Helper()
	switch r.asked {
	case "items":
		body = map[string]any{"items": []any{item(map[string]any{"quantity": 7})}}
	case "address":
		body = map[string]any{"shipping_address": "elsewhere"}
	case "same":
		body = string(r.as(t, "admin", http.MethodGet, r.path, nil).Body)
	case "-":
	default:
		body = map[string]any{"status": r.asked}
	}
	switch {
	case r.op.Method == http.MethodPost:
		return orders, r.g.order(map[string]any{"user_id": r.owner})
	case strings.HasPrefix(r.op.OperationID, "list"):
		path = strings.ReplaceAll(r.op.Path, "{user_id}", r.owner)
		return path + "?limit=1", nil
	case strings.HasPrefix(r.op.Path, orders+"/{order_id}"):
		return r.path + strings.TrimPrefix(r.op.Path, orders+"/{order_id}"), body
	case r.asked == "-" && !strings.Contains(r.op.Path, "{"):
		return r.op.Path, nil
	}
	return r.path, body
}

// state returns the order as the admin sees it, or the newest order.
func (r *rightsTest) state(t *testing.T) string {
	t.Helper()
	path := cmp.Or(r.path, orders+"?limit=1")
	answer := r.as(t, "admin", http.MethodGet, path, nil).Want(http.StatusOK)
	return answer.Header.Get("ETag") + "\n" + string(answer.Body)
}

func TestAChangeNeedsTheRightsForAllItsParts(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		ada := uuid.NewString()
		owner, fulfil := g.is.Token(t, ada, "orders:write"), g.is.Token(t, "warehouse", "orders:fulfil")
		path := orders + "/" + g.orderFor(t, ada)
		do := func(token, body string, more ...string) *apitest.Answer {
			return g.Do(http.MethodPut, path, body, append(more, "Authorization", token)...)
		}
		read := g.Do(http.MethodGet, path, nil, "Authorization", fulfil).Want(http.StatusOK)
		whole := strings.Replace(string(read.Body), `"pending"`, `"confirmed"`, 1)
		do(owner, whole).Want(http.StatusForbidden)
		do(owner, `{"shipping_address":"elsewhere","status":"confirmed"}`).Want(http.StatusForbidden)
		do(fulfil, `{"shipping_address":"elsewhere","status":"confirmed"}`).Want(http.StatusForbidden)
		do(owner, `{"status":"shipped"}`, "If-Match", `"7"`).Want(http.StatusPreconditionFailed)
		do(owner, `{"status":"shipped","id":"`+unknown+`"}`).Want(http.StatusUnprocessableEntity)
		do(owner, `{"status":"lost"}`).Want(http.StatusUnprocessableEntity)
		again := g.Do(http.MethodGet, path, nil, "Authorization", fulfil)
		require.Equal(t, string(read.Body)+read.Header.Get("ETag"), string(again.Body)+again.Header.Get("ETag"))
		require.Equal(t, "confirmed", do(fulfil, whole).Want(http.StatusOK).Object()["status"])
		refused := g.Do(http.MethodDelete, path, nil, "Authorization", owner).Want(http.StatusConflict)
		require.Equal(t, "an order that is confirmed can't be deleted; only one that is pending or cancelled can; cancel it first", refused.Detail())
	})
}

// TestFulfillingGivesNoRightsOfOwners: a caller with both scopes is still not an admin.
func TestFulfillingGivesNoRightsOfOwners(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		ada, bob := uuid.NewString(), uuid.NewString()
		others := orders + "/" + g.orderFor(t, ada)
		own := orders + "/" + g.orderFor(t, bob)
		both, one := g.is.Token(t, bob, "orders:write orders:fulfil"), g.is.Token(t, bob, "orders:fulfil")
		do := func(token, method, path string, body any) *apitest.Answer {
			return g.Do(method, path, body, "Authorization", token)
		}
		edit := map[string]any{"shipping_address": "elsewhere"}
		for _, refused := range []*apitest.Answer{
			do(both, http.MethodPatch, others, edit), do(both, http.MethodDelete, others, nil), do(one, http.MethodPatch, own, edit),
		} {
			require.Contains(t, refused.Want(http.StatusForbidden).Header.Get("WWW-Authenticate"), `scope="admin"`)
		}
		do(both, http.MethodPost, orders, g.order(map[string]any{"user_id": ada})).Want(http.StatusUnprocessableEntity)
		do(both, http.MethodPatch, own, edit).Want(http.StatusOK)
		do(both, http.MethodPatch, others, map[string]any{"status": "cancelled"}).Want(http.StatusOK)
		do(both, http.MethodDelete, own, nil).Want(http.StatusNoContent)
	})
}

// TestAnOwnerWhoMayFulfilActsAsTheOwner, except where only fulfilment may.
func TestAnOwnerWhoMayFulfilActsAsTheOwner(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		ada := uuid.NewString()
		g.register(t, ada)
		token := g.is.Token(t, ada, "orders:read orders:write orders:fulfil")
		path := orders + "/" + g.Do(http.MethodPost, orders, g.order(map[string]any{"user_id": ada}), "Authorization", token).Want(http.StatusCreated).ID()
		for _, change := range []string{`{"shipping_address":"Elsewhere"}`, `{"status":"confirmed"}`, `{"status":"cancelled"}`} {
			g.Do(http.MethodPatch, path, change, "Authorization", token).Want(http.StatusOK)
		}
		var by []any
		for _, event := range history(t, g.Do(http.MethodGet, path+"/events", nil, "Authorization", token)) {
			by = append(by, event["by"])
		}
		require.Equal(t, []any{"customer", "fulfilment", "customer", "customer"}, by, "newest first")
	})
}
