package money_test

import (
	"fmt"

	"github.com/example/microservices/pkg/money"
)

func Example() {
	price, err := money.Parse("999.99")
	total, _ := price.Mul(3)
	fmt.Println(total, err) // 2999.9700000000003 in float64
	// Output: 2999.97 <nil>
}
