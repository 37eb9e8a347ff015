package events

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
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

// ConsumerList is a setting: consumers separated by commas. An element is a name, or
// name=subject if only a token with this subject may acknowledge in the name. It maps the
// names to the subjects; "" is any subject.
type ConsumerList map[Consumer]string

// Decode implements envconfig.Decoder.
func (l *ConsumerList) Decode(s string) error {
	*l = ConsumerList{}
	for element := range strings.SplitSeq(s, ",") {
		name, subject, bound := strings.Cut(element, "=")
		name, subject = strings.TrimSpace(name), strings.TrimSpace(subject)
		if name == "" && !bound {
			continue
		}
		var c Consumer
		err := c.UnmarshalText([]byte(name))
		if err != nil {
			return err
		}
		if bound && subject == "" {
			return errors.New("must have the subject of the consumer's token after each =, or no =")
		}
		if _, twice := (*l)[c]; twice {
			return errors.New("must name each consumer once")
		}
		(*l)[c] = subject
	}
	return nil
}

// Authorize returns nil if a caller may acknowledge in a consumer's name: a 404 if there is
// no such consumer, and a 403 if the name is bound to another subject. A caller with the scope
// admin may acknowledge in every name.
func (l ConsumerList) Authorize(caller auth.Caller, name Consumer) error {
	subject, exists := l[name]
	switch {
	case !exists:
		return httpapi.NewProblem(http.StatusNotFound, "there is no such consumer; EVENTS_CONSUMERS must name it")
	case subject != "" && subject != caller.Subject() && !caller.Admin():
		return httpapi.NewProblem(http.StatusForbidden, "EVENTS_CONSUMERS gives this consumer's name to another subject")
	}
	return nil
}
