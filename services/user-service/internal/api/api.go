// Package api is user-service's HTTP operations.
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
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/services/user-service/internal/user"
)

const path = "/api/v1/users"

type api struct {
	users *user.Users
	once  *idempotency.Once
}

// Register adds the operations on users.
func Register(a *httpapi.API, users *user.Users, once *idempotency.Once) {
	h := &api{users: users, once: once}
	tags := []string{"Users"}
	a.OpenAPI().Tags = append(a.OpenAPI().Tags, &huma.Tag{Name: "Users", Description: "Those who may have orders."})
	httpapi.Register(a, huma.Operation{
		OperationID: "create-user", Method: http.MethodPost, Path: path, Tags: tags,
		Summary: "Create a user", DefaultStatus: http.StatusCreated,
		Description: "With a token the user is the caller: its id is the token's subject. With the scope admin, or where no token is needed, it is a new one. An Idempotency-Key whose user was deleted gets 410; one whose user the caller may not see any more, 404.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, h.create)
	httpapi.Register(a, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "List users, newest first",
		Description: "The caller itself; with the scope admin, everyone. With the scope users:lookup, whoever has the address in email. " +
			"A user that isn't there, or not the caller's to see, makes an empty list. " +
			"A next_cursor goes on with the filters of the page that it is of. One of a list with created_after or created_before is refused without, and the other way round.",
		Errors: []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, h.list)
	httpapi.Register(a, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: path + "/{user_id}", Tags: tags,
		Summary: "Get a user", Responses: httpapi.NotModified(),
		Description: "The caller; with the scope users:lookup or admin, anyone.",
		Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, h.get)
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		httpapi.Register(a, huma.Operation{
			OperationID: map[string]string{http.MethodPut: "put-user", http.MethodPatch: "patch-user"}[method],
			Method:      method, Path: path + "/{user_id}", Tags: tags,
			Summary: "Change a user",
			Description: "A field that is left out keeps its value. What was read may be sent back whole. " +
				"As the answer tells whether another user has an email address, a caller may try a few in an hour only, here and when creating a user; then it gets 429.",
			Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
		}, h.update)
	}
	httpapi.Register(a, huma.Operation{
		OperationID: "delete-user", Method: http.MethodDelete, Path: path + "/{user_id}", Tags: tags,
		Summary: "Delete a user", DefaultStatus: http.StatusNoContent,
		Description: "The caller; with the scope admin, anyone. The orders stay.",
		Errors:      []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, h.delete)
}

// LimitEmails returns what keeps one caller from trying many addresses.
func LimitEmails(policy *ratelimit.Policy) user.Guard {
	return func(ctx context.Context) error { return httpapi.Within(ctx, policy) }
}

type createInput struct {
	httpapi.IdempotencyKey
	Body httpapi.Body[NewUser]
}

func (h *api) create(ctx context.Context, in *createInput) (*httpapi.Created[User], error) {
	reach := auth.From(ctx).Reach()
	read := func(id uuid.UUID) error {
		_, err := h.users.Get(ctx, reach, id)
		return problem(err)
	}
	return httpapi.Once[User](ctx, h.once, in.IdempotencyKey, in.Body.Raw(), read, func(seal func(idempotency.Answer) *idempotency.Record) (idempotency.Answer, error) {
		var answer idempotency.Answer
		_, err := h.users.Create(ctx, reach, in.Body.Value.draft(), func(u user.User) (_ *idempotency.Record, err error) {
			answer, err = httpapi.NewAnswer(path, u.ID, u.Version, toWire(u))
			return seal(answer), err
		})
		return answer, problem(err)
	})
}

type listInput struct {
	httpapi.PageParams
	httpapi.CreatedParams
	Email httpapi.Param[Email] `query:"email" doc:"Only the user with this address, whatever the case. Write a + as %2B."`
}

func (h *api) list(ctx context.Context, in *listInput) (*httpapi.ListOutput[User], error) {
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
		return nil, httpapi.Forbidden(scopeRead) // a service looks up one by one
	}
	first := page.First
	if filter.Created.IsBound() {
		first = page.FirstByTime
	}
	request, err := in.Request(first)
	if err != nil {
		return nil, err
	}
	p, err := h.users.List(ctx, reach, filter, request)
	if err != nil {
		return nil, problem(err)
	}
	return httpapi.NewList(p, toWire, path, query, in.Limit), nil
}

type userOutput struct {
	ETag string `header:"ETag" doc:"The user's version, for If-Match and If-None-Match."`
	Body User
}

func output(u user.User) *userOutput {
	return &userOutput{ETag: httpapi.ETag(u.Version), Body: toWire(u)}
}

// UserPath is the path of one user. It is exported for huma, which sets its field.
type UserPath struct {
	UserID httpapi.ID `path:"user_id" doc:"The user's id."`
}

type getInput struct {
	UserPath
	httpapi.Conditions
}

func (h *api) get(ctx context.Context, in *getInput) (*userOutput, error) {
	u, err := h.users.Get(ctx, auth.From(ctx).Reach(scopeLookup), uuid.UUID(in.UserID))
	if err != nil {
		return nil, problem(err)
	}
	err = in.CheckRead(httpapi.ETag(u.Version))
	if err != nil {
		return nil, err
	}
	return output(u), nil
}

type updateInput struct {
	UserPath
	httpapi.Conditions
	Body httpapi.Body[UserChange]
}

func (h *api) update(ctx context.Context, in *updateInput) (*userOutput, error) {
	check := func(stored user.User) error {
		err := in.CheckChange(httpapi.ETag(stored.Version))
		if err != nil {
			return err
		}
		return in.Body.Value.checkReadOnly(stored)
	}
	u, err := h.users.Update(ctx, auth.From(ctx).Reach(), uuid.UUID(in.UserID), check, in.Body.Value.patch())
	if err != nil {
		return nil, problem(err)
	}
	return output(u), nil
}

type deleteInput struct {
	UserPath
	httpapi.Conditions
}

func (h *api) delete(ctx context.Context, in *deleteInput) (*struct{}, error) {
	check := func(stored user.User) error { return in.CheckChange(httpapi.ETag(stored.Version)) }
	return nil, problem(h.users.Delete(ctx, auth.From(ctx).Reach(), uuid.UUID(in.UserID), check))
}

// problem says what the errors of the domain are in HTTP.
func problem(err error) error {
	switch {
	case errors.Is(err, user.ErrNotFound):
		return httpapi.NotFound("user")
	case errors.Is(err, user.ErrEmailTaken):
		return httpapi.NewProblem(http.StatusConflict, "another user has this email address")
	case errors.Is(err, user.ErrExists):
		return httpapi.NewProblem(http.StatusConflict, "the user that the token is of exists already")
	case errors.Is(err, user.ErrNobody):
		return httpapi.Forbidden(auth.Admin)
	}
	return err
}
