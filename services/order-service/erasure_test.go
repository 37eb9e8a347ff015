package main

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/pkg/events"
)

// TestADeletedUserIsErased deletes a user of the real user-service.
func TestADeletedUserIsErased(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		ada := uuid.NewString()
		token, admin := g.is.Token(t, ada, "orders:read orders:write"), g.is.Token(t, uuid.NewString(), "admin")
		do := func(method, path string, body any, token string) *apitest.Answer {
			return g.Do(method, path, body, "Authorization", token)
		}
		confirmed := orders + "/" + g.orderFor(t, ada)
		do(http.MethodPatch, confirmed, `{"status":"confirmed"}`, admin).Want(http.StatusOK)
		shipped := orders + "/" + do(http.MethodPost, orders, g.order(map[string]any{"user_id": ada}), token).Want(http.StatusCreated).ID()
		for _, status := range []string{"confirmed", "shipped"} {
			do(http.MethodPatch, shipped, map[string]any{"status": status}, admin).Want(http.StatusOK)
		}
		kept := g.Do(http.MethodPost, orders, g.order(map[string]any{"user_id": ada}), "Authorization", token, "Idempotency-Key", "k").Want(http.StatusCreated)
		g.atUsers(t, http.MethodDelete, "/api/v1/users/"+ada, ada, "users:write").Want(http.StatusNoContent)

		apitest.Eventually(t, "user-service reports the erasure as complete", func() bool {
			return g.atUsers(t, http.MethodGet, "/api/v1/users/"+ada+"/erasure", "support", "admin").Want(http.StatusOK).Object()["complete"] == true
		})
		for path, status := range map[string]string{confirmed: "cancelled", shipped: "shipped", orders + "/" + kept.ID(): "cancelled"} {
			o := do(http.MethodGet, path, nil, token).Want(http.StatusOK)
			require.Equal(t, status, o.Object()["status"])
			require.Contains(t, o.Object(), "shipping_address")
			require.Nil(t, o.Object()["shipping_address"])
			require.NotEmpty(t, o.Object()["erased_at"])
			require.NotEmpty(t, o.Object()["items"])
			do(http.MethodPut, path, string(o.Body), token).Want(http.StatusOK)
			require.Equal(t, "erasure", history(t, do(http.MethodGet, path+"/events", nil, token))[0]["by"])
		}
		require.Equal(t, []map[string]any{
			{"type": "updated", "version": 4.0, "by": "erasure", "changed": []any{"shipping_address"}},
			{"type": "updated", "version": 3.0, "by": "admin", "changed": []any{"status"}, "from": "confirmed", "to": "shipped"},
			{"type": "updated", "version": 2.0, "by": "admin", "changed": []any{"status"}, "from": "pending", "to": "confirmed"},
			{"type": "created", "version": 1.0, "by": "customer", "to": "pending"},
		}, history(t, do(http.MethodGet, shipped+"/events", nil, token)))
		page := do(http.MethodGet, shipped+"/events?limit=3", nil, token).Want(http.StatusOK)
		next, _ := page.Object()["next_cursor"].(string)
		require.Len(t, history(t, do(http.MethodGet, shipped+"/events?cursor="+next, nil, token)), 1)

		again := g.Do(http.MethodPost, orders, g.order(map[string]any{"user_id": ada}), "Authorization", token, "Idempotency-Key", "k")
		require.Equal(t, []string{"body.user_id"}, again.Want(http.StatusUnprocessableEntity).Locations(), "the key is erased, and the user does not exist")
		require.Contains(t, g.atUsers(t, http.MethodPost, "/api/v1/users", ada, "users:write").Want(http.StatusConflict).Detail(), "was deleted")
	})
}

func TestEvents(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		id := s.create().ID()
		s.Do(http.MethodPatch, orders+"/"+id, `{"status":"confirmed"}`).Want(http.StatusOK)
		var batch []events.CloudEvent[map[string]any]
		apitest.Eventually(t, "both events are in the feed", func() bool {
			readEvents(s.Client).Want(http.StatusOK).Decode(&batch)
			return len(batch) == 2
		})
		require.Equal(t, "com.example.order.updated", batch[1].Type)
		require.Equal(t, id, batch[1].Subject.String())
		require.Equal(t, map[string]any{"version": 2.0, "user_id": s.user, "by": "anyone", "from": "pending", "to": "confirmed", "changed": []any{"status"}}, batch[1].Data)
		s.Do(http.MethodGet, orders+"/events?cursor=900000000000000000-900000000000000000", nil).Want(http.StatusGone)
		s.Do(http.MethodGet, orders+"/events?cursor=x", nil).Want(http.StatusUnprocessableEntity)
		s.Do(http.MethodGet, orders+"/x/events", nil).Want(http.StatusUnprocessableEntity)
		s.Do(http.MethodGet, orders+"/"+unknown+"/events", nil).Want(http.StatusNotFound)
	})
}

// history returns the items of an order's history without times.
func history(t *testing.T, a *apitest.Answer) (items []map[string]any) {
	t.Helper()
	var list struct{ Items []map[string]any }
	a.Want(http.StatusOK).Decode(&list)
	for _, item := range list.Items {
		require.NotEmpty(t, item["time"])
		delete(item, "time")
	}
	return list.Items
}
