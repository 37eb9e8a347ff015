package order

import (
	"context"

	"github.com/google/uuid"
)

// Users is what an order needs to know of user-service.
type Users interface {
	// Verify returns nil when the user is known to exist, ErrUserUnknown when
	// user-service says that there is no such user, *UsersUnavailableError
	// when that can't be told now, and ctx's error when the caller gave up.
	Verify(ctx context.Context, id uuid.UUID) error
}
