package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/example/microservices/pkg/ratelimit"
)

// ClientConfig configures how clients without a token are identified, and which web pages
// may call the API.
type ClientConfig struct {
	CORSOrigins    Origins  `envconfig:"CORS_ORIGINS" desc:"origins allowed by CORS, such as https://shop.example.com,http://localhost:3000; empty: none"`
	TrustedProxies Networks `envconfig:"TRUSTED_PROXIES" desc:"networks of trusted proxies, whose X-Forwarded-For names the client, such as 10.0.0.0/16,fd00::/8; empty: none is trusted"`
}

// Networks are IP networks in CIDR notation.
type Networks []netip.Prefix

// UnmarshalText parses a list separated by commas.
func (n *Networks) UnmarshalText(text []byte) error {
	*n = nil
	for part := range strings.SplitSeq(string(text), ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(part))
		if err != nil {
			return errors.New("must be a list such as 10.0.0.0/16,fd00::/8")
		}
		*n = append(*n, prefix)
	}
	return nil
}

// Validate rejects a network written with a host's address, such as 10.0.0.1/8: if one
// host is meant, the whole network would be trusted.
func (c *ClientConfig) Validate() error {
	var problems []error
	for _, prefix := range c.TrustedProxies {
		if prefix != prefix.Masked() {
			problems = append(problems, fmt.Errorf("TRUSTED_PROXIES has a network with host bits: write %s for the network, or %s/%d for the host",
				prefix.Masked(), prefix.Addr(), prefix.Addr().BitLen()))
		}
	}
	return errors.Join(problems...)
}

// strings returns the networks in CIDR notation.
func (n Networks) strings() []string {
	var all []string
	for _, prefix := range n {
		all = append(all, prefix.String())
	}
	return all
}

// subnet is the prefix length by which IPv6 clients are counted: a client usually has a
// whole /64.
const subnet = 64

const forwardedFor = "X-Forwarded-For"

// clientOf returns the key of the client's address, for rate limits: an IPv4 address or
// an IPv6 subnet.
func (a *API) clientOf(g *gin.Context) string {
	if said := g.Request.Header[forwardedFor]; len(said) > 0 && len(a.config.Client.TrustedProxies) > 0 {
		g.Request.Header[forwardedFor] = []string{a.addresses(said)}
	}
	if len(a.config.Client.TrustedProxies) == 0 && g.Request.Header[forwardedFor] != nil {
		a.untrusted.Do(func() {
			a.log.Warn("requests have X-Forwarded-For, but TRUSTED_PROXIES is empty: clients without tokens behind the same proxy share one rate limit")
		})
	}
	text := g.ClientIP()
	address, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		prefix, _ := address.Prefix(subnet) // can't fail: IPv6 addresses have more bits
		return prefix.String()
	}
	return address.String()
}

// addresses returns X-Forwarded-For as a list of addresses, without the ports, brackets,
// quotes and empty elements that some proxies add. At an element that is no address, Gin
// ignores the rest of the list.
func (a *API) addresses(said []string) string {
	var hops []string
	for hop := range strings.SplitSeq(strings.Join(said, ","), ",") {
		hop = strings.Trim(hop, " \t\"")
		if hop == "" { // an empty element is ignored (RFC 9110, section 5.6.1)
			continue
		}
		if port, err := netip.ParseAddrPort(hop); err == nil {
			hop = port.Addr().String()
		}
		hop = strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]")
		_, err := netip.ParseAddr(hop)
		if err != nil {
			a.unreadable.Do(func() {
				a.log.Warn("the X-Forwarded-For from a trusted proxy is not a list of IP addresses; clients behind it may share one rate limit")
			})
		}
		hops = append(hops, hop)
	}
	return strings.Join(hops, ", ")
}

// policy returns the rate limit of an HTTP method; nil means unlimited.
func (a *API) policy(method string) *ratelimit.Policy {
	switch {
	case a.config.Limits == nil:
		return nil
	case method == http.MethodGet:
		return a.config.Limits.Read
	}
	return a.config.Limits.Write
}

// limit counts a request of a caller under a policy, and sets the RateLimit headers.
// light reports whether the caller has sent few requests lately. The problem is a 429 if
// the limit is exceeded.
func (a *API) limit(g *gin.Context, policy *ratelimit.Policy, caller string) (light bool, _ *Problem) {
	if policy == nil {
		return false, nil
	}
	d := policy.Allow(g.Request.Context(), caller)
	header := g.Writer.Header()
	header["Ratelimit-Policy"] = []string{policy.Header}
	header["Ratelimit"] = []string{policy.State(d)}
	if d.Allowed {
		return policy.Light(d), nil
	}
	return false, TooMany(d.RetryAfter)
}

// TooMany returns a 429 with Retry-After: after, rounded up to whole seconds, at least
// one.
func TooMany(after time.Duration) *Problem {
	p := Unavailable("you have sent too many requests; wait for the seconds in Retry-After", after)
	p.Status, p.Title = http.StatusTooManyRequests, http.StatusText(http.StatusTooManyRequests)
	return p
}
