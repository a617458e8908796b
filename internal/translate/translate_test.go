package translate

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func named(name string) schema.Name { return schema.Name{Schema: "shop", Name: name} }

func parts(columns ...string) []schema.Part {
	all := make([]schema.Part, len(columns))
	for i, c := range columns {
		all[i].Column = c
	}
	return all
}

// shop is a schema with something of everything, in the words of a product like MariaDB.
func shop() *schema.Schema {
	integer := schema.Type{Kind: row.Int, Precision: 32, Raw: "int(11)"}
	orders := &schema.Table{
		Name: named("orders"), Number: 2, Rows: 10, Bytes: 1000, Comment: "what was bought",
		Columns: []*schema.Column{
			{Name: "id", Type: integer, Identity: schema.Identity{Kind: schema.ByDefault}},
			{Name: "customer", Type: integer},
			{Name: "code", Type: schema.Type{Kind: row.Text, Length: 20, Collation: "utf8mb4_general_ci", Raw: "varchar(20)"}},
			{Name: "state", Type: schema.Type{Kind: row.Text, Values: []string{"new", "paid"}, Raw: "enum('new','paid')"}, Default: &schema.Default{Text: "new"}},
			{Name: "day", Type: schema.Type{Kind: row.Date, Raw: "date"}, Default: &schema.Default{Text: "0000-00-00"}},
			{Name: "total", Type: schema.Type{Kind: row.Decimal, Precision: 10, Scale: 2, Raw: "decimal(10,2)"}},
			{Name: "double_total", Type: schema.Type{Kind: row.Decimal, Precision: 11, Scale: 2}, Null: true, Generated: &schema.Generated{Expression: "total * 2", Stored: true}},
			{Name: "changed", Type: schema.Type{Kind: row.Timestamp, Scale: 3}, OnUpdate: "current_timestamp(3)", Default: &schema.Default{Kind: schema.Now}},
			{Name: "note", Type: schema.Type{Kind: row.Text, Raw: "longtext"}, Null: true, Comment: "by the customer", Default: &schema.Default{Kind: schema.Expression, Text: "concat('a','b')"}},
		},
		Primary: &schema.Key{Name: "PRIMARY", Columns: parts("id"), Method: "BTREE"},
		Uniques: []*schema.Key{{Name: "code", Columns: parts("code"), Method: "BTREE"}},
		Indexes: []*schema.Index{
			{Name: "by_customer", Columns: parts("customer"), Method: "btree"},
			{Name: "words", Columns: parts("note"), Method: "fulltext"},
			{Name: "start", Columns: []schema.Part{{Column: "note", Prefix: 10}}, Method: "btree"},
			{Name: "begin", Columns: []schema.Part{{Column: "code", Prefix: 10}}, Method: "btree"},
			{Name: "customers", Columns: parts("day", "total"), Method: "btree"},
		},
		Foreign: []*schema.ForeignKey{
			{Name: "buyer", Columns: []string{"customer"}, Parent: named("customers"), ParentCols: []string{"id"}, OnDelete: schema.Cascade},
			{Name: "gone", Columns: []string{"customer"}, Parent: named("missing"), ParentCols: []string{"id"}},
		},
		Checks: []*schema.Check{
			{Name: "positive", Expression: "`total` >= 0"},
			{Name: "odd", Expression: "`note` like 'x%'"},
		},
	}
	customers := &schema.Table{
		Name: named("customers"), Number: 1, Rows: 3, Bytes: -1,
		Columns: []*schema.Column{
			{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 64, Raw: "bigint(20)"}},
			{Name: "mail", Type: schema.Type{Kind: row.Text, Length: 100, Binary: true, Collation: "utf8mb4_bin"}, Null: true},
		},
		Primary: &schema.Key{Name: "PRIMARY", Columns: parts("id")},
	}
	return &schema.Schema{
		Tables:    []*schema.Table{customers, orders},
		Sequences: []*schema.Sequence{{Name: named("tickets"), Start: 1, Increment: 1}},
		Others: []schema.Object{
			{What: "view", Name: named("open_orders")},
			{What: "trigger", Name: named("audit"), Table: named("orders")},
			{What: "event", Name: named("nightly")},
			{What: "teapot", Name: named("tea")},
		},
	}
}

func shopInfo() driver.Info { i := sealInfo; return i }

// told returns the findings of a rule, as "level place".
func told(found []check.Finding, rule string) []string {
	var places []string
	for _, f := range found {
		if f.Rule == rule {
			places = append(places, string(f.Level)+" "+f.Place())
		}
	}
	return places
}

func expect(t *testing.T, found []check.Finding, rule string, places ...string) {
	t.Helper()
	if got := told(found, rule); !slices.Equal(got, places) {
		t.Errorf("findings %s:\n got %q\nwant %q", rule, got, places)
	}
}

func TestToAnotherProduct(t *testing.T) {
	source := shop()
	p, found := Translate(source, shopInfo(), elephantInfo, seal, elephant, Options{})
	orders := p.Pair(named("orders"))
	if orders == nil || orders.Target.Name != (schema.Name{Schema: "public", Name: "orders"}) || orders.Target.Number != 2 {
		t.Fatalf("pair of orders: %+v", orders)
	}
	target := orders.Target
	if len(target.Columns) != 9 || target.Column("id").Identity.Kind != schema.ByDefault || target.Column("double_total").Generated != nil {
		t.Errorf("columns: %+v", target.Columns)
	}
	if d := target.Column("state").Default; d == nil || d.Text != "new" {
		t.Error("a literal default did not travel")
	}
	if target.Column("day").Default != nil || target.Column("note").Default != nil {
		t.Error("a default that means nothing at the target travelled")
	}
	if d := target.Column("changed").Default; d == nil || d.Kind != schema.Now {
		t.Error("the default now did not travel")
	}
	expect(t, found, "default", "loss shop.orders.day", "loss shop.orders.note")
	expect(t, found, "generated", "loss shop.orders.double_total")
	expect(t, found, "on-update", "loss shop.orders.changed")
	expect(t, found, "collation", "loss shop.orders.code, unique key code")
	expect(t, found, "index", "loss shop.orders, index start", "loss shop.orders, index words")
	expect(t, found, "renamed", "note shop.orders, index customers")
	expect(t, found, "foreign-key", "loss shop.orders, foreign key gone")
	expect(t, found, "check", "loss shop.orders, check odd")
	expect(t, found, "sequence", "loss sequence shop.tickets")
	expect(t, found, "not-carried", "loss event shop.nightly", "loss teapot shop.tea", "loss view shop.open_orders", "loss shop.orders, trigger audit")
	expect(t, found, "foreign-type", "note shop.orders.customer")
	expect(t, found, "zero-date", "note shop.orders.day")
	if got := target.Column("customer").Type.Precision; got != 64 {
		t.Errorf("the child's column has %d bits", got)
	}
	if x := target.Indexes[1]; x.Columns[0].Prefix != 0 {
		t.Errorf("an index of the beginning of a short column must become a whole one: %+v", x)
	}
	var indexes, checks []string
	for _, x := range target.Indexes {
		indexes = append(indexes, x.Name)
	}
	for _, k := range target.Checks {
		checks = append(checks, k.Name+": "+k.Expression)
	}
	if want := []string{"by_customer", "begin", "orders_customers"}; !slices.Equal(indexes, want) {
		t.Errorf("indexes %q", indexes)
	}
	if want := []string{`positive: "total" >= 0`, `orders_state_values: "state" IN ('new', 'paid')`}; !slices.Equal(checks, want) {
		t.Errorf("checks %q", checks)
	}
	if target.Primary.Name != "orders_pkey" || len(target.Foreign) != 1 || target.Foreign[0].Parent.Schema != "public" {
		t.Errorf("keys: %+v %+v", target.Primary, target.Foreign)
	}
	if len(orders.Secondary) != 1 || orders.Secondary[0] != target.Uniques[0] {
		t.Errorf("secondary keys: %+v", orders.Secondary)
	}
	if !reflect.DeepEqual(source, shop()) {
		t.Error("the source's schema was changed")
	}
}

func TestShapes(t *testing.T) {
	p, _ := Translate(shop(), shopInfo(), elephantInfo, seal, elephant, Options{})
	orders := p.Pair(named("orders"))
	if orders.Read.Source.Width() != 9 || orders.Load.Target.Width() != 9 {
		t.Errorf("to another product a computed column travels: %d read, %d written", orders.Read.Source.Width(), orders.Load.Target.Width())
	}
	for i, want := range []struct {
		cell          row.Kind
		scale, digits int
	}{
		{row.Int, 0, 0},
		{row.Int, 0, 0},
		{row.Text, 0, 0},
		{row.Text, 0, 0},
		{row.Date, 0, 0},
		{row.Decimal, 2, 0},
		{row.Decimal, 2, 0},
		{row.Timestamp, 0, 3},
		{row.Text, 0, 0},
	} {
		a, b := orders.Read.Source.Columns[i], orders.Read.Target.Columns[i]
		if a.Cell != want.cell || a.Scale != want.scale || a.Digits != want.digits {
			t.Errorf("cell of %s: %s, %d, %d", a.Column.Name, a.Cell, a.Scale, a.Digits)
		}
		if a.Cell != b.Cell || a.Scale != b.Scale || a.Digits != b.Digits || a.Column.Name != b.Column.Name || a.Column == b.Column {
			t.Errorf("the two sides of %s: %+v %+v", a.Column.Name, a, b)
		}
	}
	if !slices.Equal(orders.Read.Source.Key, []int{0}) || orders.Key != orders.Source.Primary {
		t.Errorf("key: %v", orders.Read.Source.Key)
	}
	same, _ := Translate(shop(), shopInfo(), shopInfo(), seal, seal, Options{})
	if q := same.Pair(named("orders")); q.Read.Source.Width() != 9 || q.Load.Source.Width() != 8 {
		t.Errorf("within a product a computed column is read and not written: %d, %d", q.Read.Source.Width(), q.Load.Source.Width())
	}
}

func TestScalesAndDigits(t *testing.T) {
	decimal := func(precision, scale int) schema.Type {
		return schema.Type{Kind: row.Decimal, Precision: precision, Scale: scale}
	}
	for _, c := range []struct {
		s, d schema.Type
		want int
	}{
		{decimal(10, 2), decimal(12, 4), 2},
		{decimal(0, -1), decimal(65, 30), 30},
		{decimal(0, -1), decimal(0, -1), -1},
		{decimal(10, 2), decimal(0, -1), 2},
		{decimal(200, 100), decimal(65, 30), 30},
		{decimal(3, -2), decimal(5, 0), 0},
		{decimal(0, -1), schema.Type{Kind: row.Text}, -1},
		{decimal(10, 2), schema.Type{Kind: row.Text}, 2},
		{schema.Type{Kind: row.Int}, decimal(20, 0), 0},
	} {
		if got := scale(c.s, c.d); got != c.want {
			t.Errorf("%+v into %+v: scale %d, want %d", c.s, c.d, got, c.want)
		}
	}
	tr := &translator{to: elephantInfo}
	moment := func(digits int) schema.Type { return schema.Type{Kind: row.Timestamp, Scale: digits} }
	for _, c := range []struct {
		s, d schema.Type
		want int
	}{
		{moment(3), moment(6), 3},
		{moment(9), moment(9), 6},
		{moment(6), moment(0), 0},
		{moment(4), schema.Type{Kind: row.Text}, 4},
		{schema.Type{Kind: row.Date, Scale: 6}, moment(6), 0},
	} {
		if got := tr.digits(c.s, c.d); got != c.want {
			t.Errorf("%+v into %+v: %d digits, want %d", c.s, c.d, got, c.want)
		}
	}
}

// Between two databases of one product the target's tables are the source's, word for word.
func TestSameProductLosesNothing(t *testing.T) {
	source := &schema.Schema{
		Types:     []*schema.TypeDef{{Name: schema.Name{Schema: "public", Name: "mood"}, What: "enum", Values: []string{"sad"}}},
		Sequences: []*schema.Sequence{{Name: schema.Name{Schema: "public", Name: "free"}, Increment: 5}},
		Tables: []*schema.Table{{
			Name: schema.Name{Schema: "public", Name: "t"}, Comment: "a table", Options: schema.Options{Unlogged: true, Collation: "C"},
			Columns: []*schema.Column{
				{
					Name: "id", Comment: "the key", Type: schema.Type{Kind: row.Int, Raw: "bigint"},
					Identity: schema.Identity{Kind: schema.Always, Increment: 7, Sequence: schema.Name{Schema: "public", Name: "t_id_seq"}},
				},
				{Name: "mood", Type: schema.Type{Kind: row.Text, Values: []string{"sad"}, Def: schema.Name{Schema: "public", Name: "mood"}, Raw: "mood"}},
				{Name: "tag", Type: schema.Type{Kind: row.Text, Collation: "de_DE", Raw: "text"}, Hidden: true, Default: &schema.Default{Kind: schema.Expression, Text: "lower('A')"}},
				{Name: "big", Type: schema.Type{Kind: row.Int}, Null: true, Generated: &schema.Generated{Expression: "id * 2"}},
			},
			Primary: &schema.Key{Name: "t_pk", Columns: []schema.Part{{Column: "id", Descending: true}}, Method: "btree", Raw: "raw"},
			Uniques: []*schema.Key{
				{Name: "u", Columns: parts("tag"), Deferrable: true, NullsEqual: true, Constraint: true},
				{Name: "v", Columns: []schema.Part{{Expression: "lower(tag)", OpClass: "text_pattern_ops"}}, Where: "id > 3"},
			},
			Indexes: []*schema.Index{
				{Name: "g", Columns: parts("tag"), Method: "gin", Include: []string{"id"}, Where: "tag ~ 'x'", Raw: "CREATE INDEX g"},
			},
			Foreign: []*schema.ForeignKey{{
				Name: "self", Columns: []string{"id"}, Parent: schema.Name{Schema: "public", Name: "t"}, ParentCols: []string{"id"},
				OnDelete: schema.SetDefault, MatchFull: true, Deferrable: true, Deferred: true, Unproven: true,
			}},
			Checks: []*schema.Check{{Name: "c", Expression: "tag ~ 'x'", Unproven: true}},
		}},
	}
	p, found := Translate(source, elephantInfo, elephantInfo, elephant, elephant, Options{})
	if len(found) > 0 {
		t.Errorf("findings: %s", check.Text(found))
	}
	if !reflect.DeepEqual(p.Target(), source) {
		t.Errorf("the target is another: %+v", p.Target().Tables[0])
	}
	if g, ok := p.Generator(driver.Generator{Table: source.Tables[0].Name, Column: "id", Next: "8"}); !ok || g.Next != "8" || g.Sequence.Name != "t_id_seq" {
		t.Errorf("generator of a column: %+v", g)
	}
	if g, ok := p.Generator(driver.Generator{Sequence: source.Sequences[0].Name}); !ok || g.Sequence.Name != "free" {
		t.Errorf("free generator: %+v", g)
	}
	if len(p.CreateSchemas()) != 0 {
		t.Error("the default schema was planned")
	}
}

func TestSameProductInAnotherSchema(t *testing.T) {
	source := &schema.Schema{
		Types: []*schema.TypeDef{{Name: schema.Name{Schema: "app", Name: "mood"}, What: "enum"}},
		Tables: []*schema.Table{{
			Name: schema.Name{Schema: "app", Name: "t"},
			Columns: []*schema.Column{
				{Name: "id", Type: schema.Type{Kind: row.Int}, Default: &schema.Default{Kind: schema.Expression, Text: "nextval('app.s'::regclass)"}},
				{Name: "m", Type: schema.Type{Kind: row.Text, Def: schema.Name{Schema: "app", Name: "mood"}, Raw: "app.mood"}},
			},
		}},
	}
	p, found := Translate(source, elephantInfo, elephantInfo, elephant, elephant, Options{Schema: "Neu"})
	m := p.Pairs[0].Target.Column("m").Type
	if m.Def.Schema != "Neu" || m.Raw != `"Neu".mood` || p.Types[0].Name.Schema != "Neu" {
		t.Errorf("own type: %+v", m)
	}
	expect(t, found, "schema-in-expression", "forbidden app.t.id")
	if s := p.CreateSchemas(); len(s) != 1 || s[0].SQL != `CREATE SCHEMA IF NOT EXISTS "Neu"` {
		t.Errorf("schemas: %+v", s)
	}
}

func TestSeveralSchemas(t *testing.T) {
	source := &schema.Schema{}
	for _, s := range []string{"a", "b"} {
		source.Tables = append(source.Tables, &schema.Table{Name: schema.Name{Schema: s, Name: "t"}, Columns: []*schema.Column{{Name: "id"}}})
	}
	p, found := Translate(source, sealInfo, elephantInfo, seal, elephant, Options{})
	if len(found) > 0 || p.Pairs[1].Target.Name.Schema != "b" || len(p.Schemas) != 2 {
		t.Errorf("several schemas: %+v %v", p.Schemas, found)
	}
	_, found = Translate(source, sealInfo, featherInfo, seal, feather, Options{})
	expect(t, found, "schemas", "forbidden ")
	_, found = Translate(source, sealInfo, elephantInfo, seal, elephant, Options{Schema: "one"})
	expect(t, found, "name", "forbidden b.t")
	only := func(n schema.Name) bool { return n.Schema == "b" }
	p, found = Translate(source, sealInfo, featherInfo, seal, feather, Options{Moved: only})
	if len(p.Pairs) != 1 || p.Pairs[0].Target.Name.Schema != "main" || check.Forbids(found) {
		t.Errorf("one schema left: %+v %v", p.Pairs, found)
	}
}

func TestNames(t *testing.T) {
	table := func(name string, columns ...string) *schema.Table {
		made := &schema.Table{Name: schema.Name{Schema: "main", Name: name}}
		for _, c := range columns {
			made.Columns = append(made.Columns, &schema.Column{Name: c, Type: schema.Type{Kind: row.Int}})
		}
		return made
	}
	source := &schema.Schema{Tables: []*schema.Table{
		table("Orders", "a", "A"), table("orders", "a"), table("🐦", "a"), table(strings.Repeat("ä", 40), "a"),
		table("", "a"), table("x", "blank "), table("sqlite_y", "a"), table("z", strings.Repeat("n", 65)),
	}}
	_, found := Translate(source, featherInfo, elephantInfo, feather, elephant, Options{})
	expect(t, found, "name", "forbidden main.", "forbidden main.z."+strings.Repeat("n", 65), "forbidden main."+strings.Repeat("ä", 40))
	_, found = Translate(source, featherInfo, sealInfo, feather, seal, Options{})
	expect(t, found, "name", "forbidden main.", "forbidden main.Orders.A", "forbidden main.x.blank ",
		"forbidden main.z."+strings.Repeat("n", 65), "forbidden main.🐦")
	_, found = Translate(source, elephantInfo, featherInfo, elephant, feather, Options{})
	expect(t, found, "name", "forbidden main.", "forbidden main.Orders.A", "forbidden main.orders", "forbidden main.sqlite_y")
}

// Names of indexes and constraints always fit, never meet, and are the same the next time.
func TestTakenNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := rapid.SampledFrom([]driver.Limits{elephantInfo.Limits, sealInfo.Limits, featherInfo.Limits}).Draw(t, "limits")
		letters := rapid.SampledFrom([]string{"a", "A", "ä", "🐦", "_", " ", "x", "sqlite_"})
		word := func(label string) string {
			return strings.Join(rapid.SliceOfN(letters, 0, 50).Draw(t, label), "")
		}
		var wanted [][2]string
		for range rapid.IntRange(1, 12).Draw(t, "names") {
			w := [2]string{word("table"), word("name")}
			wanted = append(wanted, w, w)
		}
		run := func() (got []string) {
			n := newNames(limits)
			for _, w := range wanted {
				got = append(got, n.take(schema.Name{Schema: "s", Name: w[0]}, constraintRoom, w[1]))
			}
			return got
		}
		first, seen := run(), map[string]bool{}
		n := newNames(limits)
		for _, name := range first {
			if why := n.unfit(name); why != "" {
				t.Fatalf("%q %s", name, why)
			}
			if fold := n.foldColumn(name); seen[fold] {
				t.Fatalf("%q twice", name)
			} else {
				seen[fold] = true
			}
		}
		if !slices.Equal(first, run()) {
			t.Fatal("other names the second time")
		}
	})
}

func TestFactsDecide(t *testing.T) {
	day := func(facts ...driver.Fact) (*Plan, []check.Finding) {
		return Translate(shop(), shopInfo(), elephantInfo, seal, elephant, Options{Facts: check.Facts{named("orders"): facts}})
	}
	_, found := day()
	expect(t, found, "zero-date")
	p, found := day(driver.Fact{Column: "day", What: driver.ZeroDate, Count: 12, Sample: "17"})
	expect(t, found, "zero-date", "loss shop.orders.day")
	expect(t, found, "becomes-null", "loss shop.orders.day")
	orders := p.Pair(named("orders"))
	if c := orders.Load.Source.Columns[4]; !c.Lenient || !orders.Target.Column("day").Null || !orders.Load.Target.Columns[4].Lenient {
		t.Errorf("an accepted loss must make NULL: %+v", c)
	}
	if orders.Source.Column("day").Null {
		t.Error("the source's column was changed")
	}
	_, found = day(driver.Fact{Column: "code", What: driver.BadText, Count: 1})
	expect(t, found, "bad-text", "forbidden shop.orders.code")
	p, found = day(driver.Fact{Column: "state", What: driver.BadEnum, Count: 1})
	expect(t, found, "enum", "loss shop.orders.state")
	if k := p.Pair(named("orders")).Target.Checks; len(k) != 1 {
		t.Errorf("a check that rows break was carried: %+v", k)
	}
	_, found = day(driver.Fact{Column: "note", What: driver.Longest, Value: 100 << 20, Sample: "3"})
	expect(t, found, "too-long", "forbidden shop.orders.note")
}

// Text without a bound, as PostgreSQL's tables have it, meets a product whose keys need one.
func TestUnboundedTextInKeys(t *testing.T) {
	text := schema.Type{Kind: row.Text, Binary: true}
	source := &schema.Schema{Tables: []*schema.Table{{
		Name: schema.Name{Schema: "public", Name: "t"},
		Columns: []*schema.Column{
			{Name: "key", Type: text}, {Name: "looked_up", Type: text, Null: true}, {Name: "plain", Type: text}, {Name: "words", Type: text},
		},
		Primary: &schema.Key{Name: "t_pkey", Columns: parts("key")},
		Indexes: []*schema.Index{
			{Name: "i", Columns: parts("looked_up"), Method: "btree"}, {Name: "w", Columns: parts("words"), Method: "gin"},
		},
	}}}
	facts := check.Facts{source.Tables[0].Name: {{Column: "key", What: driver.Longest, Value: 700}}}
	p, found := Translate(source, elephantInfo, sealInfo, elephant, seal, Options{Facts: facts})
	target := p.Pairs[0].Target
	lengths := map[string]int64{"key": 768, "looked_up": 0, "plain": 0, "words": 0}
	for name, want := range lengths {
		if got := target.Column(name).Type.Length; got != want {
			t.Errorf("%s has length %d, want %d", name, got, want)
		}
	}
	if x := target.Indexes; len(x) != 1 || x[0].Columns[0].Prefix != prefixCharacters {
		t.Errorf("indexes: %+v", x)
	}
	expect(t, found, "longest")
	expect(t, found, "index", "loss public.t, index w")
	facts[source.Tables[0].Name][0].Value = 4000
	_, found = Translate(source, elephantInfo, sealInfo, elephant, seal, Options{Facts: facts})
	expect(t, found, "longest", "forbidden public.t.key")
}

// A product that indexes text without a bound as it is keeps whole indexes, also where it knows prefixes.
func TestWholeIndexesStayWhole(t *testing.T) {
	source := &schema.Schema{Tables: []*schema.Table{{
		Name:    schema.Name{Schema: "main", Name: "t"},
		Columns: []*schema.Column{{Name: "a", Type: schema.Type{Kind: row.Text, Binary: true}}},
		Indexes: []*schema.Index{{Name: "i", Columns: parts("a")}},
	}}}
	info := elephantInfo
	info.Limits.Features |= driver.PrefixIndexes
	p, found := Translate(source, featherInfo, info, feather, elephant, Options{})
	if x := p.Pairs[0].Target.Indexes; len(x) != 1 || x[0].Columns[0].Prefix != 0 || len(found) > 0 {
		t.Errorf("%+v %v", x[0], found)
	}
}

func TestDomainsBecomeChecks(t *testing.T) {
	year := schema.Name{Schema: "public", Name: "year"}
	source := &schema.Schema{
		Types: []*schema.TypeDef{{Name: year, What: "domain", Null: true, Checks: []*schema.Check{
			{Name: "year_check", Expression: "((VALUE >= 1901) AND (VALUE <= 2155))"},
		}}},
		Tables: []*schema.Table{{
			Name:    schema.Name{Schema: "public", Name: "film"},
			Columns: []*schema.Column{{Name: "release_year", Type: schema.Type{Kind: row.Int, Def: year, Raw: "year"}, Null: true}},
		}},
	}
	p, found := Translate(source, elephantInfo, sealInfo, elephant, seal, Options{})
	k := p.Pairs[0].Target.Checks
	if len(k) != 1 || k[0].Name != "film_release_year_year_check" || k[0].Expression != "(`release_year` >= 1901) AND (`release_year` <= 2155)" {
		t.Errorf("checks: %+v", k)
	}
	expect(t, found, "own-type", "note type public.year")
	if len(p.Types) != 0 || p.Pairs[0].Target.Columns[0].Type.Def.Name != "" {
		t.Error("a type of one product was planned for another")
	}
}
