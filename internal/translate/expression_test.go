package translate

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func exampleCarrier() *carrier {
	table := func(text bool) *schema.Table {
		t := &schema.Table{Name: schema.Name{Schema: "s", Name: "t"}}
		for name, k := range map[string]row.Kind{
			"a": row.Int, "b": row.Int, "price": row.Decimal, "ratio": row.Float64, "name": row.Text, "Code": row.Text,
			"on": row.Date, "at": row.Timestamp, "flag": row.Bool, "doc": row.JSON, "zone": row.Instant,
		} {
			t.Columns = append(t.Columns, &schema.Column{Name: name, Type: schema.Type{Kind: k, Binary: k == row.Text && (text || name == "Code")}})
		}
		return t
	}
	return &carrier{source: table(false), target: table(true), quote: elephant.Quote, enums: map[string]bool{"mood": true}}
}

var travelling = []struct{ from, to string }{
	{"(price > (0)::numeric)", `"price" > 0`},
	{"`price` > 0 and `a` is not null", `("price" > 0) AND ("a" IS NOT NULL)`},
	{"((name)::text = ANY ((ARRAY['x'::character varying, 'it''s'::character varying])::text[]))", `"name" IN ('x', 'it''s')`},
	{"(name <> ALL (ARRAY['x'::text]))", `"name" NOT IN ('x')`},
	{"[a]", ""},
	{"`name` in ('new',_utf8mb4'paid')", `"name" IN ('new', 'paid')`},
	{"((a >= 1901) AND (a <= 2155))", `("a" >= 1901) AND ("a" <= 2155)`},
	{"a between -1 and b + 2 * 3", `"a" BETWEEN -1 AND ("b" + (2 * 3))`},
	{"NOT a = 1 OR b != 2", `(NOT ("a" = 1)) OR ("b" <> 2)`},
	{"A == 1", `"a" = 1`},
	{"a ISNULL", `"a" IS NULL`},
	{"a % 2 = 0", `("a" % 2) = 0`},
	{"ratio / 2 > 0.5", `("ratio" / 2) > 0.5`},
	{"flag", `"flag"`},
	{"flag IN (0, 1)", `"flag" IN (FALSE, TRUE)`},
	{"a and flag", `("a" <> 0) AND "flag"`},
	{"flag is true", `"flag" IS TRUE`},
	{"(\"on\" >= '2007-01-01'::date)", `"on" >= '2007-01-01'`},
	{"(at < '2007-02-01 00:00:00.500'::timestamp without time zone)", `"at" < '2007-02-01 00:00:00.5'`},
	{"at < '2007-02-01'", `"at" < '2007-02-01 00:00:00'`},
	{"name = 'sad'::mood", `"name" = 'sad'`},
	{"a > '-3'::integer", `"a" > -3`},
	{"a > - -1", `"a" > (- -1)`},
	{"json_valid(`doc`) and a > 0", `"a" > 0`},
	{"doc is not null", `"doc" IS NOT NULL`},
	{"abs(a) < 3 and coalesce(b, 0) > 1", `(abs("a") < 3) AND (coalesce("b", 0) > 1)`},
	{"t.a > 1", `"a" > 1`},
}

func TestExpressionsThatTravel(t *testing.T) {
	for _, c := range travelling {
		got, err := exampleCarrier().carry(c.from)
		if c.to == "" {
			if err == nil {
				t.Errorf("%s: carried as %s", c.from, got.words)
			}
		} else if err != nil || got.words != c.to {
			t.Errorf("%s:\n got %s %v\nwant %s", c.from, got.words, err, c.to)
		}
	}
}

var staying = []string{
	"", "(", "a >", "a > 1)", "name LIKE 'x%'", "name ~ 'x'", "length(name) > 3", "a || b", "a <=> 1", "a / 2 > 1",
	"price % 2 = 0", "name < 'm'", "name BETWEEN 'a' AND 'b'", `name = 'a\b'`, "name = 'it", "name = 'i\x00t'", "a > 1 -- yes", "a > 1 --b", "a --b\n > 1", "a::numeric(", "a /* */ > 1",
	"at > now()", "zone > '2007-01-01'", "doc = 'x'", "name = 3", "a = 'three'", "flag > 1", "flag < flag", "missing = 1",
	"a::date = '2007-01-01'", "price::integer = 1", "(at)::date = '2007-01-01'", "at = '2007-02-30 00:00:00'",
	"at = 'infinity'", "NOT json_valid(doc)", "json_valid(doc) OR a > 1", "a IS DISTINCT FROM b", "a & 1 = 1",
	"a -> 1", "a = 0x10", "name = E'x'", "name COLLATE nocase = 'x'", "CASE WHEN a THEN b END", "a > (SELECT 1)",
	"name = ANY ('{a,b}'::text[])", "name and flag", "name + 1 = 2", "abs(name) = 1",
	strings.Repeat("(", 10000) + "a" + strings.Repeat(")", 10000), strings.Repeat("NOT ", 10000) + "flag",
	strings.Repeat("abs(", 10000) + "a", strings.Repeat("- ", 10000) + "a = 1",
}

func TestExpressionsThatStay(t *testing.T) {
	for _, from := range staying {
		if got, err := exampleCarrier().carry(from); err == nil {
			t.Errorf("%.60s: carried as %s", from, got.words)
		}
	}
}

func TestImpliedAndStricter(t *testing.T) {
	c := exampleCarrier()
	if got, err := c.carry("json_valid(`doc`)"); err != nil || !got.implied {
		t.Errorf("json_valid: %+v %v", got, err)
	}
	if got, _ := c.carry("name = 'x'"); !got.stricter {
		t.Error("a comparison without case passed for one by bytes")
	}
	if got, _ := c.carry(`"Code" = 'x'`); got.stricter {
		t.Error("text that both sides compare by bytes was called stricter")
	}
	c.target.Column("price").Type.Raw = "DECIMAL_TEXT(65,30)"
	if got, err := c.carry("price > 0"); err == nil {
		t.Errorf("a number kept as text was compared as a number: %s", got.words)
	}
	c.bare = "a"
	if got, err := c.carry("((VALUE >= 1901) AND (VALUE <= 2155))"); err != nil || got.words != `("a" >= 1901) AND ("a" <= 2155)` {
		t.Errorf("a domain's check: %+v %v", got, err)
	}
}

// What was carried once is carried again to the same words: the target's own reading of it is stable.
func TestCarriedExpressionIsStable(t *testing.T) {
	atom := rapid.SampledFrom([]string{
		"a", "b", "price", "1", "-2", "3.5", "name", "'x'", "'it''s'", "flag", "TRUE", "NULL", "at", "'2007-01-01'", `"on"`,
	})
	rapid.Check(t, func(t *rapid.T) {
		words := atom.Draw(t, "first")
		for range rapid.IntRange(0, 6).Draw(t, "more") {
			join := rapid.SampledFrom([]string{" = ", " < ", " AND ", " OR ", " + ", " - ", " * ", " <> ", " IS NULL OR "}).Draw(t, "join")
			words += join + atom.Draw(t, "next")
			if rapid.Bool().Draw(t, "close") {
				words = "(" + words + ")"
			}
		}
		once, err := exampleCarrier().carry(words)
		if err != nil {
			return
		}
		twice, err := exampleCarrier().carry(once.words)
		if err != nil || twice.words != once.words {
			t.Fatalf("%s\nonce  %s\ntwice %s %v", words, once.words, twice.words, err)
		}
	})
}

// FuzzExpression: what travels is read again as it was written, and holds nothing outside of strings that could end or hide a statement.
func FuzzExpression(f *testing.F) {
	for _, c := range travelling {
		f.Add(c.from)
	}
	for _, words := range staying {
		f.Add(words)
	}
	f.Fuzz(func(t *testing.T, words string) {
		done, err := exampleCarrier().carry(words)
		if err != nil || done.implied {
			return
		}
		for _, bad := range []string{";", "--", "/*", "\x00", "\\"} {
			if outside := stripStrings(done.words); strings.Contains(outside, bad) {
				t.Fatalf("%q gave %q", words, done.words)
			}
		}
		again, err := exampleCarrier().carry(done.words)
		if err != nil && strings.Contains(err.Error(), "nested too deeply") { // with a parenthesis around each part
			return
		}
		if err != nil || again.words != done.words {
			t.Fatalf("%q gave %q, and that %q, %v", words, done.words, again.words, err)
		}
	})
}

// stripStrings takes quoted text away.
func stripStrings(s string) string {
	for _, q := range []string{"'", `"`} {
		parts := strings.Split(s, q)
		s = ""
		for i := 0; i < len(parts); i += 2 {
			s += parts[i]
		}
	}
	return s
}
