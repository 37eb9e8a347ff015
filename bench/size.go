package main

import "time"

// size is how long and how large the measurements are.
type size struct {
	// rounds is how often each side of a comparison is measured. One round
	// before them warms up and doesn't count.
	rounds int
	// span is how long one side is measured in a round.
	span time.Duration
	// rows is how many rows the tables have whose pages are read.
	rows int
	// starts is how often a service is started.
	starts int
	// idle is how long a service is left alone before its memory is read.
	idle time.Duration
	// overload is how long more is asked for than can be carried, and overloads
	// how often.
	overload  time.Duration
	overloads int
	// attack is how long each attack goes on.
	attack time.Duration
}

var (
	fullSize  = size{rounds: 9, span: 1500 * time.Millisecond, rows: 1_000_000, starts: 25, idle: 10 * time.Second, overload: time.Minute, overloads: 3, attack: 30 * time.Second}
	quickSize = size{rounds: 3, span: 500 * time.Millisecond, rows: 50_000, starts: 5, idle: 2 * time.Second, overload: 5 * time.Second, overloads: 1, attack: 5 * time.Second}
	// tinySize only shows that everything works.
	tinySize = size{rounds: 1, span: 20 * time.Millisecond, rows: 200, starts: 1, idle: 10 * time.Millisecond, overload: 50 * time.Millisecond, overloads: 1, attack: 300 * time.Millisecond}
)

// connections is how many requests are under way at a time where the load is
// to be as much as the server takes.
const connections = 16
