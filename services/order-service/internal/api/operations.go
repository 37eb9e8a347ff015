package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
)

type createInput struct {
	httpapi.IdempotencyKey
	Body httpapi.Body[NewOrder]
}

func (h *api) create(ctx context.Context, in *createInput) (*httpapi.Created[Order], error) {
	read := func(id uuid.UUID) error {
		_, err := h.orders.Get(ctx, actor(ctx), id)
		return problem(err)
	}
	return httpapi.Once[Order](ctx, h.once, in.IdempotencyKey, in.Body.Raw(), read, func(seal func(idempotency.Answer) *idempotency.Record) (idempotency.Answer, error) {
		var answer idempotency.Answer
		_, err := h.orders.Create(ctx, actor(ctx), in.Body.Value.draft(), func(o order.Order) (_ *idempotency.Record, err error) {
			answer, err = httpapi.NewAnswer(path, o.ID, o.Version, toWire(o))
			return seal(answer), err
		})
		return answer, problem(err)
	})
}

type listInput struct {
	httpapi.PageParams
	httpapi.CreatedParams
	UserID httpapi.Param[httpapi.ID] `query:"user_id" doc:"Only the orders of this user."`
	Status string                    `query:"status" enum:"pending,confirmed,shipped,delivered,cancelled" doc:"Only the orders in this status."`
}

func (h *api) list(ctx context.Context, in *listInput) (*httpapi.ListOutput[Order], error) {
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

func (h *api) listOfUser(ctx context.Context, in *userOrdersInput) (*httpapi.ListOutput[Order], error) {
	userID := uuid.UUID(in.UserID)
	query := url.Values{}
	return h.page(ctx, order.Filter{UserID: &userID, Created: in.Period(query)}, in.PageParams, path+"/user/"+userID.String(), query)
}

func (h *api) page(ctx context.Context, f order.Filter, params httpapi.PageParams, path string, query url.Values) (*httpapi.ListOutput[Order], error) {
	request, err := params.Request(page.First)
	if err != nil {
		return nil, err
	}
	p, err := h.orders.List(ctx, actor(ctx), f, request)
	if err != nil {
		return nil, problem(err)
	}
	return httpapi.NewList(p, toWire, path, query, params.Limit), nil
}

type orderOutput struct {
	ETag string `header:"ETag" doc:"The order's version, for If-Match and If-None-Match."`
	Body Order
}

func output(o order.Order) *orderOutput {
	return &orderOutput{ETag: httpapi.ETag(o.Version), Body: toWire(o)}
}

// OrderPath is the path of one order. It is exported for huma, which sets its
// field.
type OrderPath struct {
	OrderID httpapi.ID `path:"order_id" doc:"The order's id."`
}

type getInput struct {
	OrderPath
	httpapi.Conditions
}

func (h *api) get(ctx context.Context, in *getInput) (*orderOutput, error) {
	o, err := h.orders.Get(ctx, actor(ctx), uuid.UUID(in.OrderID))
	if err != nil {
		return nil, problem(err)
	}
	err = in.CheckRead(httpapi.ETag(o.Version))
	if err != nil {
		return nil, err
	}
	return output(o), nil
}

type updateInput struct {
	OrderPath
	httpapi.Conditions
	Body httpapi.Body[OrderChange]
}

func (h *api) update(ctx context.Context, in *updateInput) (*orderOutput, error) {
	check := func(stored order.Order) error {
		err := in.CheckChange(httpapi.ETag(stored.Version))
		if err != nil {
			return err
		}
		return in.Body.Value.checkReadOnly(stored)
	}
	o, err := h.orders.Update(ctx, actor(ctx), uuid.UUID(in.OrderID), check, in.Body.Value.patch())
	if err != nil {
		return nil, problem(err)
	}
	return output(o), nil
}

type deleteInput struct {
	OrderPath
	httpapi.Conditions
}

func (h *api) delete(ctx context.Context, in *deleteInput) (*struct{}, error) {
	check := func(stored order.Order) error { return in.CheckChange(httpapi.ETag(stored.Version)) }
	return nil, problem(h.orders.Delete(ctx, actor(ctx), uuid.UUID(in.OrderID), check))
}

// problem says what the errors of the domain are in HTTP.
func problem(err error) error {
	var transition *order.TransitionError
	var notPending *order.NotPendingError
	var record *order.RecordError
	var unavailable *order.UsersUnavailableError
	switch {
	case errors.Is(err, order.ErrNotFound):
		return httpapi.NotFound("order")
	case errors.Is(err, order.ErrNotFulfilling):
		return httpapi.Forbidden(scopeFulfil)
	case errors.Is(err, order.ErrNotOwner):
		return httpapi.Forbidden(auth.Admin) // it sees the order, so it lacks no lesser scope
	case errors.As(err, &transition), errors.As(err, &notPending), errors.As(err, &record):
		return httpapi.NewProblem(http.StatusConflict, err.Error())
	case errors.As(err, &unavailable):
		return httpapi.Unavailable("the user can't be looked up right now, and an order is only made for a user who is known to exist", unavailable.RetryAfter).
			Because(unavailable)
	}
	return err
}
