// Package api provides user-service's HTTP operations.
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
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/services/user-service/internal/user"
)

const path = "/api/v1/users"

// These scopes permit access to the caller's own user, whose id is the token's subject. The
// scope admin permits access to all users.
const (
	scopeRead  = "users:read"
	scopeWrite = "users:write"
	// scopeLookup is for services: it permits reading any single user, by id or email address.
	scopeLookup = "users:lookup"
)

// pageMemory is reserved to build the response for a page of users, in bytes.
const pageMemory = 256 << 10

// Store keeps users, idempotency records, events and consumers.
type Store interface {
	user.Store
	idempotency.Store
	events.Store
	events.Consumers
	// Create stores a new user and the idempotency record, unless that is nil, in one
	// transaction. It returns user.ErrExists, user.ErrEmailTaken, or idempotency.ErrTaken if
	// the key is in use.
	Create(ctx context.Context, u user.User, record *idempotency.Record) error
}

type api struct {
	users *user.Users
	store Store
	once  *idempotency.Once
	// consumers must process each event before an erasure is complete.
	consumers events.ConsumerList
}

// Register adds the operations on users to a. New users are stored with s.Create. consumers
// are the services that must erase a deleted user before its erasure is complete.
func Register(a *httpapi.API, users *user.Users, s Store, once *idempotency.Once, consumers events.ConsumerList) {
	h := &api{users: users, store: s, once: once, consumers: consumers}
	tags := []string{"Users"}
	a.OpenAPI().Tags = append(a.OpenAPI().Tags, &huma.Tag{Name: "Users", Description: "Users, who may own orders."})
	httpapi.Register(a, huma.Operation{
		OperationID: "create-user", Method: http.MethodPost, Path: path, Tags: tags,
		Summary: "Create a user", DefaultStatus: http.StatusCreated,
		Description: "Creates the user of the caller: its id is the token's subject. With the scope admin, or if the service requires no token, creates a user with a new id. A repeated Idempotency-Key responds 410 if the user was deleted, and 404 if the caller may no longer read it.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeWrite), h.create)
	httpapi.Register(a, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "List users, newest first",
		Description: "Lists the caller only; with the scope admin, all users. With the scope users:lookup, finds any user by email. " +
			"The list is empty if no user matches, or if the caller may not read the user. " +
			"Send a next_cursor with the filters of its page. The cursor of a list with created_after or created_before is rejected without these filters, and vice versa.",
		Errors: []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeRead, scopeLookup).Memory(pageMemory), h.list)
	httpapi.Register(a, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: path + "/{user_id}", Tags: tags,
		Summary: "Get a user", Responses: httpapi.NotModified(),
		Description: "Returns the caller; with the scope users:lookup or admin, any user.",
		Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeRead, scopeLookup).Unlimited(scopeLookup), h.get)
	httpapi.Register(a, huma.Operation{
		OperationID: "list-existing-users", Method: http.MethodGet, Path: path + "/existing", Tags: tags,
		Summary:     "List which users exist",
		Description: "For services that look up several users at once; requires the scope " + scopeLookup + " or admin.",
		Errors:      []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeLookup).Unlimited(scopeLookup), h.existing)
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		httpapi.Register(a, huma.Operation{
			OperationID: map[string]string{http.MethodPut: "put-user", http.MethodPatch: "patch-user"}[method],
			Method:      method, Path: path + "/{user_id}", Tags: tags,
			Summary: "Change a user", RequestBody: httpapi.BodyExample(map[string]any{"name": "Ada King", "age": 37}),
			Description: "Omitted fields keep their values. Read-only fields may be sent back unchanged. " +
				"Limits how many email addresses a caller may try (RATE_LIMIT_EMAIL), here and when creating a user, because the response reveals whether an address is taken. Responds 429 above this limit.",
			Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
		}, httpapi.Needs(scopeWrite), h.update)
	}
	httpapi.Register(a, huma.Operation{
		OperationID: "delete-user", Method: http.MethodDelete, Path: path + "/{user_id}", Tags: tags,
		Summary: "Delete a user", DefaultStatus: http.StatusNoContent,
		Description: "Deletes the caller; with the scope admin, any user. Services that follow the events erase their personal data of the user; the operation get-erasure reports the progress. The id is never reused.",
		Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeWrite), h.delete)
	h.registerEvents(a, tags[0])
}

// LimitEmails returns a guard that limits how many email addresses a caller may try.
func LimitEmails(policy *ratelimit.Policy) user.Guard {
	return func(ctx context.Context) error { return httpapi.Within(ctx, policy) }
}

type createInput struct {
	httpapi.IdempotencyKey
	Body httpapi.Body[NewUser]
}

func (h *api) create(ctx context.Context, in *createInput) (created httpapi.Created[User], err error) {
	caller := auth.From(ctx)
	claim, err := h.once.Claim(ctx, idempotency.Key{Caller: caller.Key(), Value: string(in.Key)}, in.Body.Raw())
	if err != nil {
		return created, err
	}
	defer claim.Release()
	if !claim.Replayed() {
		u, err := h.users.Prepare(ctx, caller.Reach(), in.Body.Value.draft())
		if err != nil {
			return created, problem(err)
		}
		answer, err := httpapi.NewCreated(path, u.ID, u.Version, toWire(u))
		if err != nil {
			return created, err
		}
		err = claim.Resolve(ctx, answer, h.store.Create(ctx, u, claim.Record(answer)))
		if err != nil {
			return created, problem(h.users.Explain(ctx, u, err))
		}
	}
	if claim.Replayed() { // only if the caller may still read the user
		id, err := claim.Resource()
		if err != nil {
			return created, err
		}
		_, err = h.users.Get(ctx, caller.Reach(), id)
		if err != nil {
			return created, problem(err)
		}
	}
	return httpapi.Send[User](claim), nil
}

type listInput struct {
	httpapi.PageParams
	httpapi.CreatedParams
	Email httpapi.Param[Email] `query:"email" doc:"Only the user with this address, ignoring case. Encode + as %2B."`
}

func (h *api) list(ctx context.Context, in *listInput) (list httpapi.Listed[User], err error) {
	query := url.Values{}
	filter := user.Filter{Created: in.Period(query)}
	caller := auth.From(ctx)
	reach := caller.Reach()
	switch {
	case in.Email.Set:
		filter.Email = &in.Email.Value.Email
		query.Set("email", filter.Email.String())
		reach = caller.Reach(scopeLookup)
	case !caller.Has(scopeRead):
		return list, httpapi.Forbidden(scopeRead) // a service may only look up single users
	}
	first := page.First
	if filter.Created.IsBound() {
		first = page.FirstByTime
	}
	request, err := in.Request(first)
	if err != nil {
		return list, err
	}
	p, err := h.users.List(ctx, reach, filter, request)
	if err != nil {
		return list, problem(err)
	}
	return httpapi.NewList(p, toWire, path, query, in.Limit), nil
}

// UserPath is the path parameter of one user. It is exported because huma sets its field.
type UserPath struct {
	UserID httpapi.ID `path:"user_id" doc:"The user's id."`
}

type getInput struct {
	UserPath
	httpapi.Conditions
}

func (h *api) get(ctx context.Context, in *getInput) (got httpapi.Resource[User], err error) {
	u, err := h.users.Get(ctx, auth.From(ctx).Reach(scopeLookup), uuid.UUID(in.UserID))
	if err != nil {
		return got, problem(err)
	}
	err = in.CheckRead(httpapi.ETag(u.Version))
	if err != nil {
		return got, err
	}
	return httpapi.NewResource(u.Version, toWire(u)), nil
}

type existingInput struct {
	IDs httpapi.IDs `query:"ids" required:"true" doc:"The users' ids, separated by commas."`
}

// ExistingUsers are the users that exist, of those that a request named.
type ExistingUsers struct {
	IDs []uuid.UUID `json:"ids" nullable:"false" maxItems:"100" format:"uuid" doc:"The ids of the users that exist, in any order."`
}

func (h *api) existing(ctx context.Context, in *existingInput) (found httpapi.Unversioned[ExistingUsers], err error) {
	existing, err := h.users.Existing(ctx, in.IDs)
	found.Body.IDs = append([]uuid.UUID{}, existing...) // not null
	return found, err
}

type updateInput struct {
	UserPath
	httpapi.Conditions
	Body httpapi.Body[UserChange]
}

func (h *api) update(ctx context.Context, in *updateInput) (updated httpapi.Resource[User], err error) {
	for { // retry if another request changed the user; each round, one request succeeds
		stored, err := h.users.Get(ctx, auth.From(ctx).Reach(), uuid.UUID(in.UserID))
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
		changed, err := h.users.Change(stored, in.Body.Value.patch())
		if err != nil {
			return updated, problem(err)
		}
		err = h.users.Save(ctx, stored, changed)
		if err == nil {
			return httpapi.NewResource(changed.Version, toWire(changed)), nil
		}
		if !errors.Is(err, user.ErrStale) {
			return updated, problem(err)
		}
	}
}

type deleteInput struct {
	UserPath
	httpapi.Conditions
}

func (h *api) delete(ctx context.Context, in *deleteInput) (none httpapi.Nothing, err error) {
	for { // see update
		stored, err := h.users.Get(ctx, auth.From(ctx).Reach(), uuid.UUID(in.UserID))
		if err != nil {
			return none, problem(err)
		}
		err = in.CheckChange(httpapi.ETag(stored.Version))
		if err != nil {
			return none, err
		}
		err = h.users.Delete(ctx, stored)
		if !errors.Is(err, user.ErrStale) {
			return none, problem(err)
		}
	}
}
