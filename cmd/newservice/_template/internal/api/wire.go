package api

import (
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

// Widget is the JSON form of a widget.
type Widget struct {
	ID        uuid.UUID       `json:"id" format:"uuid" doc:"The widget's id; ids sort by creation time." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`
	OwnerID   uuid.UUID       `json:"owner_id" format:"uuid" doc:"The id of the user who owns the widget." example:"019dd1a2-0000-7cc3-9d3a-0c8a3f1b2c4d"`
	Name      string          `json:"name" minLength:"1" maxLength:"100" doc:"1 to 100 characters." example:"A name"`
	Quantity  int64           `json:"quantity" minimum:"0" maximum:"1000000" doc:"The quantity, a whole number." example:"3"`
	CreatedAt httpapi.Instant `json:"created_at" doc:"When the widget was created."`
	UpdatedAt httpapi.Instant `json:"updated_at" doc:"When the widget was changed last."`
}

func toWire(it widget.Widget) Widget {
	return Widget{
		ID: it.ID, OwnerID: it.OwnerID, Name: it.Name, Quantity: it.Quantity,
		CreatedAt: httpapi.Instant(it.CreatedAt), UpdatedAt: httpapi.Instant(it.UpdatedAt),
	}
}

// NewWidget is the request body that creates a widget.
type NewWidget struct {
	OwnerID  jsonbody.Optional[string] `json:"owner_id,omitzero" format:"uuid" doc:"The id of the user who owns the widget. If omitted, the caller; required with the scope admin, or if the service requires no token." example:"019dd1a2-0000-7cc3-9d3a-0c8a3f1b2c4d"`
	Name     string                    `json:"name" minLength:"1" pattern:"^\\s*\\S([\\s\\S]{0,98}\\S)?\\s*$" doc:"1 to 100 characters, after leading and trailing white space is removed." example:"A name"`
	Quantity int64                     `json:"quantity" minimum:"0" maximum:"1000000" doc:"The quantity, a whole number." example:"3"`
}

func (n *NewWidget) draft() widget.Draft {
	return widget.Draft{OwnerID: n.OwnerID.Ptr(), Name: n.Name, Quantity: n.Quantity}
}

// WidgetChange is the request body that changes a widget. Omitted fields keep their values.
type WidgetChange struct {
	Name     jsonbody.Optional[string] `json:"name,omitzero" minLength:"1" pattern:"^\\s*\\S([\\s\\S]{0,98}\\S)?\\s*$" doc:"1 to 100 characters." example:"Another name"`
	Quantity jsonbody.Optional[int64]  `json:"quantity,omitzero" minimum:"0" maximum:"1000000" doc:"The quantity, a whole number." example:"4"`

	// Read-only fields, which a client may send back unchanged.
	ID        jsonbody.Optional[string] `json:"id,omitzero" format:"uuid" doc:"Can't be changed; may be sent back unchanged." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`
	OwnerID   jsonbody.Optional[string] `json:"owner_id,omitzero" format:"uuid" doc:"Can't be changed; may be sent back unchanged." example:"019dd1a2-0000-7cc3-9d3a-0c8a3f1b2c4d"`
	CreatedAt jsonbody.Optional[string] `json:"created_at,omitzero" format:"date-time" doc:"Can't be changed; may be sent back unchanged." example:"2026-01-02T03:04:05.678Z"`
	UpdatedAt jsonbody.Optional[string] `json:"updated_at,omitzero" format:"date-time" doc:"Can't be changed; may be sent back unchanged." example:"2026-01-02T03:04:05.678Z"`
}

func (c *WidgetChange) patch() widget.Patch {
	return widget.Patch{Name: c.Name.Ptr(), Quantity: c.Quantity.Ptr()}
}

// checkReadOnly rejects values of read-only fields that differ from the stored widget.
func (c *WidgetChange) checkReadOnly(stored widget.Widget) error {
	var r httpapi.ReadOnly
	r.ID("id", c.ID, stored.ID)
	r.ID("owner_id", c.OwnerID, stored.OwnerID)
	r.Time("created_at", c.CreatedAt, stored.CreatedAt)
	r.Time("updated_at", c.UpdatedAt, stored.UpdatedAt)
	return r.Err()
}
