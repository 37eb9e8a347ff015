package join_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/example/microservices/pkg/database/join"
)

func Example() {
	prices := map[string]int{"lamp": 30, "desk": 200} // as if in a database
	errNone := errors.New("there is no such thing")
	one := func(_ context.Context, name string) (int, error) {
		price, found := prices[name]
		if !found {
			return 0, errNone
		}
		return price, nil
	}
	several := func(_ context.Context, names []string) (map[string]int, error) {
		found := map[string]int{}
		for _, name := range names {
			if price, exists := prices[name]; exists {
				found[name] = price
			}
		}
		return found, nil
	}
	j := join.New(2, one, several, errNone) // two calls at once; later ones share a statement
	fmt.Println(j.Do(context.Background(), "lamp"))
	fmt.Println(j.Do(context.Background(), "sofa"))
	// Output:
	// 30 <nil>
	// 0 there is no such thing
}
