package widget

import "errors"

var (
	// ErrNotFound means that the widget doesn't exist, or that the caller may not read it.
	ErrNotFound = errors.New("there is no such widget")
	// ErrStale means that the widget has changed since it was read.
	ErrStale = errors.New("the widget has changed since it was read")
)
