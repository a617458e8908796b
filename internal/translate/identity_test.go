package translate

import (
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func TestIdentities(t *testing.T) {
	table := func(primary, index []string) *schema.Schema {
		made := &schema.Table{Name: schema.Name{Schema: "public", Name: "t"}, Columns: []*schema.Column{
			{Name: "a", Type: schema.Type{Kind: row.Int}, Identity: schema.Identity{Kind: schema.Always, Increment: 10}},
			{Name: "b", Type: schema.Type{Kind: row.Int}, Identity: schema.Identity{Kind: schema.ByDefault}},
		}, Primary: &schema.Key{Columns: parts(primary...)}}
		if index != nil {
			made.Indexes = []*schema.Index{{Name: "i", Columns: parts(index...)}}
		}
		return &schema.Schema{Tables: []*schema.Table{made}}
	}
	for _, c := range []struct {
		primary, index []string
		info           driver.Info
		dialect        fake
		want           string
	}{
		{[]string{"x"}, nil, sealInfo, seal, "a"},
		{[]string{"a"}, nil, sealInfo, seal, "a"},
		{[]string{"b", "a"}, nil, sealInfo, seal, "b"},
		{[]string{"b", "a"}, []string{"a"}, sealInfo, seal, "a"},
		{[]string{"a"}, nil, featherInfo, feather, "a"},
		{[]string{"a", "b"}, nil, featherInfo, feather, ""},
	} {
		p, found := Translate(table(c.primary, c.index), elephantInfo, c.info, elephant, c.dialect, Options{})
		got := ""
		for _, column := range p.Pairs[0].Target.Columns {
			if column.Identity.Kind != schema.None {
				got += column.Name
			}
		}
		if got != c.want || len(told(found, "identity")) == 0 {
			t.Errorf("key %v, index %v in %s: %q, want %q; %q", c.primary, c.index, c.info.Product, got, c.want, told(found, "identity"))
		}
	}
}

// A free generator that one column alone draws from is that column's.
func TestFreeGenerators(t *testing.T) {
	table := func(name, words string) *schema.Table {
		return &schema.Table{
			Name: schema.Name{Schema: "public", Name: name}, Primary: &schema.Key{Columns: parts("id")},
			Columns: []*schema.Column{{
				Name: "id", Type: schema.Type{Kind: row.Int}, Default: &schema.Default{Kind: schema.Expression, Text: words},
			}},
		}
	}
	seq := func(name string) *schema.Sequence {
		return &schema.Sequence{Name: schema.Name{Schema: "public", Name: name}, Increment: 1}
	}
	source := &schema.Schema{
		Tables: []*schema.Table{
			table("a", "nextval('a_seq'::regclass)"), table("b", "nextval('public.\"B\"'::regclass)"),
			table("c", "nextval('shared'::regclass)"), table("d", "nextval('shared'::regclass)"),
		},
		Sequences: []*schema.Sequence{seq("a_seq"), seq("B"), seq("shared")},
	}
	p, found := Translate(source, elephantInfo, sealInfo, elephant, seal, Options{})
	expect(t, found, "sequence", "loss sequence public.shared")
	expect(t, found, "default", "loss public.c.id", "loss public.d.id")
	for i, want := range []schema.IdentityKind{schema.ByDefault, schema.ByDefault, schema.None, schema.None} {
		if got := p.Pairs[i].Target.Columns[0]; got.Identity.Kind != want || got.Default != nil {
			t.Errorf("%s: %+v", p.Pairs[i].Target.Name, got)
		}
	}
	if s := p.Source(source).Sequences; len(s) != 2 {
		t.Errorf("generators to be read: %+v", s)
	}
	g, ok := p.Generator(driver.Generator{Sequence: source.Sequences[0].Name, Next: "7"})
	if !ok || g.Table != p.Pairs[0].Target.Name || g.Column != "id" || g.Next != "7" || g.Sequence.Name != "" {
		t.Errorf("%+v", g)
	}
	if _, ok := p.Generator(driver.Generator{Sequence: source.Sequences[2].Name}); ok {
		t.Error("a generator that is not at the target was to be set")
	}
}

// A foreign key that sets NULL where none may be fails at the source; not every product takes it.
func TestSetNullOfNotNull(t *testing.T) {
	source := shop()
	source.Tables[1].Foreign[0].OnDelete = schema.SetNull
	p, found := Translate(source, shopInfo(), elephantInfo, seal, elephant, Options{})
	if k := p.Pair(named("orders")).Target.Foreign[0]; k.OnDelete != schema.NoAction {
		t.Errorf("%+v", k)
	}
	expect(t, found, "foreign-key", "loss shop.orders, foreign key gone", "note shop.orders, foreign key buyer")
}

func TestChecksOfGenerators(t *testing.T) {
	source := &schema.Schema{Tables: []*schema.Table{{
		Name:    schema.Name{Schema: "main", Name: "t"},
		Columns: []*schema.Column{{Name: "id", Type: schema.Type{Kind: row.Int}, Identity: schema.Identity{Kind: schema.ByDefault}}},
		Primary: &schema.Key{Columns: parts("id")}, Checks: []*schema.Check{{Name: "k", Expression: "id <> 13"}},
	}}}
	p, found := Translate(source, featherInfo, sealInfo, feather, seal, Options{})
	if len(p.Pairs[0].Target.Checks) != 1 || len(found) > 0 {
		t.Errorf("%v", found)
	}
	info := sealInfo
	info.Limits.PlainChecks = true
	p, found = Translate(source, featherInfo, info, feather, seal, Options{})
	if len(p.Pairs[0].Target.Checks) != 0 {
		t.Error("a check that the target refuses was carried")
	}
	expect(t, found, "check", "loss main.t, check k")
}

// An unsigned key with a generator becomes a signed one where the product has no other, and so do those that point to it.
func TestUnsignedGenerators(t *testing.T) {
	unsigned := schema.Type{Kind: row.Int, Precision: 64, Unsigned: true}
	table := func(name, parent string) *schema.Table {
		made := &schema.Table{Name: named(name), Columns: []*schema.Column{{Name: "id", Type: unsigned}, {Name: "n", Type: unsigned}}, Primary: &schema.Key{Columns: parts("id")}}
		if parent == "" {
			made.Columns[0].Identity.Kind = schema.ByDefault
		} else {
			made.Foreign = []*schema.ForeignKey{{Name: name, Columns: []string{"id"}, Parent: named(parent), ParentCols: []string{"id"}}}
		}
		return made
	}
	numbers := seal
	numbers.carry = func(t schema.Type, _ bool) (schema.Type, []driver.Loss) {
		if t.Unsigned {
			return schema.Type{Kind: row.Decimal, Precision: 20}, nil
		}
		return t, nil
	}
	source := &schema.Schema{Tables: []*schema.Table{table("a", ""), table("b", "a"), table("c", "b")}}
	p, found := Translate(source, sealInfo, elephantInfo, seal, numbers, Options{})
	for _, q := range p.Pairs {
		if q.Target.Columns[0].Type.Kind != row.Int || q.Target.Columns[1].Type.Kind != row.Decimal || len(q.Target.Foreign) != len(q.Source.Foreign) {
			t.Errorf("%s: %+v", q.Target.Name, q.Target.Columns[0].Type)
		}
	}
	if p.Pairs[0].Target.Columns[0].Identity.Kind == schema.None {
		t.Error("the generator is gone")
	}
	expect(t, found, "signed", "note shop.a.id", "note shop.b.id", "note shop.c.id")
}
