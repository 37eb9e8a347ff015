package user

import (
	"errors"
)

var (
	// ErrNotFound says that there is no such user.
	ErrNotFound = errors.New("there is no such user")
	// ErrEmailTaken says that another user has the email address.
	ErrEmailTaken = errors.New("the email address is taken")
	// ErrExists says that the user who would be created is there already.
	ErrExists = errors.New("the user exists already")
	// ErrDeleted says that there was such a user, whose id is not used again.
	ErrDeleted = errors.New("the user was deleted")
	// ErrNobody says that no user can be created who would be within reach.
	ErrNobody = errors.New("there is no user within reach")
	// ErrStale says that the user has changed since it was read.
	ErrStale = errors.New("the user has changed since it was read")
)
