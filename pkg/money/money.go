// Package money provides decimal amounts of money: whole hundredths in an int64, never a
// binary fraction.
package money

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Amount is an amount of money in hundredths of the currency's unit.
type Amount int64

// ErrOverflow means that a sum or a product doesn't fit into an Amount.
var ErrOverflow = errors.New("the amount is too large")

var (
	errNotANumber = errors.New("must be a number")
	errDecimals   = errors.New("must have at most 2 decimals")
)

const (
	decimals = 2
	// maxDigits is how many digits always fit into an Amount.
	maxDigits = 18
)

// Parse parses a JSON number (RFC 8259, section 6) by its value: "1.000", "1e2" and "-0"
// are 1, 100 and 0. It rejects values with more than two decimals, and those of 10^16 or
// more (ErrOverflow). Its errors may be shown to the client.
func Parse(s string) (Amount, error) {
	digits, exponent, negative, err := scan(s)
	if err != nil {
		return 0, err
	}
	digits = strings.TrimLeft(digits, "0")
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if trimmed == "" {
		return 0, nil
	}
	exponent += decimals
	if exponent < 0 {
		return 0, errDecimals
	}
	if len(trimmed)+exponent > maxDigits {
		return 0, ErrOverflow
	}
	n, err := strconv.ParseInt(trimmed+strings.Repeat("0", exponent), 10, 64)
	if err != nil {
		return 0, ErrOverflow
	}
	if negative {
		n = -n
	}
	return Amount(n), nil
}

// scan splits a JSON number into its digits, without the point, and a power of ten.
func scan(s string) (digits string, exponent int, negative bool, err error) {
	s, negative = strings.CutPrefix(s, "-")
	mantissa := s
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		// An exponent beyond the number's length makes it too large or too precise, whatever
		// the digits. So it is capped, and 1e999999999 costs nothing.
		exponent, err = scanExponent(s[i+1:], len(s)+maxDigits)
		if err != nil {
			return "", 0, false, err
		}
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	switch {
	case !allDigits(whole), point && !allDigits(fraction), len(whole) > 1 && whole[0] == '0':
		return "", 0, false, errNotANumber
	}
	return whole + fraction, exponent - len(fraction), negative, nil
}

func scanExponent(s string, most int) (int, error) {
	sign := 1
	switch {
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	case strings.HasPrefix(s, "-"):
		s, sign = s[1:], -1
	}
	if !allDigits(s) {
		return 0, errNotANumber
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > most {
		n = most
	}
	return sign * n, nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Add returns a + b, or ErrOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	sum := a + b
	if (sum > a) != (b > 0) && b != 0 {
		return 0, ErrOverflow
	}
	return sum, nil
}

// Mul returns a × n, or ErrOverflow.
func (a Amount) Mul(n int64) (Amount, error) {
	if a == 0 || n == 0 {
		return 0, nil
	}
	product := a * Amount(n)
	if product/Amount(n) != a || (a == -1<<63 && n == -1) || (int64(a) == -1 && n == -1<<63) {
		return 0, ErrOverflow
	}
	return product, nil
}

// String returns a with two decimals, such as "0.30".
func (a Amount) String() string { return string(a.append(nil)) }

func (a Amount) append(b []byte) []byte {
	n := uint64(a) //nolint:gosec // two's complement: -n is then its absolute value
	if a < 0 {
		b = append(b, '-')
		n = -n
	}
	b = strconv.AppendUint(b, n/100, 10)
	return append(b, '.', byte('0'+n%100/10), byte('0'+n%10))
}

// MarshalJSON returns a JSON number with two decimals.
func (a Amount) MarshalJSON() ([]byte, error) { return a.append(nil), nil }

// UnmarshalJSON parses a JSON number with Parse.
func (a *Amount) UnmarshalJSON(b []byte) error {
	parsed, err := Parse(string(b))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// Value implements driver.Valuer: the decimal number as text.
func (a Amount) Value() (driver.Value, error) { return a.String(), nil }

// Scan implements sql.Scanner for a decimal number as text.
func (a *Amount) Scan(src any) error {
	var s string
	switch v := src.(type) {
	case string:
		s = v
	case []byte:
		s = string(v)
	default:
		return fmt.Errorf("an amount can't be read from a %T", src)
	}
	parsed, err := Parse(s)
	if err != nil {
		return fmt.Errorf("read an amount: %w", err)
	}
	*a = parsed
	return nil
}
