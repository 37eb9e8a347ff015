package api

import (
	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/pkg/money"
	"github.com/example/microservices/services/order-service/internal/order"
)

// Money is an amount in JSON: an exact number with two decimals, such as 2999.97.
type Money struct{ money.Amount }

// Schema implements huma.SchemaProvider.
func (Money) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Format: "double", Examples: []any{999.99}}
}

// Item is the JSON form of an item.
type Item struct {
	ProductID   string `json:"product_id" minLength:"1" pattern:"^\\s*\\S([\\s\\S]{0,98}\\S)?\\s*$" doc:"1 to 100 characters." example:"laptop-15"`
	ProductName string `json:"product_name" minLength:"1" pattern:"^\\s*\\S([\\s\\S]{0,198}\\S)?\\s*$" doc:"1 to 200 characters." example:"Laptop 15″"`
	Quantity    int64  `json:"quantity" minimum:"1" maximum:"1000000" doc:"The quantity, a whole number." example:"3"`
	Price       Money  `json:"price" minimum:"0" maximum:"99999999.99" doc:"The price of one unit, with at most 2 decimals." example:"999.99"`
}

// Order is the JSON form of an order.
type Order struct {
	ID              uuid.UUID       `json:"id" format:"uuid" doc:"The order's id; ids sort by creation time." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`
	UserID          uuid.UUID       `json:"user_id" format:"uuid" doc:"The id of the user who owns the order." example:"019dd1a2-0000-7cc3-9d3a-0c8a3f1b2c4d"`
	Items           []Item          `json:"items" minItems:"1" maxItems:"100" nullable:"false" doc:"The ordered items."`
	ShippingAddress *string         `json:"shipping_address" minLength:"1" maxLength:"500" doc:"The shipping address, in one or several lines; null if it was erased (see erased_at)." example:"12 St James's Square, London"`
	Status          string          `json:"status" enum:"pending,confirmed,shipped,delivered,cancelled" doc:"pending → confirmed → shipped → delivered; pending and confirmed may become cancelled." example:"pending"`
	TotalAmount     Money           `json:"total_amount" minimum:"0" maximum:"999999999999.99" doc:"The sum of price × quantity, exact." example:"2999.97"`
	CreatedAt       httpapi.Instant `json:"created_at" doc:"When the order was created."`
	UpdatedAt       httpapi.Instant `json:"updated_at" doc:"When the order was changed last."`
	// ErasedAt is omitted unless the address was erased.
	ErasedAt *httpapi.Instant `json:"erased_at,omitzero" doc:"When the shipping address was erased because the user was deleted; omitted otherwise."`
}

func toWire(o order.Order) Order {
	items := make([]Item, len(o.Items))
	for i, item := range o.Items {
		items[i] = Item{ProductID: item.ProductID, ProductName: item.ProductName, Quantity: item.Quantity, Price: Money{item.Price}}
	}
	wire := Order{
		ID: o.ID, UserID: o.UserID, Items: items, ShippingAddress: &o.ShippingAddress, Status: string(o.Status),
		TotalAmount: Money{o.Total}, CreatedAt: httpapi.Instant(o.CreatedAt), UpdatedAt: httpapi.Instant(o.UpdatedAt), ErasedAt: (*httpapi.Instant)(o.ErasedAt),
	}
	if o.ErasedAt != nil {
		wire.ShippingAddress = nil
	}
	return wire
}

func fromWire(items []Item) []order.Item {
	out := make([]order.Item, len(items))
	for i, item := range items {
		out[i] = order.Item{ProductID: item.ProductID, ProductName: item.ProductName, Quantity: item.Quantity, Price: item.Price.Amount}
	}
	return out
}

// NewOrder is the request body that creates an order.
type NewOrder struct {
	UserID          string `json:"user_id" format:"uuid" doc:"The id of the user who owns the order; the user must exist in user-service." example:"019dd1a2-0000-7cc3-9d3a-0c8a3f1b2c4d"`
	Items           []Item `json:"items" minItems:"1" maxItems:"100" nullable:"false" doc:"The ordered items."`
	ShippingAddress string `json:"shipping_address" minLength:"1" pattern:"^\\s*\\S([\\s\\S]{0,498}\\S)?\\s*$" doc:"The shipping address: 1 to 500 characters, in one or several lines." example:"12 St James's Square, London"`
}

func (n *NewOrder) draft() order.Draft {
	return order.Draft{UserID: n.UserID, Items: fromWire(n.Items), ShippingAddress: n.ShippingAddress}
}

// OrderChange is the request body that changes an order. Omitted fields keep their values.
type OrderChange struct {
	Status          jsonbody.Optional[string] `json:"status,omitzero" enum:"pending,confirmed,shipped,delivered,cancelled" doc:"pending → confirmed → shipped → delivered; pending and confirmed may become cancelled." example:"confirmed"`
	Items           jsonbody.Optional[[]Item] `json:"items,omitzero" minItems:"1" maxItems:"100" nullable:"false" doc:"Can be changed only while the order is pending."`
	ShippingAddress jsonbody.Nullable[string] `json:"shipping_address,omitzero" minLength:"1" pattern:"^\\s*\\S([\\s\\S]{0,498}\\S)?\\s*$" doc:"Can be changed only while the order is pending. null is accepted if the address was erased." example:"12 St James's Square, London"`

	// Read-only fields, which a client may send back unchanged.
	ID          jsonbody.Optional[string] `json:"id,omitzero" format:"uuid" doc:"Can't be changed; may be sent back unchanged." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`
	UserID      jsonbody.Optional[string] `json:"user_id,omitzero" format:"uuid" doc:"Can't be changed; may be sent back unchanged." example:"019dd1a2-0000-7cc3-9d3a-0c8a3f1b2c4d"`
	TotalAmount jsonbody.Optional[Money]  `json:"total_amount,omitzero" minimum:"0" maximum:"999999999999.99" doc:"Is computed; may be sent back unchanged." example:"2999.97"`
	CreatedAt   jsonbody.Optional[string] `json:"created_at,omitzero" format:"date-time" doc:"Can't be changed; may be sent back unchanged." example:"2026-01-02T03:04:05.678Z"`
	UpdatedAt   jsonbody.Optional[string] `json:"updated_at,omitzero" format:"date-time" doc:"Can't be changed; may be sent back unchanged." example:"2026-01-02T03:04:05.678Z"`
	ErasedAt    jsonbody.Nullable[string] `json:"erased_at,omitzero" format:"date-time" doc:"Can't be changed; may be sent back unchanged, or as null if the order has none." example:"2026-01-02T03:04:05.678Z"`
}

func (c *OrderChange) patch() order.Patch {
	p := order.Patch{
		Status:          c.Status.Ptr(),
		ShippingAddress: c.ShippingAddress.Ptr(),
		More:            c.Items.Set || c.ShippingAddress.Set || c.ID.Set || c.UserID.Set || c.TotalAmount.Set || c.CreatedAt.Set || c.UpdatedAt.Set || c.ErasedAt.Set,
	}
	if c.Items.Set {
		p.Items = fromWire(c.Items.Value)
	}
	return p
}

// checkReadOnly rejects values of read-only fields that differ from the stored order.
func (c *OrderChange) checkReadOnly(stored order.Order) error {
	var r httpapi.ReadOnly
	r.ID("id", c.ID, stored.ID)
	r.ID("user_id", c.UserID, stored.UserID)
	r.Same("total_amount", !c.TotalAmount.Set || c.TotalAmount.Value.Amount == stored.Total)
	r.Time("created_at", c.CreatedAt, stored.CreatedAt)
	r.Time("updated_at", c.UpdatedAt, stored.UpdatedAt)
	r.Same("shipping_address", !c.ShippingAddress.Set || c.ShippingAddress.Ptr() != nil || stored.ErasedAt != nil)
	switch {
	case c.ErasedAt.Ptr() == nil:
		r.Same("erased_at", !c.ErasedAt.Set || stored.ErasedAt == nil)
	case stored.ErasedAt == nil:
		r.Same("erased_at", false)
	default:
		r.Time("erased_at", jsonbody.Optional[string]{Value: c.ErasedAt.Value, Set: true}, *stored.ErasedAt)
	}
	return r.Err()
}
