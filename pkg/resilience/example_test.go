package resilience_test

import (
	"fmt"

	"github.com/example/microservices/pkg/resilience"
)

func Example() {
	budget := resilience.NewBudget(0.2, 1) // a retry for five requests, and one to begin with
	fmt.Println(budget.Withdraw(), budget.Withdraw())
	// Output: true false
}
