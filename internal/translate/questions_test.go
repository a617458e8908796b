package translate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestOnlyWhatMattersIsAsked: little between two databases of one product, lengths alone where their columns hold values of
// any kind, and what the target's types lose where there are two products.
func TestOnlyWhatMattersIsAsked(t *testing.T) {
	literal := featherInfo
	literal.Limits.Literals = true
	for _, test := range []struct {
		from, to driver.Info
		src, dst driver.Dialect
		want     string
	}{
		{shopInfo(), shopInfo(), seal, seal, "[bad-text fractions longest wrong-class]"},
		{literal, literal, feather, feather, "[longest]"},
		{
			shopInfo(), elephantInfo, seal, elephant,
			"[after-9999 bad-enum bad-text before-1 fractions infinite key-is-null longest wrong-class zero-date]",
		},
	} {
		var kinds []driver.FactKind
		for _, q := range Questions(shop(), test.from, test.to, test.src, test.dst, Options{}, 4<<20) {
			for _, some := range q {
				for _, one := range some {
					kinds = append(kinds, one.What)
				}
			}
		}
		slices.Sort(kinds)
		if got := fmt.Sprint(slices.Compact(kinds)); got != test.want {
			t.Errorf("%s to %s: %s, not %s", test.from.Product, test.to.Product, got, test.want)
		}
	}
}

// TestLengthsAreAskedFromWhereTheyMatter: from the length that a column's type has at the target, from the longest value there,
// or from the length that makes a table one to read with care.
func TestLengthsAreAskedFromWhereTheyMatter(t *testing.T) {
	text := schema.Type{Kind: row.Text, Raw: "text"}
	source := &schema.Schema{Tables: []*schema.Table{{
		Name: named("t"), Columns: []*schema.Column{{Name: "k", Type: text}, {Name: "v", Type: text}}, Primary: &schema.Key{Columns: parts("k")},
	}}}
	for _, test := range []struct{ limit, key, value int64 }{{1 << 30, 768, 4 << 20}, {1 << 20, 768, 1 << 20}} {
		info := sealInfo
		info.Limits.Value = test.limit
		q := Questions(source, elephantInfo, info, elephant, seal, Options{}, 4<<20)[named("t")]
		key, _ := q.Above("k")
		if value, asked := q.Above("v"); key != test.key || value != test.value || !asked {
			t.Errorf("a limit of %d: above %d and %d", test.limit, key, value)
		}
	}
}
