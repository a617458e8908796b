package mysql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// catalogType is what information_schema.columns says about a column's type.
type catalogType struct {
	data, column           string // DATA_TYPE, COLUMN_TYPE
	length, octets         string
	digits, scale, seconds string
	charset, collation     string
	json                   bool // MariaDB: a json_valid check stands on it
}

var integers = map[string]int{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}

// mostDigits is above every precision and scale that a server knows. A cell is filled up to its scale.
const mostDigits = 1000

// describe turns the catalog's words into a type. A tinyint(1) is an integer: nothing keeps other numbers out of it.
func (c catalogType) describe() schema.Type {
	number := func(s string) int { n, _ := strconv.Atoi(s); return min(n, mostDigits) }
	t := schema.Type{Raw: c.column, Unsigned: strings.Contains(c.column, "unsigned")}
	if c.charset != "" {
		t.Charset, t.Collation = strings.ToLower(c.charset), c.collation
		t.Binary = bytewise(c.collation)
	}
	length, _ := strconv.ParseInt(c.length, 10, 64)
	switch c.data {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		t.Kind, t.Precision = row.Int, integers[c.data]
	case "year":
		t.Kind, t.Precision, t.Unsigned = row.Int, 16, true
	case "decimal":
		t.Kind, t.Precision, t.Scale = row.Decimal, number(c.digits), number(c.scale)
	case "float":
		t.Kind = row.Float32
	case "double":
		t.Kind = row.Float64
	case "bit":
		t.Kind, t.Length, t.Fixed = row.Bits, int64(number(c.digits)), true
	case "char", "varchar":
		t.Kind, t.Length, t.Fixed = row.Text, length, c.data == "char"
	case "tinytext", "text", "mediumtext", "longtext":
		t.Kind, t.Length = row.Text, bounded(c.data, "text")
		if c.json {
			t.Kind, t.Length = row.JSON, 0
		}
	case "binary", "varbinary":
		t.Kind, t.Length, t.Fixed = row.Bytes, length, c.data == "binary"
	case "tinyblob", "blob", "mediumblob", "longblob":
		t.Kind, t.Length = row.Bytes, bounded(c.data, "blob")
	case "enum", "set":
		t.Kind, t.Values, t.Set, t.Length = row.Text, values(c.column), c.data == "set", length
	case "date":
		t.Kind = row.Date
	case "time":
		t.Kind, t.Scale = row.Duration, number(c.seconds)
	case "datetime":
		t.Kind, t.Scale = row.Timestamp, number(c.seconds)
	case "timestamp":
		t.Kind, t.Scale = row.Instant, number(c.seconds)
	case "json":
		t.Kind = row.JSON
	case "uuid":
		t.Kind = row.UUID
	case "vector":
		t.Kind = row.Bytes
	default: // inet4, inet6, geometry and its kin
		t.Kind = row.Other
	}
	return t
}

// bounded gives the bytes that a text or blob type holds; 0 for the long ones, which hold 4 GiB.
func bounded(data, family string) int64 {
	switch strings.TrimSuffix(data, family) {
	case "tiny":
		return 255
	case "":
		return 65535
	case "medium":
		return 16777215
	}
	return 0
}

// bytewise reports whether texts that are equal under a collation have equal bytes: binary and without padding.
func bytewise(collation string) bool {
	return strings.HasSuffix(collation, "_nopad_bin") || strings.HasSuffix(collation, "_0900_bin")
}

// values reads the list of enum('a','it”s').
func values(column string) []string {
	var all []string
	open := strings.IndexByte(column, '(')
	for i := open + 1; open >= 0 && i < len(column) && column[i] == '\''; i++ {
		var b strings.Builder
		for i++; i < len(column); i++ {
			if column[i] == '\'' {
				if i+1 >= len(column) || column[i+1] != '\'' {
					break
				}
				i++
			}
			b.WriteByte(column[i])
		}
		all = append(all, b.String())
		i++ // the closing quote; the loop passes the comma
	}
	return all
}

var geometries = []string{
	"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
	"geometrycollection", "geomcollection",
}

func baseWord(raw string) string {
	raw = strings.ToLower(raw)
	if i := strings.IndexAny(raw, " ("); i >= 0 {
		return raw[:i]
	}
	return raw
}

func geometry(t schema.Type) bool {
	return t.Kind == row.Other && slices.Contains(geometries, baseWord(t.Raw))
}

// binaryCollation is the collation under which texts are equal when their bytes are (HAZARDS C10, 57).
func (v version) binaryCollation() string {
	if v.maria() {
		return "utf8mb4_nopad_bin"
	}
	return "utf8mb4_0900_bin"
}

// text makes a text type. Under a key it must be short enough for an index: 255 characters of at most 4 bytes leave room
// for three such columns in InnoDB's 3,072 bytes; a declared length is kept up to 768, which fills an index alone.
// Outside a key a text longer than 255 is a longtext, because all varchars of a row share 65,535 bytes.
func (v version) text(length int64, key bool) (schema.Type, []driver.Loss) {
	t := schema.Type{Kind: row.Text, Charset: "utf8mb4", Collation: v.binaryCollation(), Binary: true, Raw: "longtext"}
	var losses []driver.Loss
	switch {
	case key && (length == 0 || length > 768):
		t.Length = 255
		losses = []driver.Loss{{
			Level: driver.Lossy, Unless: []driver.FactKind{driver.Longest},
			Message: "holds at most 255 characters, because it is part of a key or an index",
		}}
	case key, length > 0 && length <= 255:
		t.Length = length
	}
	if t.Length > 0 {
		t.Raw = "varchar(" + strconv.FormatInt(t.Length, 10) + ")"
	}
	return t, losses
}

func (v version) bytes(f schema.Type, key bool) (schema.Type, []driver.Loss) {
	t := schema.Type{Kind: row.Bytes, Raw: "longblob"}
	n := strconv.FormatInt(f.Length, 10)
	switch {
	case f.Fixed && f.Length > 0 && f.Length <= 255:
		t.Raw, t.Length, t.Fixed = "binary("+n+")", f.Length, true
	case f.Length > 0 && (f.Length <= 255 || key && f.Length <= 3072):
		t.Raw, t.Length = "varbinary("+n+")", f.Length
	case key:
		t.Raw, t.Length = "varbinary(768)", 768
		return t, []driver.Loss{{
			Level: driver.Lossy, Unless: []driver.FactKind{driver.Longest},
			Message: "holds at most 768 bytes, because it is part of a key or an index",
		}}
	}
	return t, nil
}

func (v version) integer(f schema.Type) schema.Type {
	t := schema.Type{Kind: row.Int, Precision: f.Precision, Unsigned: f.Unsigned}
	word := "bigint"
	for name, bits := range integers {
		if bits == f.Precision {
			word = name
		}
	}
	if f.Precision > 64 {
		return schema.Type{Kind: row.Decimal, Precision: 65, Raw: "decimal(65,0)"}
	}
	if word == "bigint" {
		t.Precision = 64
	}
	if t.Raw = word; f.Unsigned {
		t.Raw += " unsigned"
	}
	return t
}

func (v version) decimal(f schema.Type) (schema.Type, []driver.Loss) {
	scales := 30
	if v.maria() {
		scales = 38
	}
	losses := []driver.Loss{{Level: driver.Lossy, Message: "cannot hold NaN or an infinity", Unless: []driver.FactKind{driver.NotANumber}}}
	t := schema.Type{Kind: row.Decimal, Precision: f.Precision, Scale: f.Scale}
	if f.Precision > 0 && f.Scale < 0 { // PostgreSQL's numeric(5,-2)
		t.Precision, t.Scale = f.Precision-f.Scale, 0
	}
	if f.Precision > 0 && f.Scale > f.Precision { // and numeric(3,5)
		t.Precision = f.Scale
	}
	if f.Precision == 0 || t.Precision > 65 || t.Scale > scales {
		t.Precision, t.Scale = 65, 30
		losses = append(losses, driver.Loss{
			Level:   driver.Lossy,
			Message: "holds 35 digits before and 30 after the point, and not how many zeros a value was written with",
		})
	}
	t.Raw = "decimal(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")"
	return t, losses
}

// Carry returns the type of this product that holds a foreign type's values.
func (d dialect) Carry(f schema.Type, key bool) (schema.Type, []driver.Loss) {
	v := d.version
	note := func(s string) []driver.Loss { return []driver.Loss{{Level: driver.Note, Message: s}} }
	times := func(t schema.Type, facts ...driver.FactKind) (schema.Type, []driver.Loss) {
		losses := []driver.Loss{{Level: driver.Lossy, Unless: facts, Message: "holds the years 0001 to 9999 only, and no infinity"}}
		if f.Scale > 6 {
			losses = append(losses, driver.Loss{Level: driver.Lossy, Message: "keeps six digits of the second"})
		}
		return t, losses
	}
	years := []driver.FactKind{driver.Infinite, driver.BeforeYear1, driver.AfterYear4}
	if len(f.Values) > 0 {
		return v.choice(f, key)
	}
	if geometry(f) {
		return schema.Type{Kind: row.Other, Raw: baseWord(f.Raw)}, nil
	}
	switch f.Kind {
	case row.Bool:
		return schema.Type{Kind: row.Bool, Precision: 8, Raw: "tinyint(1)"}, nil
	case row.Int:
		return v.integer(f), nil
	case row.Decimal:
		return v.decimal(f)
	case row.Float32, row.Float64:
		word := map[row.Kind]string{row.Float32: "float", row.Float64: "double"}[f.Kind]
		return schema.Type{Kind: f.Kind, Raw: word},
			[]driver.Loss{
				{Level: driver.Lossy, Message: "cannot hold NaN or an infinity", Unless: []driver.FactKind{driver.NotANumber}},
				{Level: driver.Lossy, Message: "holds no negative zero: it becomes 0", Unless: []driver.FactKind{driver.NegativeZero}},
			}
	case row.Text:
		return v.text(f.Length, key)
	case row.Bytes:
		return v.bytes(f, key)
	case row.Date:
		return times(schema.Type{Kind: row.Date, Raw: "date"}, years...)
	case row.Timestamp:
		return times(schema.Type{Kind: row.Timestamp, Scale: 6, Raw: "datetime(6)"}, years...)
	case row.Instant:
		t, losses := times(schema.Type{Kind: row.Instant, Scale: 6, Raw: "datetime(6)"}, years...)
		return t, append(losses, note("is kept in UTC, without its zone")...)
	case row.Time:
		return schema.Type{Kind: row.Time, Scale: 6, Raw: "time(6)"}, nil
	case row.Duration:
		return schema.Type{Kind: row.Duration, Scale: 6, Raw: "time(6)"}, nil
	case row.UUID:
		return v.uuid(), nil
	case row.JSON:
		if !key {
			return schema.Type{Kind: row.JSON, Charset: "utf8mb4", Collation: v.binaryCollation(), Binary: true, Raw: "longtext"},
				note("is kept as text, byte for byte, with a check that it is JSON")
		}
	case row.Bits:
		return v.bits(f, key)
	case row.Interval:
		t, _ := v.text(64, key)
		return t, note("is kept as text")
	}
	t, losses := v.text(0, key)
	return t, append(losses, note("is kept as text")...)
}

// choice carries an enum or a set. The server takes trailing blanks off the values it declares and keeps at most 64 of a
// set, so that lists with such values become text.
func (v version) choice(f schema.Type, key bool) (schema.Type, []driver.Loss) {
	word, most, longest := "enum", 65535, int64(1)
	if f.Set {
		word, most = "set", 64
	}
	plain := len(f.Values) <= most
	for _, s := range f.Values {
		longest = max(longest, int64(len(s)))
		plain = plain && !strings.HasSuffix(s, " ") && len(s) <= 255 && !strings.ContainsAny(s, "\\\x00") && (!f.Set || !strings.Contains(s, ","))
	}
	if !plain {
		t, losses := v.text(0, key)
		return t, append(losses, driver.Loss{Level: driver.Note, Message: "is kept as text without its list of values"})
	}
	quoted := make([]string, len(f.Values))
	for i, s := range f.Values {
		quoted[i] = quoteText(s)
	}
	return schema.Type{
		Kind: row.Text, Values: f.Values, Set: f.Set, Length: longest, Charset: "utf8mb4",
		Collation: v.binaryCollation(), Binary: true, Raw: word + "(" + strings.Join(quoted, ",") + ")",
	}, nil
}

func (v version) uuid() schema.Type {
	if v.maria() && v.since(10, 7, 0) {
		return schema.Type{Kind: row.UUID, Raw: "uuid"}
	}
	collation := "ascii_bin"
	if v.maria() {
		collation = "ascii_nopad_bin"
	}
	return schema.Type{Kind: row.UUID, Length: 36, Fixed: true, Charset: "ascii", Collation: collation, Binary: true, Raw: "char(36)"}
}

func (v version) bits(f schema.Type, key bool) (schema.Type, []driver.Loss) {
	if f.Fixed && f.Length > 0 && f.Length <= 64 {
		return schema.Type{Kind: row.Bits, Length: f.Length, Fixed: true, Raw: "bit(" + strconv.FormatInt(f.Length, 10) + ")"}, nil
	}
	t, losses := v.text(f.Length, key)
	return t, append(losses, driver.Loss{Level: driver.Note, Message: "is kept as text of the characters 0 and 1"})
}
