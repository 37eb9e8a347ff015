package requestid_test

import (
	"context"
	"fmt"

	"github.com/example/microservices/pkg/requestid"
)

func Example() {
	ctx := requestid.With(context.Background(), "019dd1a2")
	fmt.Println(requestid.From(ctx))
	// Output: 019dd1a2
}
