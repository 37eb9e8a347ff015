package jsonbody_test

import (
	"fmt"

	"github.com/example/microservices/pkg/jsonbody"
)

func Example() {
	var thing struct {
		Name string                   `json:"name"`
		Size jsonbody.Optional[int64] `json:"size"`
	}
	fmt.Println(jsonbody.Decode([]byte(`{"name":"lamp"}`), &thing), thing.Name, thing.Size.Set)
	fmt.Println(jsonbody.Decode([]byte(`{"nam":"lamp"}`), &thing))
	// Output:
	// <nil> lamp false
	// nam is not a known field; known are name, size; name is required
}
