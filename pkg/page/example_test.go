package page_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/page"
)

func Example() {
	first := page.First(2)
	rows := page.Rows[uuid.UUID]{
		Below: func(r page.Request) (found []uuid.UUID, _ error) {
			for i := byte(9); i > 0; i-- { // newest first
				if id := (uuid.UUID{i}); r.Includes(time.Time{}, id) && len(found) < r.Limit {
					found = append(found, id)
				}
			}
			return found, nil
		},
		ID: func(id uuid.UUID) uuid.UUID { return id },
	}
	p, _ := rows.Collect(first)
	next, _ := page.After(p.Next, first)
	q, err := rows.Collect(next)
	fmt.Println(p.Items[1][0], q.Items[0][0], err)
	// Output: 8 7 <nil>
}
