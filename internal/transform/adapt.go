package transform

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// adaption turns rows of the table that a release's build has made into rows of the table's new form.
type adaption struct {
	form    *form
	made    *schema.Table
	from    schema.Shape     // what is read of it
	columns []adapted        // of the new form, in its order
	key     []int            // the places of the key's columns in it
	keys    []*schema.Column // these columns at the source
	scratch []byte
}

// adapted says where one column comes from.
type adapted struct {
	to      schema.ShapeColumn
	at      int // the place of the column in what is read; -1 where the release's table has not got it: NULL
	convert conversion
}

// adapt compares the release's table, in the words of its product, with the new form.
func (f *form) adapt(made *schema.Table, product driver.Dialect) (*adaption, error) {
	wrong := func(format string, args ...any) error {
		return mistake(f.merge.place, "merge: the release's table "+made.Name.String()+" "+format, args...)
	}
	a := &adaption{form: f, made: made}
	for _, c := range made.Columns {
		if f.view.Column(c.Name) == nil {
			return nil, wrong("has a column %s, which %s has not in its new form%s; let transform make it", c.Name, f.source.Name, alike(c.Name, f.view))
		}
		a.from.Columns = append(a.from.Columns, naturally(c))
	}
	for _, c := range f.view.Columns {
		one := adapted{to: naturally(c), at: slices.IndexFunc(made.Columns, func(m *schema.Column) bool { return m.Name == c.Name })}
		switch {
		case one.at >= 0:
			want := c.Type
			want.Kind = one.to.Cell
			is := made.Columns[one.at].Type
			convert, possible := conversionOf(is, want)
			if carried, _ := product.Carry(c.Type, false); !possible && plainWord(carried.Raw) == plainWord(is.Raw) { // what the product makes of such a column it also reads as one
				possible = true
				own := one.to
				own.Column = made.Columns[one.at]
				a.from.Columns[one.at] = own
			}
			if !possible {
				return nil, wrong("has %s in column %s, of which %s can not be made; give it the type of the new form", a.from.Columns[one.at].Cell, c.Name, one.to.Cell)
			}
			one.convert = convert
		case !c.Null || c.Generated != nil:
			return nil, wrong("has no column %s, which takes no NULL and has no value of its own; let the build make it", c.Name)
		}
		a.columns = append(a.columns, one)
	}
	live := f.view.LiveKey().Names()
	if !slices.ContainsFunc(append([]*schema.Key{made.Primary}, made.Uniques...), func(k *schema.Key) bool {
		return k != nil && k.Where == "" && !k.Deferrable && sameNames(k.Names(), live)
	}) {
		return nil, wrong("has not the key (%s) that rows of %s are known by; give it that one", strings.Join(live, ", "), f.source.Name)
	}
	for _, name := range live {
		at := slices.IndexFunc(f.view.Columns, func(c *schema.Column) bool { return c.Name == name })
		a.key = append(a.key, at)
		a.keys = append(a.keys, f.column(name).from)
	}
	return a, nil
}

// plainWord is a product's word for a type, without its numbers.
func plainWord(raw string) string {
	word, _, _ := strings.Cut(strings.ToLower(raw), "(")
	return strings.TrimSpace(word)
}

// sameNames compares lists whatever their order.
func sameNames(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return len(a) > 0 && slices.Equal(a, b)
}

// one appends one row.
func (a *adaption) one(in *row.Batch, i int, out *row.Batch) error {
	for _, c := range a.columns {
		var cell []byte
		if c.at >= 0 {
			cell = in.Cell(i, c.at)
		}
		var why string
		switch {
		case cell == nil && c.to.Column.Null:
			out.AppendNull()
			continue
		case cell == nil:
			why = "is NULL, which the column does not take"
		case c.convert != nil:
			var err error
			if a.scratch, err = c.convert(a.scratch[:0], cell, c.to); err != nil {
				why = err.Error()
			}
			cell = a.scratch
		}
		if why == "" {
			why = unfit(c.to.Column.Type, cell)
		}
		if why == "" {
			out.Append(cell)
			continue
		}
		return mistake(a.form.merge.place, "merge: column %s of the release's table %s, key %s, %s", c.to.Column.Name, a.made.Name, a.keyAt(in, i), why)
	}
	for n, at := range a.key {
		if why := unfit(a.keys[n].Type, out.Cell(out.Len()-1, at)); why != "" {
			return mistake(a.form.merge.place, "merge: the key of a row of the release's table %s (%s) %s as the source has it; give the row a key that the source could have", a.made.Name, a.keyAt(in, i), why)
		}
	}
	return nil
}

// keyAt writes the key of a row that was read, for people.
func (a *adaption) keyAt(in *row.Batch, i int) string {
	parts := make([]string, len(a.key))
	for n, at := range a.key {
		if from := a.columns[at].at; from >= 0 {
			parts[n] = string(in.Cell(i, from))
		}
	}
	return strings.Join(parts, ", ")
}

// sorted makes the content, by key, and refuses two rows of one key or one unique value.
func (a *adaption) sorted(b *row.Batch) (*Content, error) {
	c := &Content{}
	for _, column := range a.form.view.Columns {
		c.Columns = append(c.Columns, column.Name)
	}
	uniques := append(a.form.uniques(c.Columns), unique{name: "of its rows", parts: a.key, prefixes: make([]prefix, len(a.key))})
	for _, u := range uniques {
		if twice := u.fill(b); twice >= 0 {
			return nil, mistake(a.form.merge.place, "merge: two rows of the release's table %s share the value of the unique key %s, one of them that of key %s", a.made.Name, u.name, a.form.keyOf(c, b, twice))
		}
	}
	keys := make(map[string]int, b.Len())
	for i := range b.Len() {
		keys[string(b.AppendKey(nil, i, a.key))] = i
	}
	order := make([]string, 0, len(keys))
	for key := range keys {
		order = append(order, key)
	}
	slices.Sort(order)
	for _, key := range order {
		c.Rows = append(c.Rows, b.Row(keys[key])...)
	}
	return c, nil
}

// unfit says in a clause why a type does not hold a cell, empty where it does.
func unfit(t schema.Type, cell []byte) string {
	switch naturalKind(t) {
	case row.Int:
		n, ok := new(big.Int).SetString(string(cell), 10)
		bits := t.Precision
		if !ok {
			return "is no int"
		}
		if bits == 0 {
			return ""
		}
		least, most := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(bits))
		if !t.Unsigned {
			most.Rsh(most, 1)
			least.Neg(most)
		}
		if n.Cmp(least) < 0 || n.Cmp(most) >= 0 {
			return fmt.Sprintf("is no int of %d bits", bits)
		}
	case row.Text:
		if t.Length > 0 && int64(utf8.RuneCount(cell)) > t.Length {
			return fmt.Sprintf("has more than %d characters", t.Length)
		}
		if len(t.Values) > 0 && !t.Set && !slices.Contains(t.Values, string(cell)) {
			return "is none of the values that the column takes"
		}
	case row.Bytes:
		if t.Length > 0 && int64(len(cell)) > t.Length {
			return fmt.Sprintf("has more than %d bytes", t.Length)
		}
	case row.Decimal:
		whole, _, _ := strings.Cut(strings.TrimPrefix(string(cell), "-"), ".")
		if t.Precision > 0 && len(whole) > max(t.Precision-t.Scale, 1) {
			return fmt.Sprintf("has more than %d digits before the point", t.Precision-t.Scale)
		}
	}
	return ""
}
