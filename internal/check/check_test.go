package check

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func name(n string) schema.Name { return schema.Name{Schema: "shop", Name: n} }

func TestLossesCountWhenValuesAreThere(t *testing.T) {
	date := Loss{Table: name("t"), Column: "day", Loss: driver.Loss{
		Level: driver.Lossy, Message: "cannot hold the zero date", Unless: []driver.FactKind{driver.ZeroDate},
	}}
	long := Loss{Table: name("t"), Column: "code", Target: schema.Type{Kind: row.Text, Length: 100}, Loss: driver.Loss{
		Level: driver.Lossy, Message: "holds at most 100 characters", Unless: []driver.FactKind{driver.Longest},
	}}
	always := Loss{Table: name("t"), Column: "shape", Loss: driver.Loss{Level: driver.Note, Message: "is kept as text"}}
	nan := Loss{Table: name("t"), Column: "x", Loss: driver.Loss{
		Level: driver.Lossy, Message: "cannot hold NaN", Unless: []driver.FactKind{driver.NotANumber},
	}}
	for _, c := range []struct {
		what   string
		loss   Loss
		facts  Facts
		want   driver.Level // empty: no finding
		detail string
	}{
		{"nobody looked", date, nil, driver.Note, "nobody looked whether there are such values"},
		{"looked, nothing", date, Facts{name("t"): nil}, "", ""},
		{"another column", date, Facts{name("t"): {{Column: "night", What: driver.ZeroDate, Count: 1}}}, "", ""},
		{"none after all", date, Facts{name("t"): {{Column: "day", What: driver.ZeroDate}}}, "", ""},
		{"some", date, Facts{name("t"): {{Column: "day", What: driver.ZeroDate, Count: 12, Sample: "17"}}}, driver.Lossy, "12 rows, such as key 17"},
		{"one", date, Facts{name("t"): {{Column: "day", What: driver.ZeroDate, Count: 1, Sample: "17"}}}, driver.Lossy, "1 row, key 17"},
		{"short enough", long, Facts{name("t"): {{Column: "code", What: driver.Longest, Value: 100}}}, "", ""},
		{"perhaps too long", long, Facts{name("t"): {{Column: "code", What: driver.Longest, Value: 300}}}, driver.Lossy, "300 bytes"},
		{"too long", long, Facts{name("t"): {{Column: "code", What: driver.Longest, Value: 2048, Sample: "9"}}}, driver.Forbidden, "2 KiB, key 9"},
		{"refused whatever the consent", nan, Facts{name("t"): {{Column: "x", What: driver.NotANumber, Count: 2}}}, driver.Forbidden, "2 rows"},
		{"always", always, Facts{name("t"): nil}, driver.Note, ""},
	} {
		found := Losses([]Loss{c.loss}, c.facts, 0)
		switch {
		case c.want == "" && len(found) > 0:
			t.Errorf("%s: %+v", c.what, found)
		case c.want != "" && (len(found) != 1 || found[0].Level != c.want || found[0].Detail != c.detail):
			t.Errorf("%s: %+v, want %s %q", c.what, found, c.want, c.detail)
		}
	}
}

func TestValuesThatNoCellSays(t *testing.T) {
	facts := []driver.Fact{
		{Column: "a", What: driver.WrongClass, Count: 2},
		{Column: "b", What: driver.ZeroDate, Count: 1},
		{Column: "c", What: driver.NotANumber, Count: 1},
		{Column: "d", What: driver.BadText},
	}
	told := []Loss{{Table: name("t"), Column: "b", Loss: driver.Loss{Unless: []driver.FactKind{driver.ZeroDate}}}}
	found := Values(name("t"), facts, told)
	if len(found) != 1 || found[0].Column != "a" || !Forbids(found) {
		t.Errorf("%+v", found)
	}
	if found := Long(Facts{name("t"): {{Column: "a", What: driver.Longest, Value: LargestValue + 1}}}, 0); !Forbids(found) {
		t.Error("a value too long to travel was let through")
	}
	if found := Long(Facts{name("t"): {{Column: "a", What: driver.Longest, Value: LargestValue}}}, 1<<30); len(found) > 0 {
		t.Errorf("a value that can travel was refused: %+v", found)
	}
}

func TestRolesAreNamed(t *testing.T) {
	found := Roles(&driver.Database{}, &driver.Database{})
	if len(found) != 10 || !Forbids(found) {
		t.Errorf("%s", Text(found))
	}
	if live := LiveRoles(&driver.Database{}, &driver.Database{}); len(live) != 2 || !Forbids(live) {
		t.Errorf("%s", Text(live))
	}
}

func TestSameDatabase(t *testing.T) {
	a := driver.Info{Server: "s1", Name: "postgres db1/shop", Schema: "public"}
	b, c := a, a
	b.Name, c.Server = "postgres 10.0.0.1/shop", "s2"
	there := &schema.Schema{Tables: []*schema.Table{{Name: name("t")}}}
	for _, k := range []struct {
		what   string
		target driver.Info
		there  *schema.Schema
		same   bool
	}{
		{"equal", a, nil, true},
		{"another name, same tables", b, there, true},
		{"another name, empty", b, &schema.Schema{}, false},
		{"another server", c, there, false},
	} {
		if got := SameDatabase(a, k.target, there.Tables, k.there); Forbids(got) != k.same {
			t.Errorf("%s: %+v", k.what, got)
		}
	}
	if SameDatabase(driver.Info{Name: "x"}, driver.Info{Name: "x"}, nil, nil) != nil {
		t.Error("two servers that say nothing of themselves were taken for one")
	}
}

func TestVersions(t *testing.T) {
	at := func(product, version string) driver.Info { return driver.Info{Product: product, Version: version} }
	for _, c := range []struct {
		from, to driver.Info
		asks     bool
	}{
		{at("p", "15.4 (Debian 15.4-1)"), at("p", "12.1"), true},
		{at("p", "12.22"), at("p", "15.4"), false},
		{at("m", "10.11.6-MariaDB-0+deb12u1"), at("m", "10.6.1-MariaDB"), true},
		{at("m", "10.6.1"), at("m", "10.11"), false},
		{at("m", "10.11"), at("p", "9"), false},
		{at("m", ""), at("m", "x"), false},
	} {
		if got := Asks(Versions(c.from, c.to)); (len(got) > 0) != c.asks {
			t.Errorf("%s to %s: %+v", c.from.Version, c.to.Version, got)
		}
	}
}

func TestOccupiedTargets(t *testing.T) {
	want := &schema.Table{Name: name("t"), Columns: []*schema.Column{{Name: "id", Type: schema.Type{Kind: row.Int}}}}
	there := func(columns ...*schema.Column) *schema.Schema {
		return &schema.Schema{Tables: []*schema.Table{{Name: name("t"), Columns: columns}}}
	}
	id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int}}
	for _, c := range []struct {
		what   string
		there  *schema.Schema
		filled map[schema.Name]bool
		level  driver.Level
	}{
		{"absent", &schema.Schema{}, nil, ""},
		{"empty and alike", there(id), nil, driver.Note},
		{"filled", there(id), map[schema.Name]bool{name("t"): true}, driver.Forbidden},
		{"another kind", there(&schema.Column{Name: "id", Type: schema.Type{Kind: row.Text}}), nil, driver.Forbidden},
		{"no column", there(), nil, driver.Forbidden},
		{"one more that must be filled", there(id, &schema.Column{Name: "x"}), nil, driver.Forbidden},
		{"one more", there(id, &schema.Column{Name: "x", Null: true}), nil, driver.Note},
	} {
		found := Occupied([]*schema.Table{want}, c.there, c.filled)
		if c.level == "" && len(found) > 0 || c.level != "" && (len(found) != 1 || found[0].Level != c.level) {
			t.Errorf("%s: %+v", c.what, found)
		}
	}
}

func TestDenied(t *testing.T) {
	f := Denied(driver.Source, name("t"), "read the values", errors.New("permission denied"), driver.Refused)
	if f.Rule != "right" || f.Level != driver.Forbidden || !strings.Contains(f.Do, "source.url") {
		t.Errorf("%+v", f)
	}
}

func TestNoticesOfAnUnknownLevelForbid(t *testing.T) {
	if !Forbids(Notices([]driver.Notice{{Rule: "odd", Level: "grave"}})) {
		t.Error("a level nobody knows was let through")
	}
}

func TestNotLive(t *testing.T) {
	got := NotLive([]Finding{
		{Level: driver.NotLive, Table: name("a"), Message: "is below a cascade"},
		{Level: driver.NotLive, Table: name("a"), Message: "is not logged"},
		{Level: driver.Lossy, Table: name("b")},
	})
	if len(got) != 1 || got[name("a")] != "is below a cascade" {
		t.Errorf("%v", got)
	}
}

const wanted = `Forbids the move (1)
  shop.birds: has a name longer than the target's 63 bytes. Rename it at the source, or skip the table.

Would be lost: needs your consent (8)
  4 tables, 5 places (shop.a.note, shop.a.text, shop.b.note and 2 more): has a default in the source's own words. Let the application give the value.
  the target: runs an older release. Update it.
  shop.orders
    index words: is left out: it is a fulltext index. Make another.
    day: cannot hold the zero date (12 rows, such as key 17). Accept it.

To know (1)
  shop.orders.total: takes negative numbers.
`

func TestText(t *testing.T) {
	own := func(table, column string) Finding {
		return Finding{
			Rule: "default", Level: driver.Lossy, Table: name(table), Column: column, Detail: table + column,
			Message: "has a default in the source's own words", Do: "Let the application give the value.",
		}
	}
	findings := []Finding{
		{Rule: "unsigned", Level: driver.Note, Table: name("orders"), Column: "total", Message: "takes negative numbers"},
		own("d", "note"), own("a", "text"), own("a", "note"), own("b", "note"), own("c", "note"),
		{Rule: "zero-date", Level: driver.Lossy, Table: name("orders"), Column: "day", Message: "cannot hold the zero date", Detail: "12 rows, such as key 17", Do: "Accept it."},
		{Rule: "index", Level: driver.Lossy, Table: name("orders"), Object: "index words", Message: "is left out: it is a fulltext index", Do: "Make another."},
		{Rule: "older-release", Level: driver.Lossy, Object: "the target", Message: "runs an older release.", Do: "Update it."},
		{Rule: "name", Level: driver.Forbidden, Table: name("birds"), Message: "has a name longer than the target's 63 bytes", Do: "Rename it at the source, or skip the table."},
	}
	if got := Text(findings); got != wanted {
		t.Errorf("got\n%s\nwant\n%s", got, wanted)
	}
	if Text(nil) != "" {
		t.Error("nothing is not empty")
	}
}

// The order of findings and their text do not depend on the order they were found in, and every place of a forbidding
// finding is shown or counted.
func TestTextIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Finding {
			return Finding{
				Rule:    rapid.SampledFrom([]string{"a", "b"}).Draw(t, "rule"),
				Level:   rapid.SampledFrom([]driver.Level{driver.Note, driver.Lossy, driver.Forbidden, driver.NotLive}).Draw(t, "level"),
				Table:   name(rapid.SampledFrom([]string{"t", "u", "v"}).Draw(t, "table")),
				Column:  rapid.SampledFrom([]string{"", "c", "d"}).Draw(t, "column"),
				Message: rapid.SampledFrom([]string{"is one", "is two"}).Draw(t, "message"),
				Do:      rapid.SampledFrom([]string{"", "Do."}).Draw(t, "do"),
			}
		}), 0, 12).Draw(t, "findings")
		turned := slices.Clone(findings)
		slices.Reverse(turned)
		if Text(findings) != Text(turned) {
			t.Fatalf("%s\nand\n%s", Text(findings), Text(turned))
		}
		sorted := Sort(slices.Clone(findings))
		if again := Sort(slices.Clone(sorted)); !slices.Equal(sorted, again) {
			t.Fatal("sorting again changed the order")
		}
		for _, f := range sorted {
			if !strings.Contains(Text(findings), f.Message) {
				t.Fatalf("%+v is not told", f)
			}
		}
	})
}
