package resilience_test

import (
	"fmt"

	"github.com/example/microservices/pkg/resilience"
)

func Example() {
	budget := resilience.NewBudget(0.2, 1) // one retry per five requests, and one at first
	fmt.Println(budget.Withdraw(), budget.Withdraw())
	// Output: true false
}
