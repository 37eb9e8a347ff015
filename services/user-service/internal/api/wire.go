package api

import (
	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/services/user-service/internal/user"
)

// Email is an email address in a query.
type Email struct{ user.Email }

// Schema implements huma.SchemaProvider.
func (*Email) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Examples: []any{"ada@example.com"}}
}

// User is the JSON form of a user.
type User struct {
	ID        uuid.UUID       `json:"id" format:"uuid" doc:"The user's id: the subject of its token, or a generated id that sorts by creation time." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`
	Name      string          `json:"name" minLength:"1" maxLength:"100" doc:"1 to 100 characters." example:"Ada Lovelace"`
	Email     string          `json:"email" format:"idn-email" minLength:"5" maxLength:"254" doc:"Unique, ignoring case; stored as written." example:"ada@example.com"`
	Age       *int            `json:"age" minimum:"0" maximum:"150" doc:"In years; null if unknown." example:"36"`
	CreatedAt httpapi.Instant `json:"created_at" doc:"When the user was created."`
	UpdatedAt httpapi.Instant `json:"updated_at" doc:"When the user was changed last."`
}

func toWire(u user.User) User {
	return User{ID: u.ID, Name: u.Name, Email: u.Email.String(), Age: u.Age, CreatedAt: httpapi.Instant(u.CreatedAt), UpdatedAt: httpapi.Instant(u.UpdatedAt)}
}

// NewUser is the request body that creates a user.
type NewUser struct {
	Name  string                 `json:"name" minLength:"1" pattern:"^\\s*\\S([\\s\\S]{0,98}\\S)?\\s*$" doc:"1 to 100 characters, after leading and trailing white space is removed." example:"Ada Lovelace"`
	Email string                 `json:"email" minLength:"5" pattern:"^[^@]+@[^@]+$" doc:"An address such as ada@example.com, of at most 254 bytes; unique, ignoring case." example:"ada@example.com"`
	Age   jsonbody.Nullable[int] `json:"age,omitzero" minimum:"0" maximum:"150" doc:"In years; null or omitted if unknown." example:"36"`
}

func (n *NewUser) draft() user.Draft {
	return user.Draft{Name: n.Name, Email: n.Email, Age: n.Age.Ptr()}
}

// UserChange is the request body that changes a user. Omitted fields keep their values.
type UserChange struct {
	Name  jsonbody.Optional[string] `json:"name,omitzero" minLength:"1" pattern:"^\\s*\\S([\\s\\S]{0,98}\\S)?\\s*$" doc:"1 to 100 characters." example:"Ada King"`
	Email jsonbody.Optional[string] `json:"email,omitzero" minLength:"5" pattern:"^[^@]+@[^@]+$" doc:"Unique, ignoring case." example:"ada@example.com"`
	Age   jsonbody.Nullable[int]    `json:"age,omitzero" minimum:"0" maximum:"150" doc:"In years; null clears it." example:"37"`

	// Read-only fields, which a client may send back unchanged.
	ID        jsonbody.Optional[string] `json:"id,omitzero" format:"uuid" doc:"Can't be changed; may be sent back unchanged." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`
	CreatedAt jsonbody.Optional[string] `json:"created_at,omitzero" format:"date-time" doc:"Can't be changed; may be sent back unchanged." example:"2026-01-02T03:04:05.678Z"`
	UpdatedAt jsonbody.Optional[string] `json:"updated_at,omitzero" format:"date-time" doc:"Can't be changed; may be sent back unchanged." example:"2026-01-02T03:04:05.678Z"`
}

func (c *UserChange) patch() user.Patch {
	return user.Patch{Name: c.Name.Ptr(), Email: c.Email.Ptr(), SetAge: c.Age.Set, Age: c.Age.Ptr()}
}

// checkReadOnly rejects values of read-only fields that differ from the stored user.
func (c *UserChange) checkReadOnly(stored user.User) error {
	var r httpapi.ReadOnly
	r.ID("id", c.ID, stored.ID)
	r.Time("created_at", c.CreatedAt, stored.CreatedAt)
	r.Time("updated_at", c.UpdatedAt, stored.UpdatedAt)
	return r.Err()
}
