package money_test

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/example/microservices/pkg/money"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0.00", "-0": "0.00", "-0.00": "0.00", "0.1": "0.10", "0.30": "0.30",
		"999.99": "999.99", "1.000": "1.00", "1e2": "100.00", "1E+2": "100.00", "12.5e-1": "1.25",
		"0e999999999999": "0.00", "0.00e-5": "0.00", "100e-4": "0.01", "-5.5": "-5.50",
		"9999999999999999.99":                      "9999999999999999.99",
		"1" + strings.Repeat("0", 1100) + "e-1100": "1.00", "0." + strings.Repeat("0", 1100) + "1e1101": "1.00",
	} {
		t.Run(in, func(t *testing.T) {
			got, err := money.Parse(in)
			require.NoError(t, err)
			require.Equal(t, want, got.String())
		})
	}
	for in, message := range map[string]string{
		"0.001": "2 decimals", "1e-3": "2 decimals", "1e-999999999999": "2 decimals", "19.999": "2 decimals",
		"1e17": "too large", "1e999999999999": "too large", "99999999999999999999": "too large",
		"": "a number", "-": "a number", ".5": "a number", "1.": "a number", "01": "a number", "+1": "a number",
		"1e": "a number", "0x10": "a number", "NaN": "a number", "1_000": "a number", " 1": "a number", "1.2.3": "a number",
	} {
		t.Run("refuses "+in, func(t *testing.T) {
			_, err := money.Parse(in)
			require.ErrorContains(t, err, message)
		})
	}
}

func TestSumsAreExact(t *testing.T) {
	price, err := money.Parse("999.99")
	require.NoError(t, err)
	total, err := price.Mul(3)
	require.NoError(t, err)
	require.Equal(t, "2999.97", total.String())

	tenth, fifth := money.Amount(10), money.Amount(20)
	sum, err := tenth.Add(fifth)
	require.NoError(t, err)
	require.Equal(t, "0.30", sum.String())
}

// TestArithmeticAgreesWithBigIntegers compares Add and Mul with math/big.
func TestArithmeticAgreesWithBigIntegers(t *testing.T) {
	any64 := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := any64.Draw(t, "a"), any64.Draw(t, "b")
		check := func(want *big.Int, got money.Amount, err error) {
			if !want.IsInt64() {
				require.ErrorIs(t, err, money.ErrOverflow)
				return
			}
			require.NoError(t, err)
			require.Equal(t, want.Int64(), int64(got))
		}
		sum, err := money.Amount(a).Add(money.Amount(b))
		check(new(big.Int).Add(big.NewInt(a), big.NewInt(b)), sum, err)
		product, err := money.Amount(a).Mul(b)
		check(new(big.Int).Mul(big.NewInt(a), big.NewInt(b)), product, err)
	})
}

func TestWrittenAmountsCanBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := money.Amount(rapid.Int64Range(-999_999_999_999_999_999, 999_999_999_999_999_999).Draw(t, "a"))
		b, err := json.Marshal(a)
		require.NoError(t, err)
		var back money.Amount
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, a, back)
		v, err := a.Value()
		require.NoError(t, err)
		require.NoError(t, back.Scan(v))
		require.Equal(t, a, back)
	})
}

// FuzzParse compares Parse with math/big: it accepts exactly the JSON numbers whose value
// is a whole number of hundredths, and returns that value.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0", "-0", "999.99", "1e2", "1.000", "1e-3", "01", ".5", "1e999999999", "123456789012345678", "1.10e1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := money.Parse(s)
		valid := json.Valid([]byte(s)) && s == strings.TrimSpace(s) && s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9')
		if !valid {
			require.Error(t, err)
			return
		}
		if i := strings.IndexAny(s, "eE"); i >= 0 && len(s)-i > 5 {
			return // too large for big.Rat
		}
		value, ok := new(big.Rat).SetString(s)
		require.True(t, ok)
		value.Mul(value, big.NewRat(100, 1))
		if err == nil {
			require.True(t, value.IsInt() && value.Num().IsInt64(), "%s was accepted", s)
			require.Equal(t, value.Num().Int64(), int64(got))
			return
		}
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)
		require.True(t, !value.IsInt() || value.Num().CmpAbs(limit) >= 0, "%s was rejected: %v", s, err)
	})
}
