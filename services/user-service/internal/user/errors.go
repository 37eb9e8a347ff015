package user

import (
	"errors"
)

var (
	// ErrNotFound means that the user doesn't exist, or that the caller may not read it.
	ErrNotFound = errors.New("there is no such user")
	// ErrEmailTaken means that another user has the email address.
	ErrEmailTaken = errors.New("the email address is taken")
	// ErrExists means that a user with this id exists already.
	ErrExists = errors.New("the user exists already")
	// ErrDeleted means that a user with this id was deleted; ids are never reused.
	ErrDeleted = errors.New("the user was deleted")
	// ErrNobody means that the caller has no user of its own that it could create.
	ErrNobody = errors.New("the caller has no user of its own")
	// ErrStale means that the user has changed since it was read.
	ErrStale = errors.New("the user has changed since it was read")
)
