package oracle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// family is what a type is about, as far as it matters for saying that two printed values are the same.
type family string

const (
	truth    family = "bool"
	single   family = "float32"
	double   family = "float64"
	number   family = "number"
	binary   family = "bytes"
	bits     family = "bits"
	padded   family = "char" // trailing blanks do not count
	moment   family = "moment"
	uuid     family = "uuid"
	document family = "json" // compared by meaning
	text     family = "text" // compared byte by byte
	untyped  family = ""     // SQLite's columns: each value says
)

// families tells a type by the first word of its product's name for it.
var families = map[string]map[string]family{
	"postgres": {
		"boolean": truth, "smallint": number, "integer": number, "bigint": number, "numeric": number, "real": single,
		"double precision": double, "bytea": binary, "bit": bits, "bit varying": bits, "character": padded, "character varying": text, "date": moment,
		"time": moment, "timestamp": moment, "interval": moment, "uuid": uuid, "jsonb": document,
	},
	"mariadb": {
		"tinyint": number, "smallint": number, "mediumint": number, "int": number, "bigint": number, "decimal": number,
		"float": single, "double": double, "binary": binary, "varbinary": binary, "tinyblob": binary, "blob": binary,
		"mediumblob": binary, "longblob": binary, "bit": bits, "char": padded, "date": moment, "time": moment,
		"datetime": moment, "timestamp": moment, "year": number, "uuid": uuid,
	},
}

// family finds the family of a column's type: text where nothing else is known.
func (d *Database) family(typ string) family {
	if d.Product == "sqlite" {
		return untyped
	}
	if strings.HasSuffix(typ, "[]") {
		return text
	}
	word, _, _ := strings.Cut(typ, "(")
	for w := strings.TrimSpace(word); w != ""; {
		if f, ok := families[d.Product][w]; ok {
			return f
		}
		cut := strings.LastIndexByte(w, ' ')
		if cut < 0 {
			break
		}
		w = w[:cut]
	}
	return text
}

// common is the family in which values of two columns are compared.
func common(a, b family) family {
	for _, f := range []family{truth, single, double, number, bits, binary, padded, moment, uuid, document} {
		if a == f || b == f {
			return f
		}
	}
	if a == untyped && b == untyped {
		return untyped
	}
	return text
}

// null is the printed form of NULL, which no value has.
const null = "NULL"

// value is one printed value: as the client wrote it, and what was printed.
type value struct {
	class string // text, blob, integer, real, null
	text  string
}

// expression selects a column so that its value is printed without loss and without doubt.
func (d *Database) expression(c Column) string {
	q := d.quote(c.Name)
	switch d.Product {
	case "postgres":
		return q
	case "sqlite":
		return "CASE typeof(" + q + ") WHEN 'real' THEN 'real:'||quote(" + q + ") ELSE typeof(" + q + ")||':'||hex(" + q + ") END"
	}
	var e string
	switch d.family(c.Type) {
	case binary:
		e = "CONCAT('blob:',HEX(" + q + "))"
	case bits:
		width := strings.Trim(strings.TrimPrefix(c.Type, "bit"), "()")
		e = "CONCAT('text:',LPAD(BIN(" + q + ")," + width + ",'0'))"
	case single:
		e = "CONCAT('text:',CAST(" + q + " AS DOUBLE))"
	default:
		e = "CONCAT('text:'," + q + ")"
		if isGeometry(c.Type) {
			e = "CONCAT('blob:',HEX(" + q + "))"
		}
	}
	return "IFNULL(" + e + ",'null:')"
}

func isGeometry(typ string) bool {
	switch typ {
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection":
		return true
	}
	return false
}

// read takes a cell of a printed line apart.
func (d *Database) read(cell []byte, f family) (value, error) {
	if d.Product == "postgres" {
		if string(cell) == `\N` {
			return value{class: "null"}, nil
		}
		plain := unescape(cell)
		if f == binary {
			b, err := hex.DecodeString(strings.TrimPrefix(plain, `\x`))
			return value{"blob", string(b)}, err
		}
		return value{"text", plain}, nil
	}
	class, rest, ok := bytes.Cut(cell, []byte(":"))
	if !ok {
		return value{}, fmt.Errorf("a cell without its class: %.40q", cell)
	}
	v := value{class: string(class), text: string(rest)}
	switch {
	case v.class == "blob", d.Product == "sqlite" && v.class != "real" && v.class != "null":
		b, err := hex.DecodeString(v.text)
		v.text = string(b)
		return v, err
	case d.Product == "mariadb":
		v.text = unescape(rest)
	}
	return v, nil
}

// unescape undoes the clients' escapes: \t \n \r \b \f \v \0 \\.
func unescape(cell []byte) string {
	if bytes.IndexByte(cell, '\\') < 0 {
		return string(cell)
	}
	out := make([]byte, 0, len(cell))
	for i := 0; i < len(cell); i++ {
		if cell[i] != '\\' || i+1 == len(cell) {
			out = append(out, cell[i])
			continue
		}
		i++
		if at := strings.IndexByte("tnrbfv0", cell[i]); at >= 0 {
			out = append(out, "\t\n\r\b\f\v\x00"[at])
		} else {
			out = append(out, cell[i])
		}
	}
	return string(out)
}

// same writes a value so that equal values of the family are written equally, whichever product printed them.
func same(v value, f family) string {
	if v.class == "null" {
		return null
	}
	switch f {
	case truth:
		switch v.text {
		case "t", "1", "true":
			return "true"
		case "f", "0", "false":
			return "false"
		}
	case number:
		return decimal(v.text)
	case single:
		if x, err := strconv.ParseFloat(v.text, 64); err == nil {
			return strconv.FormatFloat(float64(float32(x)), 'g', -1, 32)
		}
	case double:
		if x, err := strconv.ParseFloat(v.text, 64); err == nil {
			return strconv.FormatFloat(x, 'g', -1, 64)
		}
	case padded:
		return "'" + strings.TrimRight(v.text, " ")
	case moment:
		return instant(v.text)
	case uuid:
		return strings.ToLower(v.text)
	case document:
		return meaning(v.text)
	case untyped:
		return v.class + ":" + v.text
	}
	return "'" + v.text
}

// decimal writes a number without exponent, sign of zero, leading zeros, or zeros at its end.
func decimal(s string) string {
	digits, exponent := strings.ToLower(s), 0
	if m, e, ok := strings.Cut(digits, "e"); ok {
		n, err := strconv.Atoi(e)
		if err != nil {
			return s
		}
		digits, exponent = m, n
	}
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign = "-"
	}
	whole, fraction, _ := strings.Cut(strings.TrimLeft(digits, "+-"), ".")
	for _, c := range whole + fraction {
		if c < '0' || c > '9' {
			return s
		}
	}
	all, point := whole+fraction, len(whole)+exponent
	for point < 0 {
		all, point = "0"+all, point+1
	}
	for point > len(all) {
		all += "0"
	}
	whole, fraction = strings.TrimLeft(all[:point], "0"), strings.TrimRight(all[point:], "0")
	if whole == "" && fraction == "" {
		return "0"
	}
	if whole == "" {
		whole = "0"
	}
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}

// instant drops UTC's offset, the T, and zeros at the end of a fraction.
func instant(s string) string {
	for _, zone := range []string{"+00:00", "+00", "Z"} {
		if strings.HasSuffix(s, zone) && strings.Contains(s, ":") {
			s = strings.TrimSuffix(s, zone)
			break
		}
	}
	if len(s) > 10 && s[10] == 'T' {
		s = s[:10] + " " + s[11:]
	}
	if strings.LastIndexByte(s, '.') > strings.LastIndexByte(s, ':') {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// meaning writes a JSON document with sorted names, no blanks, and its numbers as they are.
func meaning(s string) string {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "'" + s
	}
	out, err := json.Marshal(v)
	if err != nil {
		return "'" + s
	}
	return string(out)
}

// plain undoes hexadecimal.
func plain(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		return s
	}
	return string(b)
}
