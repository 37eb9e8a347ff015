package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// test/newservice tests the created service.

func TestAnInvalidNameIsRejected(t *testing.T) {
	for name, row := range map[string]struct {
		naming naming
		says   string
	}{
		"another's name":                 {naming{name: "user", noun: "thing", port: 8002}, "user-service already exists"},
		"another's noun":                 {naming{name: "inventory", noun: "user", port: 8002}, "user-service already exists"},
		"another's port":                 {naming{name: "inventory", noun: "item", port: 8001}, "order-service already exists"},
		"a package's name":               {naming{name: "inventory", noun: "page", port: 8002}, "the name has another meaning"},
		"a keyword":                      {naming{name: "inventory", noun: "func", port: 8002}, "the name has another meaning"},
		"a name that is not a host name": {naming{name: "Inventory", noun: "item", port: 8002}, "NAME=Inventory"},
		"no name":                        {naming{noun: "item", port: 8002}, "NAME="},
		"a noun that is not a word":      {naming{name: "inventory", noun: "2x", port: 8002}, "NOUN=2x"},
		"no port":                        {naming{name: "inventory", noun: "item"}, "PORT=0"},
		"equal singular and plural":      {naming{name: "inventory", noun: "sheep", nouns: "sheep", port: 8002}, "singular and plural"},
	} {
		t.Run(name, func(t *testing.T) {
			err := row.naming.complete()
			if err == nil {
				err = create("../..", row.naming) // rejected before anything is written
			}
			require.ErrorContains(t, err, row.says)
		})
	}
}

func TestWordsAreReplacedWithTheirArticles(t *testing.T) {
	n := naming{name: "price-list", noun: "item", port: 8002}
	require.NoError(t, n.complete())
	for template, want := range map[string]string{
		"a widget, A widget and a Widget":     "an item, An item and an Item",
		"a widget-service that runs":          "a price-list-service that runs",
		"CREATE SCHEMA widget_service;":       "CREATE SCHEMA price_list_service;",
		"db.WidgetServiceWidget, NewWidgets(": "db.PriceListServiceItem, NewItems(",
		"Widget-service keeps widgets: 65535": "Price-list-service keeps items: 8002",
	} {
		require.Equal(t, want, n.words()(template))
	}
}
