package api

import (
	"errors"
	"net/http"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/services/order-service/internal/order"
)

// problem converts domain errors to HTTP problems; it returns other errors unchanged.
func problem(err error) error {
	var transition *order.TransitionError
	var notPending *order.NotPendingError
	var record *order.RecordError
	var unavailable *order.UsersUnavailableError
	switch {
	case errors.Is(err, order.ErrNotFound):
		return httpapi.NotFound("order")
	case errors.Is(err, order.ErrUserUnknown):
		return invalid.Fields{{Path: "user_id", Message: "is not the id of a user"}}
	case errors.Is(err, order.ErrNotFulfilling):
		return httpapi.Forbidden(scopeFulfil)
	case errors.Is(err, order.ErrNotOwner):
		return httpapi.Forbidden(auth.Admin) // the actor can read the order, so only admin would help
	case errors.As(err, &transition), errors.As(err, &notPending), errors.As(err, &record):
		return httpapi.NewProblem(http.StatusConflict, err.Error())
	case errors.As(err, &unavailable):
		return httpapi.Unavailable("user-service can't confirm right now that the user exists, so no order was created", unavailable.RetryAfter).
			Because(unavailable)
	}
	return err
}
