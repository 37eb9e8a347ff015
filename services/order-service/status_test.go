package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/services/order-service/internal/api"
)

var (
	allStatuses = []string{"pending", "confirmed", "shipped", "delivered", "cancelled"}
	// allowed is the contract.
	allowed = map[string][]string{
		"pending":   {"confirmed", "cancelled"},
		"confirmed": {"shipped", "cancelled"},
		"shipped":   {"delivered"},
	}
	// ways are the transitions that lead to each status.
	ways = map[string][]string{
		"pending": nil, "confirmed": {"confirmed"}, "shipped": {"confirmed", "shipped"},
		"delivered": {"confirmed", "shipped", "delivered"}, "cancelled": {"cancelled"},
	}
)

// in creates an order in a status.
func (s *server) in(status string) string {
	path := orders + "/" + s.create().ID()
	for _, step := range ways[status] {
		s.Do(http.MethodPut, path, map[string]any{"status": step}).Want(http.StatusOK)
	}
	return path
}

func TestEveryTransition(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, from := range allStatuses {
			for _, to := range allStatuses {
				for _, method := range []string{http.MethodPut, http.MethodPatch} {
					path := s.in(from)
					answer := s.Do(method, path, map[string]any{"status": to})
					now := s.Do(http.MethodGet, path, nil).Object()["status"]
					if slices.Contains(allowed[from], to) {
						answer.Want(http.StatusOK)
						require.Equal(t, to, now)
						continue
					}
					answer.Want(http.StatusConflict)
					require.Contains(t, answer.Detail(), "order that is "+from)
					require.Contains(t, answer.Detail(), "can't become "+to)
					require.Equal(t, from, now)
				}
			}
		}
		answer := s.Do(http.MethodPatch, s.in("pending"), `{"status":"lost"}`).Want(http.StatusUnprocessableEntity)
		require.Equal(t, []string{"body.status"}, answer.Locations())
	})
}

func TestOfRacingTransitionsOneWins(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := s.in("pending")
		statuses := apitest.Race(100, func(i int) int {
			return s.Do(http.MethodPut, path, map[string]any{"status": []string{"confirmed", "cancelled"}[i%2]}).Status
		})
		// From confirmed, cancelled is another transition that may win.
		won := statuses[http.StatusOK]
		require.Equal(t, map[int]int{http.StatusOK: won, http.StatusConflict: 100 - won}, statuses)
		require.Equal(t, fmt.Sprintf(`"%d"`, 1+won), s.Do(http.MethodGet, path, nil).Header.Get("ETag"))
		require.LessOrEqual(t, won, 2)

		path = s.in("pending")
		statuses = apitest.Race(100, func(int) int {
			return s.Do(http.MethodPatch, path, map[string]any{"status": "confirmed"}).Status
		})
		require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusConflict: 99}, statuses)
	})
}

// editable are the fields that may change while an order is pending, with values that differ
// from those of create.
var editable = map[string]string{
	"items":            `[{"product_id":"p","product_name":"P","quantity":2,"price":0.15}]`,
	"shipping_address": `"elsewhere"`,
}

// TestEveryFieldIsSetAndChanged fails if a new field of a request is not in editable, and if
// its value is lost: on creation, alone in a change, or beside the current status.
func TestEveryFieldIsSetAndChanged(t *testing.T) {
	fields := slices.Sorted(maps.Keys(editable))
	require.Equal(t, fields, apitest.Members[api.NewOrder]("user_id"), "add the new field to editable")
	require.Equal(t, fields, apitest.Members[api.OrderChange]("status", "id", "user_id", "total_amount", "created_at", "updated_at", "erased_at"), "add the new field to editable")
	each(t, func(t *testing.T, s *server) {
		plain := s.create().Object()
		for field, value := range editable {
			set := s.Do(http.MethodPost, orders, s.order(map[string]any{field: json.RawMessage(value)})).Want(http.StatusCreated).Object()
			require.NotEqual(t, plain[field], set[field], "%s on creation", field)
			for _, body := range []string{`{"` + field + `":` + value + `}`, `{"status":"pending","` + field + `":` + value + `}`} {
				path := orders + "/" + s.create().ID()
				answer := s.Do(http.MethodPatch, path, body).Want(http.StatusOK)
				require.Equal(t, `"2"`, answer.Header.Get("ETag"), body)
				require.Equal(t, set[field], answer.Object()[field], body)
				require.Equal(t, set[field], s.Do(http.MethodGet, path, nil).Object()[field], body)
			}
		}
	})
}

func TestEditableFieldsChangeOnlyWhilePending(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, status := range allStatuses {
			for field, value := range editable {
				path, body := s.in(status), `{"`+field+`":`+value+`}`
				before := s.Do(http.MethodGet, path, nil)
				answer := s.Do(http.MethodPatch, path, body)
				if status == "pending" {
					answer.Want(http.StatusOK)
					require.NotEqual(t, before.Object()[field], answer.Object()[field])
					if field == "items" {
						require.Contains(t, string(answer.Body), `"total_amount":0.30,`)
					}
					continue
				}
				answer.Want(http.StatusConflict)
				require.Contains(t, answer.Detail(), status)
				require.Equal(t, string(before.Body), string(s.Do(http.MethodGet, path, nil).Body))
			}
		}
	})
}

func TestAddressAndStatusChangeTogetherOrNotAtAll(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := s.in("pending")
		both := s.Do(http.MethodPut, path, `{"shipping_address":"elsewhere","status":"confirmed"}`).Want(http.StatusOK)
		require.Equal(t, "elsewhere", both.Object()["shipping_address"])
		require.Equal(t, "confirmed", both.Object()["status"])
		require.Equal(t, `"2"`, both.Header.Get("ETag"), "one change")

		s.Do(http.MethodPut, path, `{"shipping_address":"third","status":"shipped"}`).Want(http.StatusConflict)
		path = s.in("pending")
		s.Do(http.MethodPut, path, `{"shipping_address":"elsewhere","status":"shipped"}`).Want(http.StatusConflict)
		require.NotEqual(t, "elsewhere", s.Do(http.MethodGet, path, nil).Object()["shipping_address"])
	})
}

func TestAnOrderMayBeSentBackAsRead(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, status := range allStatuses {
			path := s.in(status)
			read := s.Do(http.MethodGet, path, nil)
			for _, method := range []string{http.MethodPut, http.MethodPatch} {
				back := s.Do(method, path, string(read.Body), "If-Match", read.Header.Get("ETag")).Want(http.StatusOK)
				require.Equal(t, string(read.Body), string(back.Body), "no change, no transition")
				require.Equal(t, read.Header.Get("ETag"), back.Header.Get("ETag"))
				require.Equal(t, string(read.Body), string(s.Do(method, path, `{}`).Want(http.StatusOK).Body))
				s.Do(method, path, string(read.Body), "If-Match", `"99"`).Want(http.StatusPreconditionFailed)
			}
			for field, value := range map[string]string{
				"id": `"` + unknown + `"`, "user_id": `"` + unknown + `"`, "total_amount": `2999.98`,
				"created_at": `"2020-01-01T00:00:00Z"`, "updated_at": `"now"`,
			} {
				answer := s.Do(http.MethodPut, path, `{"`+field+`":`+value+`}`).Want(http.StatusUnprocessableEntity)
				require.Equal(t, []string{"body." + field}, answer.Locations())
			}
			s.Do(http.MethodPatch, path, `{"total_amount":2.99997e3}`).Want(http.StatusOK)
			s.Do(http.MethodPut, path, `{"erased_at":null}`).Want(http.StatusOK) // as some serialisers write an absent member
		}
		// The whole order with the next status is a transition.
		path := s.in("pending")
		next := strings.Replace(string(s.Do(http.MethodGet, path, nil).Body), `"pending"`, `"confirmed"`, 1)
		require.Equal(t, "confirmed", s.Do(http.MethodPut, path, next).Want(http.StatusOK).Object()["status"])
	})
}

func TestAChangeIsRefusedWithEveryProblem(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := s.in("pending")
		answer := s.Do(http.MethodPut, path, `{"status":"lost","items":[],"shipping_address":"\u0000"}`).Want(http.StatusUnprocessableEntity)
		require.ElementsMatch(t, []string{"body.status", "body.items", "body.shipping_address"}, answer.Locations())
		answer = s.Do(http.MethodPut, path, `{"status":null,"items":null,"shipping_address":null,"total":1}`).Want(http.StatusUnprocessableEntity)
		require.ElementsMatch(t, []string{"body.status", "body.items", "body.total"}, answer.Locations())
		answer = s.Do(http.MethodPut, path, `{"shipping_address":null}`).Want(http.StatusUnprocessableEntity)
		require.ElementsMatch(t, []string{"body.shipping_address"}, answer.Locations())
		s.Do(http.MethodPut, path, `{"status":"confirmed"`).Want(http.StatusBadRequest)
		s.Do(http.MethodPut, orders+"/"+unknown, `{"status":"confirmed"}`).Want(http.StatusNotFound)
		s.Do(http.MethodPatch, orders+"/"+unknown, `{"status":"confirmed"}`).Want(http.StatusNotFound)
		s.Do(http.MethodPatch, orders+"/x", `{}`).Want(http.StatusUnprocessableEntity)
		s.Do(http.MethodPatch, path, `{`).Want(http.StatusBadRequest)
	})
}
