package invalid_test

import (
	"errors"
	"fmt"

	"github.com/example/microservices/pkg/invalid"
)

func Example() {
	var problems invalid.Fields
	problems.Check("name", nil)
	problems.Check("age", errors.New("must be 0 to 150"))
	fmt.Println(problems.Err())
	// Output: age must be 0 to 150
}
