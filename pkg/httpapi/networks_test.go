package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestANetworkWithHostBitsIsRejected(t *testing.T) {
	for written, instead := range map[string]string{
		"10.0.0.0/8": "", "10.0.0.1/32": "", "0.0.0.0/0": "", "fd00::/8": "", "fd00::1/128": "",
		"10.0.0.1/8":              "write 10.0.0.0/8 for the network, or 10.0.0.1/32 for the host",
		"fd00::1/8":               "write fd00::/8 for the network, or fd00::1/128 for the host",
		"10.0.0.0/16,10.1.0.5/24": "write 10.1.0.0/24 for the network, or 10.1.0.5/32 for the host",
	} {
		var c ClientConfig
		require.NoError(t, c.TrustedProxies.UnmarshalText([]byte(written)))
		err := c.Validate()
		if instead == "" {
			require.NoError(t, err, written)
			continue
		}
		require.ErrorContains(t, err, "TRUSTED_PROXIES", written)
		require.ErrorContains(t, err, instead, written)
	}
}
