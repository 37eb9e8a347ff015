package join_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/example/microservices/pkg/join"
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
	// Two calls at once; later ones share one. One that takes longer than 10 ms delays no other.
	j := join.New(join.Limits{AtOnce: 2, Patience: 10 * time.Millisecond, Within: time.Second}, one, several, errNone)
	fmt.Println(j.Do(context.Background(), "lamp"))
	fmt.Println(j.Do(context.Background(), "sofa"))
	// Output:
	// 30 <nil>
	// 0 there is no such thing
}
