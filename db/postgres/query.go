package postgres

import (
	"encoding/hex"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// query is a SELECT under construction; its parameters are either bound or, where the server takes none (COPY), written
// into it as constants.
type query struct {
	sql    strings.Builder
	params [][]byte
	inline bool
	typed  bool // columns are cast to their types, which does nothing unless a table was altered
}

// param writes the place of a value, or the value.
func (q *query) param(value []byte) string {
	if q.inline {
		return literal(string(value))
	}
	q.params = append(q.params, value)
	return "$" + itoa(len(q.params))
}

// from names a table to read: a partitioned one with its partitions, any other alone (HAZARDS 11).
func (d dialect) from(t *schema.Table) string {
	if t.Options.Partitioned {
		return d.table(t.Name)
	}
	return "ONLY " + d.table(t.Name)
}

// selection plans the SELECT of a query.
func (db *database) selection(q *query, want driver.Query, all []codec) error {
	d := db.dialect()
	q.sql.WriteString("SELECT ")
	for i, c := range want.Shape.Columns {
		if i > 0 {
			q.sql.WriteString(", ")
		}
		if name := "t." + quote(c.Column.Name); q.typed {
			q.sql.WriteString("CAST(" + name + " AS " + d.typeName(c.Column.Type) + ")")
		} else {
			q.sql.WriteString(name)
		}
	}
	q.sql.WriteString(" FROM " + d.from(want.Table) + " AS t")
	if want.Keys != nil {
		db.joinKeys(q, want, all)
	} else if err := bounds(q, want, all); err != nil {
		return err
	}
	if want.Order == driver.KeyOrder && len(want.Shape.Key) > 0 {
		q.sql.WriteString(" ORDER BY " + strings.Join(keyColumns(want.Shape, "t."), ", "))
	}
	return nil
}

// keyColumns are the quoted names of a shape's key with a prefix.
func keyColumns(s schema.Shape, prefix string) []string {
	names := make([]string, len(s.Key))
	for i, k := range s.Key {
		names[i] = prefix + quote(s.Columns[k].Column.Name)
	}
	return names
}

// keyTypes are the key's types as casts that alter no value.
func keyTypes(s schema.Shape) []string {
	types := make([]string, len(s.Key))
	for i, k := range s.Key {
		types[i] = plain(s.Columns[k].Column.Type.Raw)
	}
	return types
}

// bounds writes the condition of a range: the server compares, by the key's own order.
func bounds(q *query, want driver.Query, all []codec) error {
	word := " WHERE "
	for _, side := range []struct {
		key row.Key
		op  string
	}{{want.Range.After, " > "}, {want.Range.Upto, " <= "}} {
		if side.key == nil {
			continue
		}
		cells, err := side.key.Cells()
		if err != nil {
			return err
		}
		types := keyTypes(want.Shape)
		values := make([]string, len(cells))
		for i, cell := range cells {
			values[i] = "CAST(" + q.param(all[want.Shape.Key[i]].appendText([]byte{}, cell)) + " AS " + types[i] + ")"
		}
		q.sql.WriteString(word + tuple(keyColumns(want.Shape, "t.")) + side.op + tuple(values))
		word = " AND "
	}
	return nil
}

func tuple(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return "ROW(" + strings.Join(parts, ", ") + ")"
}

// joinKeys writes the join with a list of keys. The keys travel as arrays of text, one a column, and become the column's own
// type in the server, so that they are compared as it compares them; that they are equal byte for byte is asked beside
// (HAZARDS C10).
func (db *database) joinKeys(q *query, want driver.Query, all []codec) {
	n := len(want.Shape.Key)
	arrays, texts, casts, match := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	columns, types := keyColumns(want.Shape, "t."), keyTypes(want.Shape)
	for i, at := range want.Shape.Key {
		texts[i] = "k" + itoa(i)
		arrays[i] = q.param(textArray(want.Keys, i, &all[at])) + "::text[]"
		casts[i] = "CAST(k." + texts[i] + " AS " + types[i] + ") AS " + texts[i]
		match[i] = columns[i] + " = k." + texts[i]
	}
	names := strings.Join(texts, ", ")
	q.sql.WriteString(" JOIN (SELECT " + strings.Join(casts, ", ") + " FROM (SELECT DISTINCT " + names +
		" FROM unnest(" + strings.Join(arrays, ", ") + ") AS u(" + names + ")) AS k) AS k ON " +
		strings.Join(match, " AND ") + " AND " + sameImage(columns, "k."+strings.Join(texts, ", k.")))
}

// sameImage compares two lists of values byte by byte, as the server stores them.
func sameImage(left []string, right string) string {
	return "ROW(" + strings.Join(left, ", ") + ")::record OPERATOR(pg_catalog.*=) ROW(" + right + ")::record"
}

// textArray writes one column of a batch as the text of an array.
func textArray(b *row.Batch, column int, c *codec) []byte {
	dst := make([]byte, 0, 2+b.Len()*12)
	dst = append(dst, '{')
	for i := range b.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		cell := b.Cell(i, column)
		if cell == nil {
			dst = append(dst, "NULL"...)
			continue
		}
		dst = append(dst, '"')
		if c.form == raw {
			dst = hex.AppendEncode(append(dst, `\\x`...), cell)
		} else {
			for _, x := range cell {
				if x == '"' || x == '\\' {
					dst = append(dst, '\\')
				}
				dst = append(dst, x)
			}
		}
		dst = append(dst, '"')
	}
	return append(dst, '}')
}
