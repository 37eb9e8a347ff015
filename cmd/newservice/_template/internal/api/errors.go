package api

import (
	"errors"

	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

// problem says what the errors of the domain are in HTTP.
func problem(err error) error {
	if errors.Is(err, widget.ErrNotFound) {
		return httpapi.NotFound("widget")
	}
	return err
}
