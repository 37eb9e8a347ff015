// Package api provides widget-service's HTTP operations.
package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

const path = "/api/v1/widgets"

// These scopes permit access to the widgets of the user who is the token's subject. The
// scope admin permits access to all widgets.
const (
	scopeRead  = "widgets:read"
	scopeWrite = "widgets:write"
)

// pageMemory is reserved to build the response for a page of widgets, in bytes.
const pageMemory = 256 << 10

// Store keeps widgets and idempotency records.
type Store interface {
	widget.Store
	idempotency.Store
	// Create stores a new widget and the idempotency record, unless that is nil, in one
	// transaction. It returns idempotency.ErrTaken if the key is in use.
	Create(ctx context.Context, it widget.Widget, record *idempotency.Record) error
}

type api struct {
	widgets *widget.Widgets
	store   Store
	once    *idempotency.Once
}

// Register adds the operations on widgets to a. New widgets are stored with s.Create.
func Register(a *httpapi.API, widgets *widget.Widgets, s Store, once *idempotency.Once) {
	h := &api{widgets: widgets, store: s, once: once}
	tags := []string{"Widgets"}
	a.OpenAPI().Tags = append(a.OpenAPI().Tags, &huma.Tag{Name: "Widgets", Description: "Widgets of users."})
	httpapi.Register(a, huma.Operation{
		OperationID: "create-widget", Method: http.MethodPost, Path: path, Tags: tags,
		Summary: "Create a widget", DefaultStatus: http.StatusCreated,
		Description: "The owner is the caller; with the scope admin, or if the service requires no token, the user in owner_id. A repeated Idempotency-Key responds 410 if the widget was deleted, and 404 if the caller may no longer read it.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeWrite), h.create)
	httpapi.Register(a, huma.Operation{
		OperationID: "list-widgets", Method: http.MethodGet, Path: path, Tags: tags,
		Summary:     "List widgets, newest first",
		Description: "Lists the caller's widgets; with the scope admin, all widgets.",
		Errors:      []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeRead).Memory(pageMemory), h.list)
	httpapi.Register(a, huma.Operation{
		OperationID: "get-widget", Method: http.MethodGet, Path: path + "/{widget_id}", Tags: tags,
		Summary: "Get a widget", Responses: httpapi.NotModified(),
		Description: "Returns one of the caller's widgets; with the scope admin, any widget.",
		Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeRead), h.get)
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		httpapi.Register(a, huma.Operation{
			OperationID: map[string]string{http.MethodPut: "put-widget", http.MethodPatch: "patch-widget"}[method],
			Method:      method, Path: path + "/{widget_id}", Tags: tags,
			Summary: "Change a widget", RequestBody: httpapi.BodyExample(map[string]any{"quantity": 4}),
			Description: "Omitted fields keep their values. Read-only fields may be sent back unchanged.",
			Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
		}, httpapi.Needs(scopeWrite), h.update)
	}
	httpapi.Register(a, huma.Operation{
		OperationID: "delete-widget", Method: http.MethodDelete, Path: path + "/{widget_id}", Tags: tags,
		Summary: "Delete a widget", DefaultStatus: http.StatusNoContent,
		Description: "Deletes one of the caller's widgets; with the scope admin, any widget.",
		Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeWrite), h.delete)
}

type createInput struct {
	httpapi.IdempotencyKey
	Body httpapi.Body[NewWidget]
}

func (h *api) create(ctx context.Context, in *createInput) (created httpapi.Created[Widget], err error) {
	caller := auth.From(ctx)
	claim, err := h.once.Claim(ctx, idempotency.Key{Caller: caller.Key(), Value: string(in.Key)}, in.Body.Raw())
	if err != nil {
		return created, err
	}
	defer claim.Release()
	if !claim.Replayed() {
		it, err := h.widgets.Prepare(caller.Reach(), in.Body.Value.draft())
		if err != nil {
			return created, problem(err)
		}
		answer, err := httpapi.NewCreated(path, it.ID, it.Version, toWire(it))
		if err != nil {
			return created, err
		}
		err = claim.Resolve(ctx, answer, h.store.Create(ctx, it, claim.Record(answer)))
		if err != nil {
			return created, problem(err)
		}
	}
	if claim.Replayed() { // only if the caller may still read the widget
		id, err := claim.Resource()
		if err != nil {
			return created, err
		}
		_, err = h.widgets.Get(ctx, caller.Reach(), id)
		if err != nil {
			return created, problem(err)
		}
	}
	return httpapi.Send[Widget](claim), nil
}

type listInput struct {
	httpapi.PageParams
	httpapi.CreatedParams
	OwnerID httpapi.Param[httpapi.ID] `query:"owner_id" doc:"Only the widgets of this user."`
}

func (h *api) list(ctx context.Context, in *listInput) (list httpapi.Listed[Widget], err error) {
	query := url.Values{}
	filter := widget.Filter{Created: in.Period(query)}
	if in.OwnerID.Set {
		ownerID := uuid.UUID(in.OwnerID.Value)
		filter.OwnerID = &ownerID
		query.Set("owner_id", ownerID.String())
	}
	request, err := in.Request(page.First)
	if err != nil {
		return list, err
	}
	p, err := h.widgets.List(ctx, auth.From(ctx).Reach(), filter, request)
	if err != nil {
		return list, problem(err)
	}
	return httpapi.NewList(p, toWire, path, query, in.Limit), nil
}

// WidgetPath is the path parameter of one widget. It is exported because huma sets its field.
type WidgetPath struct {
	WidgetID httpapi.ID `path:"widget_id" doc:"The widget's id."`
}

type getInput struct {
	WidgetPath
	httpapi.Conditions
}

func (h *api) get(ctx context.Context, in *getInput) (got httpapi.Resource[Widget], err error) {
	it, err := h.widgets.Get(ctx, auth.From(ctx).Reach(), uuid.UUID(in.WidgetID))
	if err != nil {
		return got, problem(err)
	}
	err = in.CheckRead(httpapi.ETag(it.Version))
	if err != nil {
		return got, err
	}
	return httpapi.NewResource(it.Version, toWire(it)), nil
}

type updateInput struct {
	WidgetPath
	httpapi.Conditions
	Body httpapi.Body[WidgetChange]
}

func (h *api) update(ctx context.Context, in *updateInput) (updated httpapi.Resource[Widget], err error) {
	for { // retry if another request changed the widget; each round, one request succeeds
		stored, err := h.widgets.Get(ctx, auth.From(ctx).Reach(), uuid.UUID(in.WidgetID))
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
		changed, err := h.widgets.Change(stored, in.Body.Value.patch())
		if err != nil {
			return updated, problem(err)
		}
		err = h.widgets.Save(ctx, changed, stored.Version)
		if err == nil {
			return httpapi.NewResource(changed.Version, toWire(changed)), nil
		}
		if !errors.Is(err, widget.ErrStale) {
			return updated, problem(err)
		}
	}
}

type deleteInput struct {
	WidgetPath
	httpapi.Conditions
}

func (h *api) delete(ctx context.Context, in *deleteInput) (none httpapi.Nothing, err error) {
	for { // see update
		stored, err := h.widgets.Get(ctx, auth.From(ctx).Reach(), uuid.UUID(in.WidgetID))
		if err != nil {
			return none, problem(err)
		}
		err = in.CheckChange(httpapi.ETag(stored.Version))
		if err != nil {
			return none, err
		}
		err = h.widgets.Delete(ctx, stored)
		if !errors.Is(err, widget.ErrStale) {
			return none, problem(err)
		}
	}
}
