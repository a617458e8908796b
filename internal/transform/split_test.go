package transform

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestUnpacking: packed values are taken apart without a digit lost and in the same order at each reading.
func TestUnpacking(t *testing.T) {
	for _, test := range []struct{ text, kind, want string }{
		{`fromJSON("[9007199254740993]")[0]`, "int", "9007199254740993"},
		{`fromJSON("{\"a\": 0.1}").a`, "decimal(5,3)", "0.100"},
		{`fromJSON("{\"a\": 12345678901234567890.5}").a`, "decimal", "12345678901234567890.5"},
		{`fromJSON("[3.0, 1e2]")[1]`, "int", "100"},
		{`fromJSON("[0.25]")[0]`, "float64", "0.25"},
		{`decimal(fromJSON("[0.1]")[0]) * 3`, "decimal(5,1)", "0.3"},
		{`fromJSON("{\"a\": 1.50}") | toJSON()`, "json", "{\n  \"a\": 1.5\n}"},
		{`join(keys(fromJSON("{\"b\": 1, \"a\": 2, \"c\": 3}")), ",")`, "text", "a,b,c"},
		{`string(values(fromJSON("{\"b\": 1, \"a\": 2, \"c\": 3}")))`, "text", "[2 1 3]"},
		{`toPairs(fromJSON("{\"b\": 1, \"a\": 2}"))[0][0]`, "text", "a"},
		{`join(parts("x;y;", ";"), "+")`, "text", "x+y+"},
		{`len(parts("", ";"))`, "int", "0"},
		{`join(chunks("äöüß", 2), "-")`, "text", "äö-üß"},
		{`len(chunks(blob, 1))`, "int", "2"},
		{`unsigned(blob, "big")`, "int", "59777"},
		{`unsigned(blob, "little")`, "int", "33257"},
		{`signed(blob, "big")`, "int", "-5759"},
		{`signed(chunks(blob, 1)[1], "little")`, "int", "-127"},
		{`decode(blob[0:1], "latin1")`, "text", "é"},
	} {
		if got, err := evaluate(t, test.text, test.kind); err != nil || got != test.want {
			t.Errorf("%s as %s: %q, %v; want %q", test.text, test.kind, got, err, test.want)
		}
	}
	for text, want := range map[string]string{
		`fromJSON("{")`:                  "is no JSON",
		`fromJSON("1 2")`:                "something follows the value",
		`fromJSON("[1e9999999]")`:        "holds a number in JSON that is too large",
		`chunks("abc", 2)`:               "can not be cut into pieces of 2 characters",
		`chunks(blob, 3)`:                "can not be cut into pieces of 3 bytes",
		`chunks(blob, 0)`:                "the length of a piece",
		`unsigned(blob, "middle")`:       `"big" or "little"`,
		`unsigned(bytes(""), "big")`:     "takes 1 to 8 bytes",
		`keys(fromJSON("3"))`:            "keys takes an object",
		`toPairs(fromJSON("[1]"))`:       "toPairs takes an object",
		`parts(name, "")`:                "parts takes a text and the separator",
		`unsigned(bytes("zzzzzzzz") + 1`: "unexpected token EOF",
	} {
		if got, err := evaluate(t, text+" == nil ? 1 : 2", "int"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

// parted is a rule that makes rows of the sample table's names.
func parted(each string, most int) Rule {
	return Rule{
		Place: "r:1", Table: "word", Of: "t", Split: &Split{Place: "r:3", Each: each, Position: "place", Most: most},
		Columns: []Column{{Place: "r:4", Name: "number", From: "id"}, {Place: "r:5", Name: "word", Value: "item", Type: "text"}},
	}
}

// split makes the rows of the sample row.
func split(t *testing.T, rule Rule) ([]string, error) {
	t.Helper()
	f, err := formOf(rule, &schema.Schema{Tables: []*schema.Table{sample()}})
	if err != nil {
		return nil, err
	}
	s := schema.Shape{Key: []int{0, 1}}
	for _, c := range f.view.Columns {
		s.Columns = append(s.Columns, naturally(c))
	}
	r, err := f.reader(s)
	if err != nil {
		return nil, err
	}
	in, out := row.NewBatch(r.read.Width()), row.NewBatch(s.Width())
	for _, c := range r.read.Columns {
		for i, own := range sample().Columns {
			switch cell := sampleRow()[i]; {
			case own.Name != c.Column.Name:
			case cell == nil:
				in.AppendNull()
			default:
				in.Append(cell)
			}
		}
	}
	err = r.turn(in, out)
	var all []string
	for i := range out.Len() {
		line := ""
		for c := range out.Width() {
			line += fmt.Sprintf("%s ", out.Cell(i, c))
		}
		all = append(all, strings.TrimSpace(line))
	}
	return all, err
}

func TestSplitting(t *testing.T) {
	for each, want := range map[string]string{
		`split("a b c", " ")`:                       "7 1 a/7 2 b/7 3 c",
		`fromJSON("[\"x\", null]")`:                 "7 1 x/7 2",
		`code == nil ? ["none"] : parts(code, ",")`: "7 1 none",
		`parts(code, ",")`:                          "", // NULL is an empty list
		`[]`:                                        "",
		`map(chunks(blob, 1), decode(#, "latin1"))`: "7 1 é/7 2 \u0081",
	} {
		got, err := split(t, parted(each, 3))
		if err != nil || strings.Join(got, "/") != want {
			t.Errorf("%s: %q, %v; want %q", each, got, err, want)
		}
	}
	// An element that is NULL, and the position, may be spoken of.
	rule := parted(`fromJSON("[{\"n\": \"x\"}, {}]")`, 3)
	rule.Columns[1].Value = `string(place) + ":" + (item.n ?? name)`
	if got, err := split(t, rule); err != nil || strings.Join(got, "/") != "7 1 1:x/7 2 2:Ada" {
		t.Errorf("%q, %v", got, err)
	}
	// One row of each, with the columns that are named.
	rule = parted("", 0)
	rule.Split, rule.Columns[1].Value = nil, "name"
	if f, err := formOf(rule, &schema.Schema{Tables: []*schema.Table{sample()}}); err != nil || len(f.view.Columns) != 2 || f.view.LiveKey().Names()[0] != "number" || f.view.Of.Name != "t" {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestSplitsThatStop their table, with the key of the row and the rule's place and no value.
func TestSplitsThatStop(t *testing.T) {
	for each, want := range map[string]string{
		`split("a b c d", " ")`:              "column place of main.word, key 7, can not be made: the list has 4 elements, and most allows 3 (r:3)",
		`fromJSON(name)`:                     "column place of main.word, key 7, is no JSON (each, r:3: fromJSON(name))",
		`fromJSON("{\"a\": 1}")`:             "column place of main.word, key 7, can not be made: each gives map[string]interface {} and not a list (r:3: fromJSON(",
		`fromJSON("[1]")`:                    "column word of main.word, key 7, is int, and the column holds text",
		`fromJSON("[\"a\", [], \"b\"]")`:     "column word of main.word, key 7,",
		`name == "" ? [] : fromJSON("[{}]")`: "column word of main.word, key 7,",
	} {
		got, err := split(t, parted(each, 3))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Ada") {
			t.Errorf("%s: %v; want %q", each, err, want)
		}
		if len(got) > 0 {
			t.Errorf("%s: %q is left in the batch", each, got)
		}
	}
}

// TestSplitMistakes: each is found before anything starts, in one sentence with its place.
func TestSplitMistakes(t *testing.T) {
	for want, change := range map[string]func(r *Rule){
		"r:3: split belongs to a new table; give it one, with of: t":       func(r *Rule) { r.Table, r.Of = "t", "" },
		"r:1: there is a table main.t at the source; one that is made of":  func(r *Rule) { r.Table = "t" },
		"r:1: of: there is no table nobody at the source":                  func(r *Rule) { r.Of = "nobody" },
		"r:1: drop has no place here":                                      func(r *Rule) { r.Drop = []string{"n"} },
		"r:3: split needs each":                                            func(r *Rule) { r.Split.Each = "" },
		"r:3: split needs position":                                        func(r *Rule) { r.Split.Position = "" },
		"r:3: split needs most":                                            func(r *Rule) { r.Split.Most = 0 },
		"r:3: split needs most, how many":                                  func(r *Rule) { r.Split.Most = mostElements + 1 },
		"r:3: the element and the column of its position are both named x": func(r *Rule) { r.Split.As, r.Split.Position = "x", "x" },
		"r:3: n is a column of main.t; take another name here":             func(r *Rule) { r.Split.Position = "n" },
		"r:3: amount is a column of main.t":                                func(r *Rule) { r.Split.As = "amount" },
		"r:3: each: unknown name nobody":                                   func(r *Rule) { r.Split.Each = "nobody" },
		"r:3: each: the expression gives string and not a list":            func(r *Rule) { r.Split.Each = "name" },
		"r:3: each: the expression gives []uint8 and not a list":           func(r *Rule) { r.Split.Each = "blob" },
		"r:3: there are two columns place":                                 func(r *Rule) { r.Columns[1].Name = "place" },
		"r:1: the columns must have those of the key of main.t (id)":       func(r *Rule) { r.Columns = r.Columns[1:] },
		"those of the key of main.t (id) as they are":                      func(r *Rule) { r.Columns[0].Type = "decimal(20,2)" },
		"those of the key of main.t (id) as they are, under":               func(r *Rule) { yes := true; r.Columns[0].Null = &yes },
		"r:5: column word: unknown name itm":                               func(r *Rule) { r.Columns[1].Value = "itm" },
		"r:1: where: unknown name item":                                    func(r *Rule) { r.Where = `item == "a"` },
	} {
		rule := parted(`split(name, " ")`, 3)
		change(&rule)
		if _, err := split(t, rule); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	keyless := sample()
	keyless.Primary = nil
	if _, err := formOf(parted("[]", 1), &schema.Schema{Tables: []*schema.Table{keyless}}); err == nil || !strings.Contains(err.Error(), "main.t has no key") {
		t.Error(err)
	}
}

// FuzzUnpacking: what packed values hold ends neither in a panic nor in two readings of one value that differ.
func FuzzUnpacking(f *testing.F) {
	f.Add("[1, 2.50, {\"a\": null}]", 3)
	f.Add("{\"b\": 1e5, \"a\": []}", 1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		for name, function := range map[string]func(...any) (any, error){
			"fromJSON": fromJSON,
			"chunks":   func(p ...any) (any, error) { return chunksFunction(p[0], n) },
			"parts":    func(p ...any) (any, error) { return partsFunction(p[0], ";") },
			"bytes":    func(p ...any) (any, error) { return chunksFunction([]byte(text), n) },
			"unsigned": func(p ...any) (any, error) { return unsignedFunction([]byte(text), "little") },
			"signed":   func(p ...any) (any, error) { return signedFunction([]byte(text), "big") },
			"pairs": func(p ...any) (any, error) {
				value, err := fromJSON(text)
				if err != nil {
					return nil, err
				}
				return pairsFunction(value)
			},
		} {
			a, errA := function(text)
			b, errB := function(text)
			if fmt.Sprint(a, errA) != fmt.Sprint(b, errB) {
				t.Errorf("%s: %v, %v, then %v, %v", name, a, errA, b, errB)
			}
		}
	})
}
