package widget

import "errors"

var (
	// ErrNotFound says that there is no such widget.
	ErrNotFound = errors.New("there is no such widget")
	// ErrStale says that the widget has changed since it was read.
	ErrStale = errors.New("the widget has changed since it was read")
)
