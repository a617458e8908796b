package mysql

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// This file writes values and conditions into statements: literals for the cells of a column, and conditions on keys in
// a form for which the server reads the key's index.

// appendLiteral appends a cell as a literal of its column's type. It can not leave its quotes: what is not plain digits
// where digits are expected is written as text. Every session of ours has backslash escapes on.
func appendLiteral(dst []byte, t schema.Type, cell []byte) []byte {
	switch {
	case cell == nil:
		return append(dst, "NULL"...)
	case t.Kind == row.Float32 && strings.HasSuffix(string(cell), largest):
		return append(bytes.TrimSuffix(append(dst, cell...), []byte(largest)), largestExact...)
	case t.Kind.Numeric() && plainNumber(cell):
		return append(dst, cell...)
	case t.Kind == row.Bits && baseWord(t.Raw) == "bit" && onlyBits(cell):
		return append(append(append(dst, "b'"...), cell...), '\'')
	case t.Kind == row.Bytes:
		dst = append(dst, "x'"...)
		dst = hex.AppendEncode(dst, cell)
		return append(dst, '\'')
	case geometry(t):
		srid, text := cutGeometry(cell)
		dst = append(dst, "ST_GeomFromText("...)
		dst = appendText(dst, text)
		dst = append(dst, ',')
		return append(append(dst, srid...), ')')
	}
	return appendText(dst, cell)
}

func appendText(dst, cell []byte) []byte {
	dst = append(dst, "_utf8mb4'"...)
	for _, c := range cell {
		switch c {
		case '\'', '\\':
			dst = append(dst, '\\', c)
		case 0:
			dst = append(dst, '\\', '0')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\'')
}

func plainNumber(cell []byte) bool {
	digits := false
	for i, c := range cell {
		switch {
		case c >= '0' && c <= '9':
			digits = true
		case (c == '-' || c == '+') && (i == 0 || cell[i-1] == 'e'):
		case c == '.', c == 'e' && digits:
		default:
			return false
		}
	}
	return digits
}

func onlyBits(cell []byte) bool {
	return len(bytes.Trim(cell, "01")) == 0 && len(cell) > 0
}

// cutGeometry cuts SRID=4326;POINT(1 2), the form in which spatial values travel: it keeps every bit of the coordinates
// and the reference system, and reads as the text that other products know.
func cutGeometry(cell []byte) (srid, text []byte) {
	if head, tail, ok := bytes.Cut(cell, []byte(";")); ok && bytes.HasPrefix(head, []byte("SRID=")) && plainNumber(head[5:]) {
		return head[5:], tail
	}
	return []byte("0"), cell
}

// keyColumn is one column of a key that a query walks along.
type keyColumn struct {
	name string
	typ  schema.Type
}

func keyColumns(s schema.Shape) []keyColumn {
	all := make([]keyColumn, len(s.Key))
	for i, c := range s.Key {
		all[i] = keyColumn{s.Columns[c].Column.Name, s.Columns[c].Column.Type}
	}
	return all
}

// appendPlace appends a comparison of a column with a cell in the key's order. The server orders an enum by the place of
// its value but compares it with texts as texts, and with numbers without its index: so the values beyond are listed. It
// orders a set by its bits, and with those it is compared.
func appendPlace(dst []byte, column string, t schema.Type, comparison string, cell []byte) []byte {
	dst = append(append(dst, column...), ' ')
	switch {
	case len(t.Values) == 0:
		return appendOwn(append(append(dst, comparison...), ' '), t, cell)
	case t.Set:
		return appendBits(append(append(dst, comparison...), ' '), t, cell)
	}
	place := slices.Index(t.Values, string(cell)) // -1 for the error value, which comes before all others and equals ''
	var beyond []string
	switch comparison {
	case ">":
		beyond = t.Values[place+1:]
	case ">=":
		beyond = t.Values[max(place, 0):]
	case "<":
		beyond = t.Values[:max(place, 0)]
	case "<=":
		beyond = t.Values[:place+1]
	}
	if comparison[0] == '<' && (place >= 0 || comparison == "<=") || comparison == ">=" && place < 0 {
		beyond = append([]string{""}, beyond...)
	}
	if len(beyond) == 0 {
		return append(dst, "IS NULL"...) // a key's column never is
	}
	dst = append(dst, "IN ("...)
	for i, v := range beyond {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendOwn(dst, t, []byte(v))
	}
	return append(dst, ')')
}

func appendBits(dst []byte, t schema.Type, cell []byte) []byte {
	var bits uint64
	for member := range strings.SplitSeq(string(cell), ",") {
		if i := slices.Index(t.Values, member); i >= 0 {
			bits |= 1 << i
		}
	}
	return strconv.AppendUint(dst, bits, 10)
}

// beyond is a condition on the columns of a key: before or after the cells, which may be fewer than the columns. Last is
// the comparison of the last cell, <, <=, > or >=.
func beyond(key []keyColumn, cells [][]byte, last string) string {
	return string(appendBeyond(nil, key, cells, last))
}

func appendBeyond(dst []byte, key []keyColumn, cells [][]byte, last string) []byte {
	column := "t." + quote(key[0].name)
	if len(cells) == 1 {
		return appendPlace(dst, column, key[0].typ, last, cells[0])
	}
	dst = appendPlace(append(dst, '('), column, key[0].typ, last[:1], cells[0])
	dst = append(append(append(dst, " OR "...), column...), " = "...)
	dst = appendOwn(dst, key[0].typ, cells[0])
	dst = append(dst, " AND "...)
	return append(appendBeyond(dst, key[1:], cells[1:], last), ')')
}

// within is the condition for a range.
func within(key []keyColumn, r row.Range) (string, error) {
	var all []string
	for _, bound := range []struct {
		key  row.Key
		last string
	}{{r.After, ">"}, {r.Upto, "<="}} {
		if bound.key == nil {
			continue
		}
		cells, err := bound.key.Cells()
		if err == nil && len(cells) != len(key) {
			err = errBound
		}
		if err != nil {
			return "", err
		}
		all = append(all, beyond(key, cells, bound.last))
	}
	return strings.Join(all, " AND "), nil
}

// among is the condition for the keys of a batch from first up to, not including, last: an IN list, or for a composite
// key alternatives that the server's range optimizer knows.
func among(key []keyColumn, keys *row.Batch, first, last int) string {
	var dst []byte
	if len(key) == 1 {
		dst = append(dst, "t."+quote(key[0].name)+" IN ("...)
	} else {
		dst = append(dst, '(')
	}
	for i := first; i < last; i++ {
		if len(key) == 1 {
			if i > first {
				dst = append(dst, ',')
			}
			dst = appendOwn(dst, key[0].typ, keys.Cell(i, 0))
			continue
		}
		if i > first {
			dst = append(dst, " OR "...)
		}
		for c, k := range key {
			dst = append(dst, [2]string{"t.", " AND t."}[min(c, 1)]...)
			dst = append(append(dst, quote(k.name)...), " = "...)
			dst = appendOwn(dst, k.typ, keys.Cell(i, c))
		}
	}
	return string(append(dst, ')'))
}

// appendOwn appends a literal in the column's own character set and collation, for which the index is used whatever the
// text is. A character that the set has not got becomes a question mark, which finds nothing that is asked for.
func appendOwn(dst []byte, t schema.Type, cell []byte) []byte {
	if t.Charset == "" || t.Charset == "utf8mb4" || t.Collation == "" {
		return appendLiteral(dst, t, cell)
	}
	dst = appendText(append(dst, "CONVERT("...), cell)
	return append(dst, " USING "+t.Charset+") COLLATE "+t.Collation...)
}

// indexOf names the index of a shape's key, empty when it is not known.
func indexOf(t *schema.Table, key []keyColumn) string {
	same := func(k *schema.Key) bool {
		return k != nil && slices.EqualFunc(k.Names(), key, func(n string, c keyColumn) bool { return n == c.name })
	}
	if len(key) == 0 {
		return ""
	}
	if same(t.Primary) {
		return "PRIMARY"
	}
	for _, k := range t.Uniques {
		if same(k) {
			return k.Name
		}
	}
	return ""
}

// along is FROM with the key's index forced.
func (d *database) along(t *schema.Table, key []keyColumn) string {
	from := " FROM " + d.dialect.name(t.Name) + " t"
	if index := indexOf(t, key); index != "" {
		from += " FORCE INDEX (" + quote(index) + ")"
	}
	return from
}

func order(key []keyColumn, way string) string {
	all := make([]string, len(key))
	for i, k := range key {
		all[i] = "t." + quote(k.name) + way
	}
	return " ORDER BY " + strings.Join(all, ", ")
}
