package order

import (
	"context"

	"github.com/google/uuid"
)

// Users looks up users in user-service.
type Users interface {
	// Verify returns nil if the user exists, ErrUserUnknown if user-service has no such
	// user, *UsersUnavailableError if the lookup failed, and ctx's error if ctx ended.
	Verify(ctx context.Context, id uuid.UUID) error
}
