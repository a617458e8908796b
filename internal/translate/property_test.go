package translate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Whatever the schema is, both sides of every shape fit, keys stand at the same places, nothing is shared, and what is
// not at the target is in a finding.
func TestAnySchema(t *testing.T) {
	products := []struct {
		info    driver.Info
		dialect fake
	}{{elephantInfo, elephant}, {sealInfo, seal}, {featherInfo, feather}}
	rapid.Check(t, func(t *rapid.T) {
		source := drawSchema(t)
		from := rapid.IntRange(0, 2).Draw(t, "from")
		to := rapid.IntRange(0, 2).Draw(t, "to")
		before := fmt.Sprintf("%+v", deep(source))
		p, found := Translate(source, products[from].info, products[to].info, products[from].dialect, products[to].dialect, Options{})
		if fmt.Sprintf("%+v", deep(source)) != before {
			t.Fatal("the source was changed")
		}
		for _, q := range p.Pairs {
			checkPair(t, q, found)
		}
	})
}

func deep(s *schema.Schema) (all []string) {
	for _, t := range s.Tables {
		for _, c := range t.Columns {
			all = append(all, fmt.Sprintf("%s %+v", t.Name, *c))
		}
		for _, k := range append([]*schema.Key{t.Primary}, t.Uniques...) {
			if k != nil {
				all = append(all, fmt.Sprintf("%+v", *k))
			}
		}
		for _, x := range t.Indexes {
			all = append(all, fmt.Sprintf("%+v", *x))
		}
	}
	return all
}

func drawSchema(t *rapid.T) *schema.Schema {
	s := &schema.Schema{}
	for i := range rapid.IntRange(1, 4).Draw(t, "tables") {
		table := &schema.Table{Name: schema.Name{Schema: "s", Name: fmt.Sprintf("t%d", i)}}
		for j := range rapid.IntRange(1, 5).Draw(t, "columns") {
			table.Columns = append(table.Columns, &schema.Column{
				Name: fmt.Sprintf("c%d", j), Null: rapid.Bool().Draw(t, "null"),
				Type: schema.Type{
					Kind: rapid.SampledFrom(row.Kinds()).Draw(t, "kind"), Length: int64(rapid.IntRange(0, 3).Draw(t, "length")),
					Scale: rapid.IntRange(-1, 9).Draw(t, "scale"), Precision: rapid.IntRange(0, 64).Draw(t, "precision"),
					Binary: rapid.Bool().Draw(t, "binary"), Unsigned: rapid.Bool().Draw(t, "unsigned"),
				},
				Identity: schema.Identity{Kind: schema.IdentityKind(rapid.IntRange(0, 2).Draw(t, "identity"))},
			})
		}
		key := func(label string) []schema.Part {
			column := rapid.SampledFrom(table.Columns).Draw(t, label)
			return []schema.Part{{
				Column: column.Name, Prefix: rapid.IntRange(0, 1).Draw(t, "prefix") * 9, Descending: rapid.Bool().Draw(t, "descending"),
			}}
		}
		if rapid.Bool().Draw(t, "has primary") {
			table.Primary = &schema.Key{Name: "PRIMARY", Columns: key("primary")}
		}
		for range rapid.IntRange(0, 2).Draw(t, "uniques") {
			table.Uniques = append(table.Uniques, &schema.Key{
				Name: rapid.SampledFrom([]string{"", "u", "t1"}).Draw(t, "name"), Columns: key("unique"),
				Where: rapid.SampledFrom([]string{"", "", "c0 IS NULL"}).Draw(t, "where"),
			})
		}
		for range rapid.IntRange(0, 2).Draw(t, "indexes") {
			table.Indexes = append(table.Indexes, &schema.Index{
				Name: rapid.SampledFrom([]string{"i", "u", "t0"}).Draw(t, "name"), Columns: key("index"),
				Method: rapid.SampledFrom([]string{"", "btree", "gin", "fulltext"}).Draw(t, "method"),
			})
		}
		s.Tables = append(s.Tables, table)
	}
	return s
}

func checkPair(t *rapid.T, q *Pair, found []check.Finding) {
	for _, shapes := range []Shapes{q.Read, q.Load} {
		if shapes.Source.Width() != shapes.Target.Width() || !slices.Equal(shapes.Source.Key, shapes.Target.Key) {
			t.Fatalf("%s: shapes do not fit", q.Source.Name)
		}
		for i, a := range shapes.Source.Columns {
			b := shapes.Target.Columns[i]
			if a.Column.Name != b.Column.Name || a.Column == b.Column || a.Cell != b.Cell || a.Scale != b.Scale || a.Digits != b.Digits {
				t.Fatalf("%s: cell %d differs", q.Source.Name, i)
			}
		}
	}
	lost := len(q.Source.Uniques) - len(q.Target.Uniques) + len(q.Source.Indexes) - len(q.Target.Indexes)
	said, more := 0, 0
	for _, f := range found {
		if f.Table == q.Source.Name && strings.HasPrefix(f.Message, "is left out") {
			said++
		}
		if f.Table == q.Source.Name && strings.HasPrefix(f.Message, "gets an index") {
			more++
		}
	}
	lost += more
	// Two keys of the same name without anything else are told once.
	if lost > 0 && said == 0 || lost < said {
		t.Fatalf("%s: %d keys and indexes are gone, %d are told", q.Source.Name, lost, said)
	}
	if (q.Key == nil) != (len(q.Read.Source.Key) == 0) {
		t.Fatalf("%s: key and shape disagree", q.Source.Name)
	}
}
