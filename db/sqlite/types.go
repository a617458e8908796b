package sqlite

import (
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// The types that a table gets here, and the types that a declared name means.
//
// SQLite has five storage classes and takes any word as a type; the word only decides which values are converted when they
// are stored (affinity, https://sqlite.org/datatype3.html#determination_of_column_affinity). So a type's name is chosen so
// that its affinity keeps every cell as it was, so that the inspector knows the type again, and so that what applications
// make of the name is right, in this order:
//
//   - numbers of up to 64 bits with a sign, decimals of up to 15 digits and floats have numeric names: they can be
//     compared, added and sorted. 15 digits is what a 64-bit float gives back unchanged;
//   - dates, times and UUIDs keep their common names: their text never looks like a number, so numeric affinity leaves it
//     alone, and client libraries know the names;
//   - what would be changed, because it looks like a number or is one that is too long, gets a name with TEXT in it:
//     DECIMAL_TEXT(20,4), UNSIGNED_TEXT(20), JSON_TEXT, BITS_TEXT(8). Such a value reads as text; it sorts by its
//     characters, and CAST(x AS NUMERIC) or CAST(x AS REAL) gives the nearest number.
//
// A name must not have INT in it by accident (POINT, INTERVAL), since that alone makes it an integer.

// affinity is SQLite's rule for converting stored values.
type affinity uint8

const (
	affinityBlob affinity = iota // nothing is converted
	affinityText
	affinityNumeric
	affinityInteger
	affinityReal
)

// affinityOf applies the five rules in their order.
func affinityOf(declared string) affinity {
	u := strings.ToUpper(declared)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(u, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return affinityInteger
	case has("CHAR", "CLOB", "TEXT"):
		return affinityText
	case u == "" || has("BLOB"):
		return affinityBlob
	case has("REAL", "FLOA", "DOUB"):
		return affinityReal
	}
	return affinityNumeric
}

// exactDigits is how many decimal digits a 64-bit float gives back unchanged.
const exactDigits = 15

var noDates = []driver.Loss{
	{Level: driver.Lossy, Message: "can not hold infinity", Unless: []driver.FactKind{driver.Infinite}},
	{Level: driver.Lossy, Message: "can not hold the zero date", Unless: []driver.FactKind{driver.ZeroDate}},
	{Level: driver.Lossy, Message: "can not hold years before 1", Unless: []driver.FactKind{driver.BeforeYear1}},
	{Level: driver.Note, Message: "sorts years after 9999 by their characters", Unless: []driver.FactKind{driver.AfterYear4}},
}

func note(message string) []driver.Loss {
	return []driver.Loss{{Level: driver.Note, Message: message}}
}

// Carry returns the type that a column gets here. See the top of this file for the choice of names.
func (dialect) Carry(t schema.Type, key bool) (schema.Type, []driver.Loss) {
	out := schema.Type{Kind: t.Kind, Binary: true}
	switch t.Kind {
	case row.Bool:
		out.Raw = "BOOLEAN"
	case row.Int:
		return carryInt(out, t, key)
	case row.Decimal:
		return carryDecimal(out, t)
	case row.Float32:
		out.Raw, out.Precision = "FLOAT4", 32
		return out, notANumber()
	case row.Float64:
		out.Raw, out.Precision = "DOUBLE", 64
		return out, notANumber()
	case row.Text:
		return carryText(out, t)
	case row.Bytes:
		out.Raw, out.Length = "BLOB", t.Length
	case row.Date:
		out.Raw = "DATE"
		return out, noDates
	case row.Time:
		out.Raw, out.Scale = scaled("TIME", t.Scale), t.Scale
	case row.Timestamp:
		out.Raw, out.Scale = scaled("TIMESTAMP", t.Scale), t.Scale
		return out, noDates
	case row.Instant:
		out.Raw, out.Scale = scaled("TIMESTAMPTZ", t.Scale), t.Scale
		return out, noDates
	case row.Duration:
		out.Raw, out.Scale = scaled("DURATION_TEXT", t.Scale), t.Scale
		return out, note("is kept as text, which sorts by its characters")
	case row.Interval:
		out.Raw = "SPAN_TEXT"
		return out, note("is kept as text, which sorts by its characters")
	case row.UUID:
		out.Raw = "UUID"
	case row.JSON:
		out.Raw = "JSON_TEXT"
	case row.Bits:
		out.Raw, out.Length, out.Fixed = "BITS_TEXT", t.Length, t.Fixed
		if t.Length > 0 {
			out.Raw += "(" + strconv.FormatInt(t.Length, 10) + ")"
		}
		return out, note("is kept as text of the characters 0 and 1")
	default:
		return carryOther(out, t)
	}
	return out, nil
}

func notANumber() []driver.Loss {
	return []driver.Loss{{Level: driver.Lossy, Message: "can not hold NaN", Unless: []driver.FactKind{driver.NotANumber}}}
}

func carryInt(out, t schema.Type, key bool) (schema.Type, []driver.Loss) {
	out.Precision, out.Unsigned = t.Precision, t.Unsigned
	switch {
	case t.Unsigned && (t.Precision == 0 || t.Precision >= 64), t.Precision > 64:
		out.Raw = "UNSIGNED_TEXT(20)"
		return out, note("is kept as text, because integers here have 63 bits and a sign; it sorts by its characters")
	case key || t.Unsigned:
		out.Raw = "INTEGER" // the one name that can be the row's own number
	case t.Precision == 8:
		out.Raw = "TINYINT"
	case t.Precision == 16:
		out.Raw = "SMALLINT"
	case t.Precision == 24:
		out.Raw = "MEDIUMINT"
	default:
		out.Raw = "INTEGER"
	}
	return out, nil
}

func carryDecimal(out, t schema.Type) (schema.Type, []driver.Loss) {
	out.Precision, out.Scale, out.Unsigned = t.Precision, t.Scale, t.Unsigned
	args := ""
	if t.Precision > 0 && t.Scale >= 0 {
		args = "(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")"
	}
	if args != "" && t.Precision <= exactDigits && t.Scale <= exactDigits {
		out.Raw = "DECIMAL" + args
		return out, nil
	}
	out.Raw = "DECIMAL_TEXT" + args
	if args == "" {
		out.Precision, out.Scale = 0, -1
	}
	return out, note("is kept as text to keep every digit; it sorts by its characters")
}

func carryText(out, t schema.Type) (schema.Type, []driver.Loss) {
	out.Length, out.Fixed = t.Length, t.Fixed
	switch {
	case t.Length > 0 && t.Fixed:
		out.Raw = "CHAR(" + strconv.FormatInt(t.Length, 10) + ")"
	case t.Length > 0 && len(t.Values) == 0:
		out.Raw = "VARCHAR(" + strconv.FormatInt(t.Length, 10) + ")"
	default:
		out.Raw, out.Length, out.Fixed = "TEXT", 0, false
	}
	if c := strings.ToUpper(t.Collation); c == "NOCASE" || c == "RTRIM" {
		out.Collation, out.Binary = c, false
		return out, nil
	}
	switch {
	case len(t.Values) > 0:
		return out, note("takes any text: the list of allowed values is not kept")
	case !t.Binary && t.Collation != "":
		return out, note("is compared byte by byte, no longer by " + t.Collation)
	}
	return out, nil
}

func carryOther(out, t schema.Type) (schema.Type, []driver.Loss) {
	if untyped(t) {
		out.Raw = ""
		return out, nil
	}
	out.Raw = "OTHER_TEXT"
	return out, note("is kept as text, in the words of its own product")
}

// untyped reports a column that was declared without a type here: its cells are SQL literals, which keep the storage class.
func untyped(t schema.Type) bool {
	return t.Kind == row.Other && (t.Raw == "" || strings.EqualFold(t.Raw, "ANY"))
}

func scaled(name string, digits int) string { return name + "(" + strconv.Itoa(digits) + ")" }

// secondDigits is how many digits of the second a time has here where none are declared: as many as the other products keep.
const secondDigits = 6

// declared names and what they mean, in upper case, without their numbers.
var declared = map[string]schema.Type{
	"TINYINT": {Kind: row.Int, Precision: 8}, "SMALLINT": {Kind: row.Int, Precision: 16}, "INT2": {Kind: row.Int, Precision: 16},
	"MEDIUMINT": {Kind: row.Int, Precision: 24}, "INT4": {Kind: row.Int, Precision: 32}, "LONG": {Kind: row.Int, Precision: 64},
	"YEAR":          {Kind: row.Int, Precision: 16},
	"UNSIGNED_TEXT": {Kind: row.Int, Precision: 64, Unsigned: true},
	"BOOLEAN":       {Kind: row.Bool}, "BOOL": {Kind: row.Bool}, "BIT": {Kind: row.Bool},
	"FLOAT4": {Kind: row.Float32, Precision: 32}, "FLOAT32": {Kind: row.Float32, Precision: 32},
	"DECIMAL": {Kind: row.Decimal}, "NUMERIC": {Kind: row.Decimal}, "DEC": {Kind: row.Decimal}, "NUMBER": {Kind: row.Decimal},
	"MONEY": {Kind: row.Decimal}, "CURRENCY": {Kind: row.Decimal}, "DECIMAL_TEXT": {Kind: row.Decimal},
	"STRING": {Kind: row.Text}, "CHAR": {Kind: row.Text, Fixed: true}, "NCHAR": {Kind: row.Text, Fixed: true},
	"CHARACTER": {Kind: row.Text, Fixed: true},
	"BINARY":    {Kind: row.Bytes}, "VARBINARY": {Kind: row.Bytes}, "BYTEA": {Kind: row.Bytes}, "IMAGE": {Kind: row.Bytes},
	"DATE": {Kind: row.Date}, "TIME": {Kind: row.Time, Scale: secondDigits},
	"DATETIME": {Kind: row.Timestamp, Scale: secondDigits}, "TIMESTAMP": {Kind: row.Timestamp, Scale: secondDigits},
	"DATETIME2": {Kind: row.Timestamp, Scale: secondDigits}, "SMALLDATETIME": {Kind: row.Timestamp, Scale: secondDigits},
	"TIMESTAMPTZ": {Kind: row.Instant, Scale: secondDigits}, "DATETIMEOFFSET": {Kind: row.Instant, Scale: secondDigits},
	"TIMESTAMP WITH TIME ZONE": {Kind: row.Instant, Scale: secondDigits},
	"DURATION_TEXT":            {Kind: row.Duration, Scale: secondDigits}, "SPAN_TEXT": {Kind: row.Interval},
	"UUID": {Kind: row.UUID}, "GUID": {Kind: row.UUID}, "UNIQUEIDENTIFIER": {Kind: row.UUID}, "UUID_TEXT": {Kind: row.UUID},
	"JSON": {Kind: row.JSON}, "JSON_TEXT": {Kind: row.JSON},
	"BITS_TEXT": {Kind: row.Bits}, "OTHER_TEXT": {Kind: row.Other}, "ANY": {Kind: row.Other}, "": {Kind: row.Other},
}

// mostDigits bounds the digits after the point that a declared type is believed to mean: SQLite keeps any number there, and a cell
// is filled up to its scale.
const mostDigits = 1000

// typeOf says what a declared type means: a common name where it is one, else by its affinity.
func typeOf(raw string) schema.Type {
	name, args := cutArgs(raw)
	t, known := declared[name]
	if !known {
		t = typeByAffinity(name)
	}
	t.Raw = raw
	switch t.Kind {
	case row.Decimal:
		t.Scale = -1
		if len(args) > 0 {
			t.Precision, t.Scale = int(args[0]), 0
		}
		if len(args) > 1 {
			t.Scale = int(args[1])
		}
		if t.Scale > mostDigits {
			t.Scale = -1
		}
	case row.Text, row.Bytes, row.Bits:
		if len(args) > 0 {
			t.Length = args[0]
		}
		t.Fixed = t.Fixed && t.Length > 0
	case row.Time, row.Timestamp, row.Instant, row.Duration:
		if len(args) > 0 && args[0] <= 9 {
			t.Scale = int(args[0])
		}
	case row.Bool:
		if name == "BIT" && len(args) > 0 && args[0] > 1 {
			t = schema.Type{Kind: row.Int, Precision: 64, Raw: raw}
		}
	}
	return t
}

func typeByAffinity(name string) schema.Type {
	switch affinityOf(name) {
	case affinityInteger:
		return schema.Type{Kind: row.Int, Precision: 64}
	case affinityText:
		return schema.Type{Kind: row.Text}
	case affinityReal:
		return schema.Type{Kind: row.Float64, Precision: 64}
	case affinityBlob:
		return schema.Type{Kind: row.Bytes}
	}
	return schema.Type{Kind: row.Decimal}
}

// cutArgs parts "VARYING CHARACTER (20)" into its name in upper case, one blank between words, and its numbers.
func cutArgs(raw string) (string, []int64) {
	head, tail, _ := strings.Cut(raw, "(")
	name := strings.ToUpper(strings.Join(strings.Fields(head), " "))
	inner, _, _ := strings.Cut(tail, ")")
	var args []int64
	for part := range strings.SplitSeq(inner, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil || n < 0 {
			break
		}
		args = append(args, n)
	}
	return name, args
}
