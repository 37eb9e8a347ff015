package api

import (
	"errors"
	"net/http"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/services/user-service/internal/user"
)

// problem converts domain errors to HTTP problems; it returns other errors unchanged.
func problem(err error) error {
	switch {
	case errors.Is(err, user.ErrNotFound):
		return httpapi.NotFound("user")
	case errors.Is(err, user.ErrEmailTaken):
		return httpapi.NewProblem(http.StatusConflict, "another user has this email address")
	case errors.Is(err, user.ErrExists):
		return httpapi.NewProblem(http.StatusConflict, "the user of this token exists already")
	case errors.Is(err, user.ErrDeleted):
		return httpapi.NewProblem(http.StatusConflict, "the user of this token was deleted and can't be created again; use the token of a new account")
	case errors.Is(err, user.ErrNobody):
		return httpapi.Forbidden(auth.Admin)
	}
	return err
}
