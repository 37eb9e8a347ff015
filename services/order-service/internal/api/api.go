// Package api is order-service's HTTP operations.
package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/services/order-service/internal/order"
)

const path = "/api/v1/orders"

type api struct {
	orders *order.Orders
	once   *idempotency.Once
}

// Register adds the operations on orders.
func Register(a *httpapi.API, orders *order.Orders, once *idempotency.Once) {
	h := &api{orders: orders, once: once}
	tags := []string{"Orders"}
	a.OpenAPI().Tags = append(a.OpenAPI().Tags, &huma.Tag{Name: "Orders", Description: "What users have ordered."})
	httpapi.Register(a, huma.Operation{
		OperationID: "create-order", Method: http.MethodPost, Path: path, Tags: tags,
		Summary: "Create an order", DefaultStatus: http.StatusCreated,
		Description: "The user must exist in user-service, and be the caller unless that has the scope admin. While that can't be told, the answer is 503, with Retry-After. A price is what the client says: there is no catalogue to ask. An Idempotency-Key whose order was deleted gets 410; one whose order the caller may not see any more, 404.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, h.create)
	httpapi.Register(a, huma.Operation{
		OperationID: "list-orders", Method: http.MethodGet, Path: path, Tags: tags,
		Summary:     "List orders, newest first",
		Description: "The caller's own; with the scope orders:fulfil or admin, everyone's.",
		Errors:      []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, h.list)
	httpapi.Register(a, huma.Operation{
		OperationID: "list-orders-of-user", Method: http.MethodGet, Path: path + "/user/{user_id}", Tags: tags,
		Summary:     "List the orders of a user, newest first",
		Description: "The list of a user that is not known, or not the caller's to see, is empty.",
		Errors:      []int{http.StatusServiceUnavailable},
	}, h.listOfUser)
	httpapi.Register(a, huma.Operation{
		OperationID: "get-order", Method: http.MethodGet, Path: path + "/{order_id}", Tags: tags,
		Summary: "Get an order", Responses: httpapi.NotModified(),
		Description: "The caller's own; with the scope orders:fulfil or admin, anyone's.",
		Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, h.get)
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		httpapi.Register(a, huma.Operation{
			OperationID: map[string]string{http.MethodPut: "put-order", http.MethodPatch: "patch-order"}[method],
			Method:      method, Path: path + "/{order_id}", Tags: tags,
			Summary: "Change an order",
			Description: "A field that is left out keeps its value. What was read may be sent back whole. " +
				"The owner, with the scope orders:write, may change the items and the address while the order is pending, and make it cancelled. " +
				"To make it confirmed, shipped or delivered needs the scope orders:fulfil, which may also cancel it, whoever's it is. The scope admin may do all of it.",
			Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
		}, h.update)
	}
	httpapi.Register(a, huma.Operation{
		OperationID: "delete-order", Method: http.MethodDelete, Path: path + "/{order_id}", Tags: tags,
		Summary: "Delete an order", DefaultStatus: http.StatusNoContent,
		Description: "The owner may delete an order that is pending or cancelled. What was confirmed, shipped or delivered is a record, which needs the scope admin.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, h.delete)
}
