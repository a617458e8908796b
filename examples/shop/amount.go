package main

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
)

// Amount is money, in ten-thousandths.
type Amount int64

// cent is the smallest amount of release 1, whose columns have two digits after the point.
const cent Amount = 100

// String has four digits after the point.
func (a Amount) String() string {
	sign := ""
	if a < 0 {
		sign, a = "-", -a
	}
	return fmt.Sprintf("%s%d.%04d", sign, a/10_000, a%10_000)
}

func parseAmount(s string) (Amount, error) {
	whole, part, _ := strings.Cut(s, ".")
	if len(part) > 4 {
		return 0, fmt.Errorf("the amount %q has more than four digits after the point", s)
	}
	n, err := strconv.ParseInt(whole+part+"0000"[len(part):], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no amount", s)
	}
	return Amount(n), nil
}

// MarshalText is for JSON.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is for JSON.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = parseAmount(string(text))
	return err
}

// Value is for database/sql.
func (a Amount) Value() (driver.Value, error) { return a.String(), nil }

// Scan is for database/sql.
func (a *Amount) Scan(v any) error {
	switch v := v.(type) {
	case []byte:
		return a.UnmarshalText(v)
	case string:
		return a.UnmarshalText([]byte(v))
	}
	return fmt.Errorf("%T is no amount", v)
}
