package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/google/uuid"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/pkg/page"
)

// benchList compares reading pages of 20 users at random positions of a list with Gin
// encoding 20 users that it has in memory.
func benchList(ctx context.Context, g *group) section {
	pages := make([][]byte, 1000)
	for i := range pages {
		before := uuid.MustParse(rowID(page.DefaultLimit + 2 + rand.IntN(g.size.rows-page.DefaultLimit-2)))
		pages[i] = load.Get(usersPath + "?cursor=" + page.Request{Before: before}.Cursor())
	}
	anyPage := func(b []byte, _ int) []byte { return append(b, pages[rand.IntN(len(pages))]...) }
	var sides []side
	var rows []byte
	for _, kind := range kinds {
		s := g.start(ctx, g.programs.users, "DATABASE_URL="+g.filled(ctx, kind, "users", g.size.rows))
		sides = append(sides, g.ask(on("user-service", kind), s, http.StatusOK, anyPage))
		_, rows = g.fetch(ctx, s, usersPath)
	}
	bare := g.peer(ctx, "LIST="+string(rows))
	_, same := g.fetch(ctx, bare, usersPath)
	var items struct{ Items []json.RawMessage }
	err := json.Unmarshal(same, &items)
	if err != nil || len(items.Items) != page.DefaultLimit {
		g.failed(fmt.Errorf("the peer's list is %s (%w)", same, err))
	}
	sides = append(sides, g.ask(bareGin+" rendering such rows", bare, http.StatusOK, always(load.Get(usersPath))))
	samples := g.alternate(ctx, g.size.rounds, sides)
	return section{
		title: "A list of 20",
		figures: []figure{
			over("A list of 20 users on SQLite ÷ Gin rendering such rows", samples[0], samples[2], atLeast(0.6, 0.8)),
			over("A list of 20 users on PostgreSQL ÷ Gin rendering such rows", samples[1], samples[2], nil),
		},
		body: fmt.Sprintf("%d connections; pages of 20 at random positions of %d users. The service's body has %d bytes, Gin's %d.\n\n%s", connections, g.size.rows, len(rows), len(same), table(sides, samples)),
	}
}
