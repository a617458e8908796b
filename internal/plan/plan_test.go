package plan

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// keyed is a table that may be moved live.
func keyed(s, n string) *schema.Table {
	return &schema.Table{
		Name: schema.Name{Schema: s, Name: n}, Rows: 10, Bytes: 1000,
		Columns: []*schema.Column{{Name: "id", Type: schema.Type{Kind: row.Int}}},
		Primary: &schema.Key{Columns: []schema.Part{{Column: "id"}}},
	}
}

func keyless(s, n string) *schema.Table {
	t := keyed(s, n)
	t.Primary = nil
	return t
}

func TestParseList(t *testing.T) {
	entries, err := ParseList("uptime.txt", []byte("\xef\xbb\xbforders\r\n\r\n  # the rest\r\n\torder lines \r\ufefflast\n\ufeff#end"))
	want := []Entry{{"orders", "uptime.txt", 1}, {"order lines", "uptime.txt", 4}, {"last", "uptime.txt", 5}}
	if err != nil || !slices.Equal(entries, want) {
		t.Errorf("%+v %v", entries, err)
	}
	for _, bad := range []string{"a\n\xff\n", "a\nb\x00c", "a\n" + strings.Repeat("x", longestLine+1)} {
		if _, err := ParseList("uptime.txt", []byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "uptime.txt:2: ") {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

// TestNamesAreUnquoted: parts with and without quotes, and what is nothing of the kind.
func TestNamesAreUnquoted(t *testing.T) {
	for written, want := range map[string][]string{
		"a": {"a"}, "a.b": {"a", "b"}, `"a"."b"`: {"a", "b"}, `a."b.c"`: {"a", "b.c"}, `"a""b"`: {`a"b`}, `""`: {""}, `"".""`: {"", ""}, `a"b`: {`a"b`}, "a b": {"a b"},
		"": nil, ".": nil, ".a": nil, "a.": nil, "a..b": nil, "a.b.c": nil, `"a`: nil, `"a""`: nil, `"a"b`: nil, `"a"xb`: nil, `"a""b`: nil, `a."b`: nil, `"a"."b"c`: nil, `"a"."b".`: nil,
	} {
		if got := unquote(written); !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%s: %q", written, got)
		}
	}
}

// FuzzParseList: what is read is names, each of which is read again as it is, and which no quotes or line ends make another.
func FuzzParseList(f *testing.F) {
	for _, list := range []string{"a\x00b", "\xff", "a\r#b\rc", "\ufeffa\r\n\ufeff#b\r\n", "\"a", "\"a\"b", ".a", "a.b.c", "\"\"\"\"", strings.Repeat("x", longestLine+1)} {
		f.Add([]byte(list))
	}
	f.Add([]byte("orders\r\n# no\n\"odd \"\"name\"\n"))
	f.Add([]byte("\xef\xbb\xbfa.b\n\"a\".\"b\""))
	f.Add([]byte("0\n \ufeff \ufeff\n"))
	f.Fuzz(func(t *testing.T, list []byte) {
		entries, err := ParseList("f", list)
		if err != nil {
			return
		}
		var names []string
		for _, e := range entries {
			if e.Name == "" || e.Line < 1 || e.Line > len(list)+1 {
				t.Fatalf("%+v", e)
			}
			if !utf8.ValidString(e.Name) || e.Name[0] == '#' || len(e.Name) > longestLine || strings.ContainsAny(e.Name, "\x00\r\n") || strings.TrimFunc(e.Name, unseen) != e.Name {
				t.Fatalf("%q is no name", e.Name)
			}
			if parts := unquote(e.Name); parts != nil && !slices.Equal(unquote(requoted(parts)), parts) {
				t.Fatalf("%q is %q", e.Name, parts)
			}
			names = append(names, e.Name)
		}
		again, err := ParseList("f", []byte(strings.Join(names, "\n")))
		if err != nil || len(again) != len(entries) {
			t.Fatalf("%q read again: %+v %v", names, again, err)
		}
		tables := []*schema.Table{keyed("shop", "orders"), keyed("main", `odd "name`)}
		if choices, err := Classify(tables, Wishes{Uptime: entries}, nil); err == nil && len(choices) != 2 {
			t.Fatal("a table without a class")
		}
	})
}

// requoted writes parts with quotes around each.
func requoted(parts []string) string {
	all := make([]string, len(parts))
	for i, p := range parts {
		all[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
	}
	return strings.Join(all, ".")
}

func TestClassify(t *testing.T) {
	orders, lines, log := keyed("shop", "orders"), keyed("shop", "order_lines"), keyless("shop", "log")
	tmp, odd, big := keyed("shop", "tmp_a"), keyed("shop", `a.b "c`), keyed("other", "orders")
	tables := []*schema.Table{orders, lines, log, tmp, odd, big}
	for _, c := range []struct {
		what   string
		uptime []string
		skip   []string
		want   string // of the error; or empty
	}{
		{"full names", []string{"shop.orders", "order_lines"}, nil, ""},
		{"quoted", []string{`"shop"."a.b ""c"`, `shop."orders"`}, nil, ""},
		{"as it stands", []string{`a.b "c`}, nil, ""},
		{"unknown", []string{"order_line"}, nil, `t:1: "order_line" is no table of the source. Did you mean order_lines?`},
		{"case", []string{"shop.Orders"}, nil, `t:1: "shop.Orders" is no table of the source. Did you mean shop.orders?`},
		{"swapped letters", []string{"odrer_lines"}, nil, `Did you mean order_lines?`},
		{"like nothing", []string{"zzzzzzzzzz"}, nil, "take the line out"},
		{"twice", []string{"order_lines", "shop.order_lines"}, nil, `t:2: "shop.order_lines" is named twice, first in t:1.`},
		{"ambiguous", []string{"orders"}, nil, `t:1: "orders" may be any of shop.orders, other.orders. Write the schema before the name.`},
		{"keyless", []string{"log"}, nil, "it has no primary key"},
		{"not live", []string{"other.orders"}, nil, "may not be moved live: it is below a cascade. Take it out"},
		{"skipped", []string{"tmp_a"}, []string{"tmp_*"}, "matches tmp_* of tables.skip"},
	} {
		var uptime []Entry
		for i, n := range c.uptime {
			uptime = append(uptime, Entry{Name: n, File: "t", Line: i + 1})
		}
		choices, err := Classify(tables, Wishes{Uptime: uptime, Skip: c.skip}, map[schema.Name]string{big.Name: "is below a cascade."})
		if c.want == "" {
			if err != nil || len(Of(choices, Uptime)) != len(c.uptime) || len(choices) != len(tables) {
				t.Errorf("%s: %v", c.what, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) || choices != nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// TestAFedTableFollowsItsSource unless something is said of it.
func TestAFedTableFollowsItsSource(t *testing.T) {
	orders, lines := keyed("shop", "orders"), keyed("shop", "order_line")
	lines.Of = orders.Name
	for _, c := range []struct {
		w    Wishes
		want Class
	}{
		{Wishes{}, Downtime},
		{Wishes{Uptime: Entries("t", []string{"orders"})}, Uptime},
		{Wishes{Uptime: Entries("t", []string{"orders"}), Standard: true}, Downtime},
		{Wishes{Uptime: Entries("t", []string{"orders"}), Skip: []string{"order_*"}}, Skip},
		{Wishes{Uptime: Entries("t", []string{"order_line"})}, Uptime},
		{Wishes{Skip: []string{"orders"}}, Skip},
		{Wishes{Uptime: Entries("t", []string{"order_line"}), Skip: []string{"orders"}}, Uptime},
		{Wishes{Repository: Entries("t", []string{"orders"})}, Skip},
	} {
		choices, err := Classify([]*schema.Table{lines, orders}, c.w, nil)
		if err != nil || choices[0].Class != c.want {
			t.Errorf("%+v: %+v, %v", c.w, choices, err)
		}
	}
}

func TestEveryWrongEntryIsTold(t *testing.T) {
	_, err := Classify([]*schema.Table{keyed("s", "a")}, Wishes{Uptime: Entries("tables.uptime", []string{"b", "a", "a", "cc"})}, nil)
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], `tables.uptime: "b" is no table`) {
		t.Errorf("%v", err)
	}
}

func TestReasons(t *testing.T) {
	tables := []*schema.Table{keyed("s", "a"), keyless("s", "b"), keyed("s", "c"), keyed("s", "d"), keyed("s", "e")}
	w := Wishes{Uptime: Entries("uptime.txt", []string{"a"}), Repository: Entries("release", []string{"d"}), Skip: []string{"?", "s.c*"}}
	if _, err := Classify(tables, w, nil); err == nil {
		t.Error("a table is skipped and named")
	}
	w.Skip = []string{"s.c*", "nothing*"}
	choices, err := Classify(tables, w, map[schema.Name]string{tables[4].Name: "is not logged"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range choices {
		got = append(got, string(c.Class)+": "+c.Reason)
	}
	want := []string{
		"uptime: named in uptime.txt", "downtime: it has no key that rows are known by", "skip: matches s.c* of tables.skip",
		"repository: named in release", "downtime: may not be moved live: it is not logged",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	var rules []string
	for _, f := range Findings(choices, w) {
		rules = append(rules, string(f.Level)+" "+f.Rule+" "+f.Place())
	}
	if want := []string{"note skip-nothing nothing*", "note no-key s.b", "note class s.c"}; !slices.Equal(rules, want) {
		t.Errorf("%q", rules)
	}
	w.Standard = true
	choices, err = Classify(tables, w, nil)
	if err != nil || len(Of(choices, Uptime)) != 0 || choices[0].Class != Downtime {
		t.Errorf("standard: %+v %v", choices, err)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"tmp_*", "tmp_", true},
		{"tmp_*", "tmp", false},
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"?", "ä", true},
		{"*_old", "a_old_old", true},
		{"a*b*c", "axxbxxc", true},
		{"a*b*c", "axxbxx", false},
		{"[a]", "a", false},
		{"[a]", "[a]", true},
		{"*/x", "y/x", true},
	} {
		if got := Match(c.pattern, c.name); got != c.want {
			t.Errorf("%q and %q: %t", c.pattern, c.name, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.RuneFrom([]rune("ab*?"))).Draw(t, "name")
		cut := rapid.IntRange(0, len(name)).Draw(t, "cut")
		for _, pattern := range []string{name, name[:cut] + "*", "*" + name[cut:], strings.Repeat("?", len(name)), "**"} {
			if !Match(pattern, name) {
				t.Fatalf("%q does not match %q", pattern, name)
			}
		}
	})
}

func TestNumberAndOrder(t *testing.T) {
	a, b, c, d := keyed("s", "b"), keyed("r", "z"), keyed("s", "a"), keyed("s", "c")
	a.Bytes, b.Bytes, c.Bytes, d.Bytes, d.Rows = 5, 5, 900, -1, -1
	tables := []*schema.Table{a, b, c, d}
	Number(tables)
	if b.Number != 1 || c.Number != 2 || a.Number != 3 || d.Number != 4 || tables[0] != a {
		t.Errorf("numbers %d %d %d %d", a.Number, b.Number, c.Number, d.Number)
	}
	if got := Order(tables); !slices.Equal(got, []*schema.Table{c, b, a, d}) {
		t.Errorf("order %+v", got)
	}
}

func TestRangeRows(t *testing.T) {
	for _, c := range []struct{ rows, bytes, want int64 }{
		{-1, -1, 200_000},
		{0, 0, 200_000},
		{1_000_000, 100_000_000, 200_000},
		{1_000_000, 1_000_000_000, 67108},
		{100, 100 << 30, 500},
		{1 << 40, 1 << 50, 1 << 40 / mostRanges},
		{1000, -1, 200_000},
	} {
		if got := RangeRows(&schema.Table{Rows: c.rows, Bytes: c.bytes}); got != c.want {
			t.Errorf("%d rows, %d bytes: %d, want %d", c.rows, c.bytes, got, c.want)
		}
	}
}

func TestProfile(t *testing.T) {
	p := Profile{
		Sessions: 4, Tables: map[string]TableProfile{"s.a": {Rows: 1, Bytes: 2, Load: 1500 * time.Millisecond, Verify: time.Second}},
		Steps: map[string]time.Duration{"stop-application": 3 * time.Second},
	}
	data, err := json.Marshal(p)
	var back Profile
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil || !reflect.DeepEqual(p, back) {
		t.Errorf("%s: %+v %v", data, back, err)
	}
	for _, bad := range []string{`{`, `{"tables":{"a":{"load_seconds":-1}}}`, `{"tables":{"a":{"rows":-1}}}`, `{"steps_seconds":{"x":1e300}}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestForecast(t *testing.T) {
	live, small, lost := keyed("s", "live"), keyed("s", "small"), keyless("s", "lost")
	live.Rows, live.Bytes = 10_000_000, 8<<30
	lost.Rows, lost.Bytes = 1_000_000, 800<<20
	choices := []Choice{{live, Uptime, ""}, {small, Downtime, ""}, {lost, Downtime, ""}, {keyed("s", "x"), Skip, ""}}
	f := Predict(choices, Profile{}, 4)
	if f.Longest != lost.Name || f.Downtime < 100*time.Second || f.Measured != 0 || !strings.Contains(f.Basis(), "guessed") {
		t.Errorf("%+v", f)
	}
	if more := Predict(choices, Profile{}, 16); more.Downtime != f.Downtime || more.Load >= f.Load {
		t.Errorf("a table that can not be cut is the work of one session: %+v", more)
	}
	measured := Profile{
		Tables: map[string]TableProfile{"s.lost": {Bytes: 400 << 20, Load: 10 * time.Second, Indexes: time.Second, Verify: time.Second}},
		Steps:  map[string]time.Duration{"stop-application": 5 * time.Second},
	}
	f = Predict(choices, measured, 4)
	if f.Downtime < 28*time.Second || f.Downtime > 32*time.Second || f.Measured == 0 || !strings.Contains(f.Basis(), "earlier run") {
		t.Errorf("twice as large as last time: %+v, %s", f, f.Basis())
	}
	lost.Rows, lost.Bytes = -1, -1
	if f = Predict(choices, Profile{}, 0); f.Unknown != 1 || !strings.Contains(f.Basis(), "1 tables of unknown size") {
		t.Errorf("%+v", f)
	}
}

func TestLargeDowntimeTable(t *testing.T) {
	big := keyed("s", "big")
	big.Bytes = 3 << 30
	choices := []Choice{{big, Downtime, ""}}
	found := Findings(choices, Wishes{})
	if text := check.Text(found); !strings.Contains(text, "s.big: is large and moved in the downtime (3 GiB)") {
		t.Error(text)
	}
	if len(found) != 2 || found[0].Level != driver.Note {
		t.Errorf("%+v", found)
	}
}

// FuzzProfile: any text is a profile that is written and read again as the same, or an error; no forecast of it is below zero.
func FuzzProfile(f *testing.F) {
	f.Add([]byte(`{"sessions":4,"tables":{"shop.orders":{"rows":1,"bytes":2,"load_seconds":3.5,"index_seconds":0,"verify_seconds":1e-9}},"steps_seconds":{"drain":2}}`))
	f.Add([]byte(`{"tables":{"shop.orders":{"load_seconds":1e300}}}`))
	f.Add([]byte(`{"sessions":-1,"tables":{"shop.orders":{"bytes":1,"load_seconds":300000000}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p, again Profile
		if json.Unmarshal(text, &p) != nil {
			return
		}
		out, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		table := keyed("shop", "orders")
		table.Rows, table.Bytes = 1<<40, 1<<50
		for _, class := range []Class{Uptime, Downtime} {
			if got := Predict([]Choice{{Table: table, Class: class}}, p, p.Sessions); got.Load < 0 || got.Downtime < 0 {
				t.Fatalf("%s forecasts %+v", text, got)
			}
		}
	})
}
