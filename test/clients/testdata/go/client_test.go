// Package client uses the services through clients that were generated from their
// documents into the folders users and orders.
package client

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"client/orders"
	"client/users"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want[T any](t *testing.T, expected, got T) {
	t.Helper()
	if !reflect.DeepEqual(expected, got) {
		t.Fatalf("want %#v, got %#v", expected, got)
	}
}

// back makes of what was read what is sent back whole.
func back[Change, Read any](t *testing.T, read Read) (change Change) {
	t.Helper()
	b, err := json.Marshal(read)
	check(t, err)
	check(t, json.Unmarshal(b, &change))
	return change
}

func TestUsers(t *testing.T) {
	c, err := users.NewClientWithResponses(os.Getenv("USERS_URL"))
	check(t, err)
	newUser(t, c, nil)
	for _, age := range []int64{0, 150} {
		newUser(t, c, &age)
	}
}

func newUser(t *testing.T, c *users.ClientWithResponses, age *int64) users.User {
	t.Helper()
	key := uuid.NewString()
	body := users.NewUser{Name: "Ada Lovelace", Email: key + "@bücher.example", Age: age}
	made, err := c.CreateUserWithResponse(t.Context(), &users.CreateUserParams{IdempotencyKey: &key}, body)
	check(t, err)
	want(t, http.StatusCreated, made.StatusCode())
	user := *made.JSON201
	want(t, age, user.Age)

	read, err := c.GetUserWithResponse(t.Context(), user.Id, nil)
	check(t, err)
	want(t, user, *read.JSON200)
	put, err := c.PutUserWithResponse(t.Context(), user.Id, nil, back[users.UserChange](t, *read.JSON200))
	check(t, err)
	want(t, http.StatusOK, put.StatusCode())
	want(t, user, *put.JSON200)

	name := "Ada King"
	patched, err := c.PatchUserWithApplicationMergePatchPlusJSONBodyWithResponse(t.Context(), user.Id, nil, users.UserChange{Name: &name})
	check(t, err)
	want(t, http.StatusOK, patched.StatusCode())
	want(t, name, patched.JSON200.Name)

	limit := int64(1)
	page, err := c.ListUsersWithResponse(t.Context(), &users.ListUsersParams{Limit: &limit})
	check(t, err)
	want(t, *patched.JSON200, page.JSON200.Items[0])
	return user
}

func TestMoneyIsExact(t *testing.T) {
	u, err := users.NewClientWithResponses(os.Getenv("USERS_URL"))
	check(t, err)
	user := newUser(t, u, nil)
	c, err := orders.NewClientWithResponses(os.Getenv("ORDERS_URL"))
	check(t, err)
	var amounts []struct {
		Items []orders.Item
		Total json.Number
	}
	text, err := os.ReadFile("amounts.json")
	check(t, err)
	check(t, json.Unmarshal(text, &amounts))
	if len(amounts) == 0 {
		t.Fatal("no amounts")
	}
	for _, amount := range amounts {
		made, err := c.CreateOrderWithResponse(t.Context(), nil, orders.NewOrder{UserId: user.Id, Items: amount.Items, ShippingAddress: "12 St James's Square\nLondon"})
		check(t, err)
		if made.JSON201 == nil {
			t.Fatalf("%s: %s", made.Status(), made.Body)
		}
		order := *made.JSON201
		want(t, amount.Items, order.Items)
		want(t, amount.Total.String(), strconv.FormatFloat(float64(order.TotalAmount), 'f', 2, 64))

		read, err := c.GetOrderWithResponse(t.Context(), order.Id, nil)
		check(t, err)
		want(t, order, *read.JSON200)
		put, err := c.PutOrderWithResponse(t.Context(), order.Id, nil, back[orders.OrderChange](t, *read.JSON200))
		check(t, err)
		if put.JSON200 == nil {
			t.Fatalf("%s: %s", put.Status(), put.Body)
		}
		want(t, order, *put.JSON200)
		want(t, read.HTTPResponse.Header.Get("ETag"), put.HTTPResponse.Header.Get("ETag"))
		patched, err := c.PatchOrderWithResponse(t.Context(), order.Id, nil, orders.OrderChange{Items: &order.Items})
		check(t, err)
		want(t, order, *patched.JSON200)

		limit := int64(1)
		page, err := c.ListOrdersOfUserWithResponse(t.Context(), user.Id, &orders.ListOrdersOfUserParams{Limit: &limit})
		check(t, err)
		want(t, order, page.JSON200.Items[0])
	}
	deleted, err := c.DeleteOrderWithResponse(t.Context(), uuid.New(), nil)
	check(t, err)
	want(t, http.StatusNotFound, deleted.StatusCode())
	want(t, int64(http.StatusNotFound), deleted.ApplicationproblemJSON404.Status)
}
