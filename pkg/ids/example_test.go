package ids_test

import (
	"fmt"

	"github.com/example/microservices/pkg/ids"
)

func Example() {
	first, _ := ids.New()
	second, _ := ids.New()
	fmt.Println(first.String() < second.String(), first.Version())
	_, err := ids.Parse("{019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d}")
	fmt.Println(err)
	// Output:
	// true VERSION_7
	// must be a UUID of 36 characters, such as 01920000-0000-7000-8000-000000000000
}
