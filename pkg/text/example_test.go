package text_test

import (
	"fmt"

	"github.com/example/microservices/pkg/text"
)

func Example() {
	fmt.Println(text.Line("  Ada Lovelace ", 100))
	_, err := text.Line("\u200b", 100)
	fmt.Println(err)
	// Output:
	// Ada Lovelace <nil>
	// must not be blank
}
