package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

const (
	orders  = "/api/v1/orders"
	unknown = "00000000-0000-4000-8000-000000000000"
)

// order returns the body of a valid order.
func (s *server) order(changes ...map[string]any) map[string]any {
	o := map[string]any{
		"user_id":          s.user,
		"items":            []any{item(nil)},
		"shipping_address": "12 St James's Square\nLondon",
	}
	for _, change := range changes {
		maps.Copy(o, change)
	}
	return o
}

func item(change map[string]any) map[string]any {
	i := map[string]any{"product_id": "laptop-15", "product_name": "Laptop 15″", "quantity": 3, "price": 999.99}
	maps.Copy(i, change)
	return i
}

func (s *server) create() *apitest.Answer {
	return s.Do(http.MethodPost, orders, s.order()).Want(http.StatusCreated)
}

func TestAnOrderIsCreatedAndRead(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		created := s.create()
		require.Equal(t, orders+"/"+created.ID(), created.Header.Get("Location"))
		require.Equal(t, `"1"`, created.Header.Get("ETag"))
		require.Contains(t, string(created.Body), `"total_amount":2999.97,`, "exact")
		require.Equal(t, "pending", created.Object()["status"])
		require.Equal(t, "12 St James's Square\nLondon", created.Object()["shipping_address"])

		read := s.Do(http.MethodGet, created.Header.Get("Location"), nil).Want(http.StatusOK)
		require.Equal(t, string(created.Body), string(read.Body))
		require.Equal(t, created.Header.Get("ETag"), read.Header.Get("ETag"))
		s.Do(http.MethodGet, created.Header.Get("Location"), nil, "If-None-Match", `"1"`).Want(http.StatusNotModified)

		s.Do(http.MethodGet, orders+"/"+unknown, nil).Want(http.StatusNotFound)
		require.Equal(t, []string{"path.order_id"}, s.Do(http.MethodGet, orders+"/1", nil).Want(http.StatusUnprocessableEntity).Locations())
	})
}

func TestMoneyIsExact(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for items, total := range map[string]string{
			`{"quantity":3,"price":999.99}`:                           "2999.97",
			`{"quantity":1,"price":0.1},{"quantity":1,"price":0.2}`:   "0.30",
			`{"quantity":1,"price":1.000}`:                            "1.00",
			`{"quantity":2.0,"price":1e2}`:                            "200.00",
			`{"quantity":1,"price":-0}`:                               "0.00",
			`{"quantity":1e4,"price":99999999.99e0}`:                  "999999999900.00",
			`{"quantity":10,"price":99999999.99}`:                     "999999999.90",
			`{"quantity":1,"price":0.07},{"quantity":7,"price":1.15}`: "8.12",
		} {
			answer := s.Do(http.MethodPost, orders, s.raw(items)).Want(http.StatusCreated)
			require.Contains(t, string(answer.Body), `"total_amount":`+total+`,`, items)
			read := s.Do(http.MethodGet, orders+"/"+answer.ID(), nil)
			require.Equal(t, string(answer.Body), string(read.Body), "the stored order equals the answer")
		}
		for items, location := range map[string]string{
			`{"quantity":1,"price":0.001}`:                                    "body.items[0].price",
			`{"quantity":1,"price":1e-3}`:                                     "body.items[0].price",
			`{"quantity":1,"price":-0.01}`:                                    "body.items[0].price",
			`{"quantity":1,"price":100000000}`:                                "body.items[0].price",
			`{"quantity":1,"price":1e999999999}`:                              "body.items[0].price",
			`{"quantity":1,"price":"1.00"}`:                                   "body.items[0].price",
			`{"quantity":1,"price":null}`:                                     "body.items[0].price",
			`{"quantity":1,"price":[]}`:                                       "body.items[0].price",
			`{"quantity":0,"price":1}`:                                        "body.items[0].quantity",
			`{"quantity":-1,"price":1}`:                                       "body.items[0].quantity",
			`{"quantity":1.5,"price":1}`:                                      "body.items[0].quantity",
			`{"quantity":1000001,"price":1}`:                                  "body.items[0].quantity",
			`{"quantity":1e400,"price":1}`:                                    "body.items[0].quantity",
			`{"quantity":"1","price":1}`:                                      "body.items[0].quantity",
			`{"quantity":1e4,"price":99999999.99},{"quantity":1,"price":100}`: "body.items",
			`{"quantity":1e6,"price":99999999.99}`:                            "body.items",
		} {
			answer := s.Do(http.MethodPost, orders, s.raw(items)).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{location}, answer.Locations(), items)
		}
	})
}

// raw returns the body of an order with the given literals as numbers.
func (s *server) raw(items string) string {
	items = strings.ReplaceAll(items, `{"quantity"`, `{"product_id":"p","product_name":"P","quantity"`)
	return fmt.Sprintf(`{"user_id":%q,"shipping_address":"x","items":[%s]}`, s.user, items)
}

func TestInvalidOrders(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		many := make([]any, 101)
		for i := range many {
			many[i] = item(nil)
		}
		for name, c := range map[string]struct {
			change    map[string]any
			locations []string
		}{
			"an unknown user":         {map[string]any{"user_id": unknown}, []string{"body.user_id"}},
			"a malformed user id":     {map[string]any{"user_id": "x"}, []string{"body.user_id"}},
			"no items":                {map[string]any{"items": []any{}}, []string{"body.items"}},
			"null for items":          {map[string]any{"items": nil}, []string{"body.items"}},
			"too many items":          {map[string]any{"items": many}, []string{"body.items"}},
			"an item without all":     {map[string]any{"items": []any{map[string]any{}}}, []string{"body.items[0].product_id", "body.items[0].product_name", "body.items[0].quantity", "body.items[0].price"}},
			"an unknown item field":   {map[string]any{"items": []any{item(nil), item(map[string]any{"sku": 1})}}, []string{"body.items[1].sku"}},
			"long product texts":      {map[string]any{"items": []any{item(map[string]any{"product_id": strings.Repeat("x", 101), "product_name": strings.Repeat("x", 201)})}}, []string{"body.items[0].product_id", "body.items[0].product_name"}},
			"a tab in a product name": {map[string]any{"items": []any{item(map[string]any{"product_name": "a\tb"})}}, []string{"body.items[0].product_name"}},
			"a blank address":         {map[string]any{"shipping_address": " \n "}, []string{"body.shipping_address"}},
			"a long address":          {map[string]any{"shipping_address": strings.Repeat("é", 501)}, []string{"body.shipping_address"}},
			"a bell in the address":   {map[string]any{"shipping_address": "a\ab"}, []string{"body.shipping_address"}},
			"a status":                {map[string]any{"status": "pending"}, []string{"body.status"}},
			"a total":                 {map[string]any{"total_amount": 2999.97}, []string{"body.total_amount"}},
			"everything at once":      {map[string]any{"user_id": "", "items": []any{item(map[string]any{"quantity": 0})}, "shipping_address": ""}, []string{"body.user_id", "body.items[0].quantity", "body.shipping_address"}},
		} {
			answer := s.Do(http.MethodPost, orders, s.order(c.change)).Want(http.StatusUnprocessableEntity)
			require.Equal(t, c.locations, answer.Locations(), name)
		}
		s.Do(http.MethodPost, orders, `{"user_id":1,"user_id":2}`).Want(http.StatusBadRequest)
		require.Empty(t, s.Do(http.MethodGet, orders, nil).Object()["items"], "nothing was stored")
	})
}

func TestTheLargestOrder(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		items := make([]any, 100)
		for i := range items {
			items[i] = item(map[string]any{"product_id": strings.Repeat("𝒜", 100), "product_name": "P", "quantity": 1})
		}
		s.Do(http.MethodPost, orders, s.order(map[string]any{"items": items, "shipping_address": " " + strings.Repeat("é", 500) + " "})).Want(http.StatusCreated)
	})
}

func TestAnOrderIsDeleted(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := orders + "/" + s.create().ID()
		s.Do(http.MethodDelete, path, nil, "If-Match", `"2"`).Want(http.StatusPreconditionFailed)
		s.Do(http.MethodDelete, path, nil, "If-Match", `W/"1"`).Want(http.StatusPreconditionFailed)
		s.Do(http.MethodDelete, path, nil, "If-Match", `1`).Want(http.StatusUnprocessableEntity)
		s.Do(http.MethodDelete, path, nil, "If-Match", `"1"`).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNotFound)
		s.Do(http.MethodGet, path, nil).Want(http.StatusNotFound)
	})
}

// TestValuesOfAnEarlierVersionMayBeSentBack: a client may send back values that an earlier
// release stored and this one rejects. New values like these are rejected.
func TestValuesOfAnEarlierVersionMayBeSentBack(t *testing.T) {
	const hidden = "12 \u202eeht erauqs"
	each(t, func(t *testing.T, s *server) {
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			path := orders + "/" + s.create().ID()
			s.execute(t, `UPDATE order_service.orders SET shipping_address = '`+hidden+`', items = '[{"product_id": "p`+hidden+`", "product_name": "`+hidden+`", "quantity": 3, "price": 999.99}]'`)
			read := s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
			require.Contains(t, string(read.Body), "p"+hidden)
			require.Equal(t, read.Body, s.Do(method, path, string(read.Body)).Want(http.StatusOK).Body)

			more := strings.NewReplacer(`"quantity":3`, `"quantity":4`, `"total_amount":2999.97,`, ``, `}]`, `},{"product_id":"q","product_name":"`+hidden+`","quantity":1,"price":1}]`)
			changed := s.Do(method, path, more.Replace(string(read.Body))).Want(http.StatusOK)
			require.Contains(t, string(changed.Body), `"total_amount":4000.96,`)

			refused := s.Do(method, path, map[string]any{"shipping_address": "x" + hidden, "items": []any{item(map[string]any{"product_id": "x" + hidden, "product_name": "x" + hidden})}}).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{"body.items[0].product_id", "body.items[0].product_name", "body.shipping_address"}, slices.Sorted(slices.Values(refused.Locations())))
			s.Do(http.MethodPost, orders, s.order(map[string]any{"shipping_address": hidden})).Want(http.StatusUnprocessableEntity)
		}
	})
}

func TestPreferMinimalOmitsTheOrder(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		created := s.Do(http.MethodPost, orders, s.order(), "Prefer", "return=minimal").Want(http.StatusCreated)
		require.Empty(t, created.Body)
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			changed := s.Do(method, created.Header.Get("Location"), map[string]any{"shipping_address": method}, "Prefer", "return=minimal").Want(http.StatusNoContent)
			require.NotEmpty(t, changed.Header.Get("ETag"))
			require.Equal(t, "return=minimal", changed.Header.Get("Preference-Applied"))
		}
	})
}
