package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Users is what an order needs to know of user-service.
type Users interface {
	// Verify returns nil when the user is known to exist, ErrUserUnknown when
	// user-service says that there is no such user, *UsersUnavailableError
	// when that can't be told now, and ctx's error when the caller gave up.
	Verify(ctx context.Context, id uuid.UUID) error
}

// ErrUserUnknown says that user-service knows no such user.
var ErrUserUnknown = errors.New("no such user")

// UsersUnavailableError says that user-service could not be asked. No order
// may be created on the strength of it.
type UsersUnavailableError struct {
	// RetryAfter is when it makes sense to ask again.
	RetryAfter time.Duration
	// Err is the cause, for the log. It is never shown to a client.
	Err error
}

func (e *UsersUnavailableError) Error() string {
	return fmt.Sprintf("user-service is unavailable: %v", e.Err)
}

func (e *UsersUnavailableError) Unwrap() error { return e.Err }
