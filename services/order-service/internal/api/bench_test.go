package api

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/services/order-service/internal/order"
)

// BenchmarkJSON writes an order of two items as it is answered.
func BenchmarkJSON(b *testing.B) {
	item := order.Item{ProductID: "laptop-15", ProductName: "Laptop 15", Quantity: 2, Price: 99999}
	o := order.Order{
		ID: uuid.New(), UserID: uuid.New(), Items: []order.Item{item, item}, ShippingAddress: "12 St James's Square, London",
		Status: order.Pending, Total: 399996, Version: 1, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := json.Marshal(toWire(o))
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewOrder reads the body of one.
func BenchmarkNewOrder(b *testing.B) {
	sent := []byte(`{"user_id":"01920000-0000-7000-8000-000000000001","shipping_address":"12 St James's Square, London","items":[` +
		`{"product_id":"laptop-15","product_name":"Laptop 15","quantity":1,"price":999.99},{"product_id":"mouse-2","product_name":"Mouse","quantity":2,"price":19.90}]}`)
	b.ReportAllocs()
	for b.Loop() {
		var body NewOrder
		err := jsonbody.Decode(sent, &body)
		if err != nil {
			b.Fatal(err)
		}
	}
}
