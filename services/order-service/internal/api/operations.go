// Package api provides order-service's HTTP operations.
package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
)

const (
	scopeRead  = "orders:read"
	scopeWrite = "orders:write"
	// scopeFulfil permits reading all orders and changing their status.
	scopeFulfil = "orders:fulfil"
)

// Memory reserved to build a response, in bytes: for one order, and for a page of orders
// (page.MaxBytes as rows, again as JSON, and rows read beyond the page).
const (
	orderMemory = 512 << 10
	pageMemory  = 4 << 20
)

// maxBody limits a request body, in bytes. An order at all limits (order.MaxItems and the
// others) fits, even if every character is a pair of six-byte surrogate escapes.
const maxBody = 512 << 10

const path = "/api/v1/orders"

// Store keeps orders, idempotency records and events.
type Store interface {
	order.Store
	idempotency.Store
	events.Store
	// Create stores a new order and the idempotency record, unless that is nil, in one
	// transaction. It returns idempotency.ErrTaken if the key is in use, and
	// order.ErrUserUnknown if the user was deleted.
	Create(ctx context.Context, o order.Order, record *idempotency.Record) error
}

type api struct {
	orders *order.Orders
	store  Store
	once   *idempotency.Once
}

// Register adds the operations on orders to a. New orders are stored with s.Create.
func Register(a *httpapi.API, orders *order.Orders, s Store, once *idempotency.Once) {
	h := &api{orders: orders, store: s, once: once}
	tags := []string{"Orders"}
	a.OpenAPI().Tags = append(a.OpenAPI().Tags, &huma.Tag{Name: "Orders", Description: "Orders of users."})
	httpapi.Register(a, huma.Operation{
		OperationID: "create-order", Method: http.MethodPost, Path: path, Tags: tags,
		Summary: "Create an order", DefaultStatus: http.StatusCreated,
		Description: "The user must exist in user-service: create it there first, and send its id as user_id. The user must be the caller, except with the scope admin. Responds 503 with Retry-After if user-service can't confirm that the user exists. The price comes from the client; the service has no catalogue. A repeated Idempotency-Key responds 410 if the order was deleted, and 404 if the caller may no longer read it.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeWrite).MaxBody(maxBody), h.create)
	httpapi.Register(a, huma.Operation{
		OperationID: "list-orders", Method: http.MethodGet, Path: path, Tags: tags,
		Summary:     "List orders, newest first",
		Description: "Lists the caller's orders; with the scope orders:fulfil or admin, all orders.",
		Errors:      []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeRead, scopeFulfil).Memory(pageMemory), h.list)
	httpapi.Register(a, huma.Operation{
		OperationID: "list-orders-of-user", Method: http.MethodGet, Path: path + "/user/{user_id}", Tags: tags,
		Summary:     "List the orders of a user, newest first",
		Description: "The list is empty if the user has no orders, or if the caller may not read them.",
		Errors:      []int{http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeRead, scopeFulfil).Memory(pageMemory), h.listOfUser)
	httpapi.Register(a, huma.Operation{
		OperationID: "get-order", Method: http.MethodGet, Path: path + "/{order_id}", Tags: tags,
		Summary: "Get an order", Responses: httpapi.NotModified(),
		Description: "Returns one of the caller's orders; with the scope orders:fulfil or admin, any order.",
		Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeRead, scopeFulfil).Memory(orderMemory), h.get)
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		httpapi.Register(a, huma.Operation{
			OperationID: map[string]string{http.MethodPut: "put-order", http.MethodPatch: "patch-order"}[method],
			Method:      method, Path: path + "/{order_id}", Tags: tags,
			Summary: "Change an order", RequestBody: httpapi.BodyExample(map[string]any{"status": "confirmed"}),
			Description: "Omitted fields keep their values. Read-only fields may be sent back unchanged. " +
				"The owner, with the scope orders:write, may change the items and the address while the order is pending, and may cancel the order. " +
				"Confirming, shipping or delivering an order requires the scope orders:fulfil, which also permits cancelling any order. The scope admin permits all of these changes.",
			Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
		}, httpapi.Needs(scopeWrite, scopeFulfil).Memory(orderMemory).MaxBody(maxBody), h.update)
	}
	httpapi.Register(a, huma.Operation{
		OperationID: "delete-order", Method: http.MethodDelete, Path: path + "/{order_id}", Tags: tags,
		Summary: "Delete an order", DefaultStatus: http.StatusNoContent,
		Description: "The owner may delete an order that is pending or cancelled. Deleting a confirmed, shipped or delivered order requires the scope admin.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeWrite).Memory(orderMemory), h.delete)
	h.registerEvents(a, tags[0])
}

type createInput struct {
	httpapi.IdempotencyKey
	Body httpapi.Body[NewOrder]
}

func (h *api) create(ctx context.Context, in *createInput) (created httpapi.Created[Order], err error) {
	claim, err := h.once.Claim(ctx, idempotency.Key{Caller: auth.From(ctx).Key(), Value: string(in.Key)}, in.Body.Raw())
	if err != nil {
		return created, err
	}
	defer claim.Release()
	if !claim.Replayed() {
		o, err := h.orders.Prepare(ctx, actor(ctx), in.Body.Value.draft())
		if err != nil {
			return created, problem(err)
		}
		answer, err := httpapi.NewCreated(path, o.ID, o.Version, toWire(o))
		if err != nil {
			return created, err
		}
		err = claim.Resolve(ctx, answer, h.store.Create(ctx, o, claim.Record(answer)))
		if err != nil {
			return created, problem(err)
		}
	}
	if claim.Replayed() { // only if the caller may still read the order
		id, err := claim.Resource()
		if err != nil {
			return created, err
		}
		_, err = h.orders.Get(ctx, actor(ctx), id)
		if err != nil {
			return created, problem(err)
		}
	}
	return httpapi.Send[Order](claim), nil
}

type listInput struct {
	httpapi.PageParams
	httpapi.CreatedParams
	UserID httpapi.Param[httpapi.ID] `query:"user_id" doc:"Only the orders of this user."`
	Status string                    `query:"status" enum:"pending,confirmed,shipped,delivered,cancelled" doc:"Only the orders in this status."`
}

func (h *api) list(ctx context.Context, in *listInput) (httpapi.Listed[Order], error) {
	query := url.Values{}
	filter := order.Filter{Created: in.Period(query)}
	if in.UserID.Set {
		userID := uuid.UUID(in.UserID.Value)
		filter.UserID = &userID
		query.Set("user_id", userID.String())
	}
	if in.Status != "" {
		status := order.Status(in.Status)
		filter.Status = &status
		query.Set("status", in.Status)
	}
	return h.page(ctx, filter, in.PageParams, path, query)
}

type userOrdersInput struct {
	httpapi.PageParams
	httpapi.CreatedParams
	UserID httpapi.ID `path:"user_id" doc:"The user's id."`
}

func (h *api) listOfUser(ctx context.Context, in *userOrdersInput) (httpapi.Listed[Order], error) {
	userID := uuid.UUID(in.UserID)
	query := url.Values{}
	return h.page(ctx, order.Filter{UserID: &userID, Created: in.Period(query)}, in.PageParams, path+"/user/"+userID.String(), query)
}

func (h *api) page(ctx context.Context, f order.Filter, params httpapi.PageParams, path string, query url.Values) (list httpapi.Listed[Order], err error) {
	request, err := params.Request(page.First)
	if err != nil {
		return list, err
	}
	p, err := h.orders.List(ctx, actor(ctx), f, request)
	if err != nil {
		return list, problem(err)
	}
	return httpapi.NewList(p, toWire, path, query, params.Limit), nil
}

// OrderPath is the path parameter of one order. It is exported because huma sets its field.
type OrderPath struct {
	OrderID httpapi.ID `path:"order_id" doc:"The order's id."`
}

type getInput struct {
	OrderPath
	httpapi.Conditions
}

func (h *api) get(ctx context.Context, in *getInput) (got httpapi.Resource[Order], err error) {
	o, err := h.orders.Get(ctx, actor(ctx), uuid.UUID(in.OrderID))
	if err != nil {
		return got, problem(err)
	}
	err = in.CheckRead(httpapi.ETag(o.Version))
	if err != nil {
		return got, err
	}
	return httpapi.NewResource(o.Version, toWire(o)), nil
}

type updateInput struct {
	OrderPath
	httpapi.Conditions
	Body httpapi.Body[OrderChange]
}

func (h *api) update(ctx context.Context, in *updateInput) (updated httpapi.Resource[Order], err error) {
	for { // retry if another request changed the order; each round, one request succeeds
		stored, err := h.orders.Get(ctx, actor(ctx), uuid.UUID(in.OrderID))
		if err != nil {
			return updated, problem(err)
		}
		err = in.CheckChange(httpapi.ETag(stored.Version))
		if err != nil {
			return updated, err
		}
		err = in.Body.Value.checkReadOnly(stored)
		if err != nil {
			return updated, err
		}
		changed, err := h.orders.Change(actor(ctx), stored, in.Body.Value.patch())
		if err != nil {
			return updated, problem(err)
		}
		err = h.orders.Save(ctx, changed, stored.Version)
		if err == nil {
			return httpapi.NewResource(changed.Version, toWire(changed)), nil
		}
		if !errors.Is(err, order.ErrStale) {
			return updated, problem(err)
		}
	}
}

type deleteInput struct {
	OrderPath
	httpapi.Conditions
}

func (h *api) delete(ctx context.Context, in *deleteInput) (none httpapi.Nothing, err error) {
	for { // see update
		stored, err := h.orders.Get(ctx, actor(ctx), uuid.UUID(in.OrderID))
		if err != nil {
			return none, problem(err)
		}
		err = in.CheckChange(httpapi.ETag(stored.Version))
		if err != nil {
			return none, err
		}
		err = h.orders.Delete(ctx, actor(ctx), stored)
		if !errors.Is(err, order.ErrStale) {
			return none, problem(err)
		}
	}
}
