package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// plain returns the name of a type without its modifier, as a cast that alters no value needs it: "numeric(10,2)" becomes
// "numeric". Without a length, "character" and "bit" would mean a length of one, so they get their other names.
func plain(raw string) string {
	name, array := strings.CutSuffix(raw, "[]")
	if !strings.Contains(name, `"`) {
		if open := strings.IndexByte(name, '('); open >= 0 {
			if end := strings.IndexByte(name[open:], ')'); end >= 0 {
				name = name[:open] + name[open+end+1:]
			}
		}
		switch name = strings.TrimSpace(name); {
		case name == "character":
			name = "bpchar"
		case name == "bit":
			name = `"bit"`
		case strings.HasPrefix(name, "interval"):
			name = "interval"
		}
	}
	if array {
		return name + "[]"
	}
	return name
}

// kinds are the built-in types that travel as something else than their own text.
var kinds = map[string]row.Kind{
	"boolean": row.Bool, "smallint": row.Int, "integer": row.Int, "bigint": row.Int, "oid": row.Int,
	"numeric": row.Decimal, "real": row.Float32, "double precision": row.Float64,
	"text": row.Text, "character varying": row.Text, "bpchar": row.Text, `"char"`: row.Text, "name": row.Text,
	"bytea": row.Bytes, "date": row.Date, "time without time zone": row.Time,
	"timestamp without time zone": row.Timestamp, "timestamp with time zone": row.Instant, "interval": row.Interval,
	"uuid": row.UUID, "json": row.JSON, "jsonb": row.JSON, `"bit"`: row.Bits, "bit varying": row.Bits,
}

// mostDigits is the largest precision and scale that a server takes. A cell is filled up to its scale, so that a larger one, which
// no server says, would fill the memory.
const mostDigits = 1000

// describe makes a type from the catalog's words: raw is format_type with the modifier, of the base type for a domain.
func describe(raw string) schema.Type {
	name := plain(raw)
	t := schema.Type{Kind: kinds[name], Raw: raw}
	first, second, given := modifiers(raw)
	switch t.Kind {
	case row.Int:
		t.Precision = map[string]int{"smallint": 16, "integer": 32, "bigint": 64, "oid": 32}[name]
		t.Unsigned = name == "oid"
	case row.Decimal:
		t.Scale = -1
		if given && max(first, second, -second) <= mostDigits {
			t.Precision, t.Scale = first, second
			if second < 0 {
				t.Precision, t.Scale = first-second, 0
			}
		}
	case row.Text:
		t.Length, t.Fixed = int64(first), name == "bpchar" && given
		switch name {
		case `"char"`:
			t.Length = 1
		case "name":
			t.Length = 63
		}
	case row.Bits:
		t.Length, t.Fixed = int64(first), name == `"bit"`
	case row.Time, row.Timestamp, row.Instant, row.Interval:
		t.Scale = 6
		if given {
			t.Scale = first
		}
	}
	return t
}

func modifiers(raw string) (first, second int, given bool) {
	_, rest, found := strings.Cut(raw, "(")
	inside, _, closed := strings.Cut(rest, ")")
	if !found || !closed || strings.Contains(raw, `"`) && !strings.HasPrefix(raw, `"`) {
		return 0, 0, false
	}
	a, b, _ := strings.Cut(inside, ",")
	first, err := strconv.Atoi(a)
	if err != nil {
		return 0, 0, false
	}
	second, _ = strconv.Atoi(b)
	return first, second, true
}

// sql writes the type of a column of ours.
func (d dialect) sql(t schema.Type) string {
	if t.Def.Name != "" && !strings.HasSuffix(t.Raw, "[]") {
		return d.table(t.Def)
	}
	if t.Raw != "" {
		return t.Raw
	}
	made, _ := d.Carry(t, false)
	return made.Raw
}

// typeName names a type of a column of ours without its modifier.
func (d dialect) typeName(t schema.Type) string {
	if t.Def.Name != "" && !strings.HasSuffix(t.Raw, "[]") {
		return d.table(t.Def)
	}
	return plain(t.Raw)
}

// Carry gives a foreign type its counterpart. Fixed lengths become limits, because blanks that pad a value would come back
// as part of it; what is enumerated becomes text; and an unsigned number gets the next wider type.
func (d dialect) Carry(t schema.Type, key bool) (schema.Type, []driver.Loss) {
	raw, losses := carry(t, key)
	made := describe(raw)
	made.Binary = made.Kind == row.Text
	if made.Kind == row.Interval && t.Kind == row.Duration {
		made.Kind = row.Duration
	}
	if t.Kind != row.Other {
		losses = append(losses, driver.Loss{
			Level: driver.Forbidden, Message: "cannot hold a value that is not of the declared type",
			Unless: []driver.FactKind{driver.WrongClass},
		})
	}
	return made, losses
}

func carry(t schema.Type, key bool) (string, []driver.Loss) {
	switch t.Kind {
	case row.Bool:
		return "boolean", nil
	case row.Int:
		return carryInt(t)
	case row.Decimal:
		return carryDecimal(t)
	case row.Float32:
		return "real", nil
	case row.Float64:
		return "double precision", nil
	case row.Text:
		return carryText(t, key)
	case row.Bytes:
		return "bytea", longKey(key, t.Length)
	case row.UUID:
		return "uuid", nil
	case row.JSON:
		return carryJSON(key)
	case row.Bits:
		return carryBits(t), nil
	case row.Interval, row.Duration:
		return "interval", nil
	case row.Date, row.Time, row.Timestamp, row.Instant:
		return carryTime(t)
	}
	return "text", []driver.Loss{
		{Level: driver.Lossy, Message: "is kept as text, without the operations of its own type"}, noNul,
	}
}

func carryInt(t schema.Type) (string, []driver.Loss) {
	bits := t.Precision
	if t.Unsigned && bits != 24 {
		bits++
	}
	large := []driver.Loss{{
		Level: driver.Forbidden, Message: "cannot hold a number larger than its declared type allows",
		Unless: []driver.FactKind{driver.TooLarge},
	}}
	switch {
	case bits <= 0 || bits == 1 && t.Unsigned:
		return "bigint", nil
	case bits <= 16:
		return "smallint", large
	case bits <= 32:
		return "integer", large
	case bits <= 64:
		return "bigint", large
	case bits == 65:
		return "numeric(20,0)", nil
	}
	return "numeric", nil
}

func carryDecimal(t schema.Type) (string, []driver.Loss) {
	if t.Precision <= 0 || t.Scale < 0 || t.Precision > 1000 || t.Scale > t.Precision {
		return "numeric", nil
	}
	return fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale), []driver.Loss{{
		Level: driver.Forbidden, Message: "cannot hold a number with more digits than declared",
		Unless: []driver.FactKind{driver.Fractions, driver.TooLarge},
	}}
}

var (
	noNul = driver.Loss{
		Level: driver.Forbidden, Message: "cannot hold the character NUL in text",
		Unless: []driver.FactKind{driver.NulInText},
	}
	noBadText = driver.Loss{
		Level: driver.Forbidden, Message: "cannot hold bytes that are not valid text",
		Unless: []driver.FactKind{driver.BadText},
	}
	noZeroDate = driver.Loss{
		Level: driver.Lossy, Message: "cannot hold the zero date or one with a zero year, month or day; it becomes NULL",
		Unless: []driver.FactKind{driver.ZeroDate, driver.BeforeYear1},
	}
)

func carryText(t schema.Type, key bool) (string, []driver.Loss) {
	losses := []driver.Loss{noNul, noBadText}
	if len(t.Values) > 0 {
		losses = append(losses, driver.Loss{
			Level: driver.Note, Message: "is text here: the list of its values is not enforced",
		}, driver.Loss{
			Level: driver.Lossy, Message: "keeps the error value of an enum as an empty text only",
			Unless: []driver.FactKind{driver.BadEnum},
		})
		return "text", losses
	}
	if !t.Binary && t.Collation != "" {
		losses = append(losses, driver.Loss{
			Level: driver.Note, Message: "is compared byte by byte here, not by " + t.Collation,
		})
	}
	losses = append(losses, longKey(key, 4*t.Length)...)
	if t.Length <= 0 || t.Length > 10485760 {
		return "text", losses
	}
	return fmt.Sprintf("character varying(%d)", t.Length), losses
}

// longKey is about an index, whose entries end at 2,704 bytes.
func longKey(key bool, bytes int64) []driver.Loss {
	if !key || bytes > 0 && bytes <= 2704 {
		return nil
	}
	return []driver.Loss{{Level: driver.Note, Message: "cannot have a value longer than 2,704 bytes in an index"}}
}

func carryJSON(key bool) (string, []driver.Loss) {
	if key {
		return "text", []driver.Loss{noNul, noBadText, {Level: driver.Note, Message: "is text here, because json has no order"}}
	}
	return "json", []driver.Loss{noNul, noBadText, {
		Level: driver.Forbidden, Message: "cannot hold text that is not JSON", Unless: []driver.FactKind{driver.NotJSON},
	}}
}

func carryBits(t schema.Type) string {
	switch {
	case t.Length <= 0:
		return "bit varying"
	case t.Fixed:
		return fmt.Sprintf("bit(%d)", t.Length)
	}
	return fmt.Sprintf("bit varying(%d)", t.Length)
}

func carryTime(t schema.Type) (string, []driver.Loss) {
	digits := min(max(t.Scale, 0), 6)
	var losses []driver.Loss
	if t.Scale > 6 {
		losses = append(losses, driver.Loss{Level: driver.Lossy, Message: "keeps six digits of the second"})
	}
	losses = append(losses, driver.Loss{
		Level: driver.Forbidden, Message: "cannot hold more digits of the second than declared",
		Unless: []driver.FactKind{driver.Fractions},
	})
	switch t.Kind {
	case row.Date:
		return "date", []driver.Loss{noZeroDate}
	case row.Time:
		return fmt.Sprintf("time(%d) without time zone", digits), append(losses, driver.Loss{
			Level: driver.Forbidden, Message: "cannot hold a time below 0 or beyond 24 hours",
			Unless: []driver.FactKind{driver.BeyondHours},
		})
	case row.Timestamp:
		return fmt.Sprintf("timestamp(%d) without time zone", digits), append(losses, noZeroDate)
	}
	return fmt.Sprintf("timestamp(%d) with time zone", digits), append(losses, noZeroDate)
}
