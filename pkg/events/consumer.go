package events

import (
	"errors"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Consumer is the name of a service that follows a feed.
type Consumer string

var errConsumer = errors.New("must be 1 to 63 lower case letters, digits and hyphens, such as order-service")

// UnmarshalText checks the name.
func (c *Consumer) UnmarshalText(b []byte) error {
	if len(b) < 1 || len(b) > 63 {
		return errConsumer
	}
	for _, r := range b {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return errConsumer
		}
	}
	*c = Consumer(b)
	return nil
}

// Schema describes a name.
func (*Consumer) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: "^[a-z0-9-]{1,63}$", Examples: []any{"order-service"}}
}

// ConsumerList is a setting: names separated by commas.
type ConsumerList []Consumer

// Decode implements envconfig.Decoder.
func (l *ConsumerList) Decode(s string) error {
	*l = nil
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		var c Consumer
		err := c.UnmarshalText([]byte(name))
		if err != nil {
			return err
		}
		*l = append(*l, c)
	}
	return nil
}
