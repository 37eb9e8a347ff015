package system

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// places is the maximum number of a user's orders in a history.
const places = 4

// input is a request for a user, or one of its orders.
type input struct {
	user    string // names the history: each user's is independent of others
	do      string
	order   int    // the order's index
	ifMatch int64  // 0: any version
	value   string // the written value, different in each request
}

// output is the answer. With status 0, or from 500, the outcome is unknown: the request may
// have taken effect at any time since, or not.
type output struct {
	status  int
	version int64
	value   string // the name, or the address
	state   string // of an order
}

// person and parcel are the states of a user and an order, and moment is the state of one
// history.
type person struct {
	there, deleted bool
	version        int64
	name           string
}

type parcel struct {
	there, erased  bool
	version        int64
	state, address string
}

type moment struct {
	user   person
	orders [places]parcel
}

// The history of a user and its orders is linearizable, across both services, with one
// exception: the orders of a deleted user are erased later, each at its own moment.
var linearizable = porcupine.NondeterministicModel{
	Init: func() []any { return []any{moment{}} },
	Step: func(at, in, out any) (next []any) {
		was, asked, answered := at.(moment), in.(input), out.(output)
		unknown := answered.status == 0 || answered.status >= 500
		if unknown {
			next = append(next, was)
		}
		for _, m := range was.perhapsErased(asked) {
			expected := m.apply(asked)
			late := asked.do == "erasure" && expected.status == 200 && answered.value == "incomplete" // user-service doesn't know it yet
			if expected == answered || late || unknown && expected.status < 300 {
				next = append(next, m)
			}
		}
		return next
	},
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byUser := map[string][]porcupine.Operation{}
		for _, o := range history {
			user := o.Input.(input).user
			byUser[user] = append(byUser[user], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byUser {
			parts = append(parts, part)
		}
		return parts
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// perhapsErased returns the possible states at a request: an order of a deleted user is
// erased by now, or not yet.
func (m moment) perhapsErased(in input) []moment {
	erased := m
	for i := range erased.orders {
		o := &erased.orders[i]
		if m.user.deleted && o.there && !o.erased && (in.do == "erasure" || i == in.order) {
			o.erased, o.address = true, ""
			o.version++
			if o.state == "pending" || o.state == "confirmed" {
				o.state = "cancelled"
			}
		}
	}
	if erased == m {
		return []moment{m}
	}
	return []moment{m, erased}
}

var follows = map[string]string{"confirmed": "pending", "shipped": "confirmed", "delivered": "shipped"}

// apply applies a request, and returns the expected answer.
func (m *moment) apply(in input) output {
	u, o := &m.user, &m.orders[in.order]
	switch in.do {
	case "create user":
		*u = person{there: true, version: 1, name: in.value}
		return output{status: 201, version: 1, value: in.value}
	case "create order":
		if !u.there {
			return output{status: 422}
		}
		*o = parcel{there: true, version: 1, state: "pending", address: in.value}
		return output{status: 201, version: 1, value: in.value, state: "pending"}
	case "erasure":
		if !u.deleted {
			return output{status: 404}
		}
		for _, o := range m.orders {
			if o.there && !o.erased {
				return output{status: 200, value: "incomplete"}
			}
		}
		return output{status: 200, value: "complete"}
	}
	there, version := u.there, &u.version
	if in.do != "read user" && in.do != "name" && in.do != "delete user" {
		there, version = o.there, &o.version
	}
	switch {
	case !there:
		return output{status: 404}
	case in.ifMatch != 0 && in.ifMatch != *version:
		return output{status: 412}
	}
	switch in.do {
	case "name":
		u.version++
		u.name = in.value
	case "delete user":
		u.there, u.deleted = false, true
		return output{status: 204}
	case "delete order":
		*o = parcel{}
		return output{status: 204}
	case "address":
		if o.state != "pending" {
			return output{status: 409}
		}
		o.version++
		o.address = in.value
	case "confirmed", "shipped", "delivered":
		if o.state != follows[in.do] {
			return output{status: 409}
		}
		o.version++
		o.state = in.do
	}
	if version == &u.version {
		return output{status: 200, version: u.version, value: u.name}
	}
	return output{status: 200, version: o.version, value: o.address, state: o.state}
}
