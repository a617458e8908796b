package transform

import (
	"errors"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// failing reads one row by a rule of which something can not be made.
func failing(t *testing.T, rule Rule, cells []string, show bool) *driver.CellError {
	t.Helper()
	f, err := formOf(rule, &schema.Schema{Tables: []*schema.Table{sample()}})
	if err != nil {
		t.Fatal(err)
	}
	s := schema.Shape{}
	for _, c := range f.view.Columns {
		if f.view.Primary.Columns[0].Column == c.Name {
			s.Key = []int{len(s.Columns)}
		}
		s.Columns = append(s.Columns, naturally(c))
	}
	r, err := f.reader(s)
	if err != nil {
		t.Fatal(err)
	}
	r.show = show
	in := row.NewBatch(r.read.Width())
	for _, c := range r.read.Columns {
		for i, own := range sample().Columns {
			switch {
			case own.Name != c.Column.Name:
			case cells[i] == "NULL":
				in.AppendNull()
			default:
				in.AppendString(cells[i])
			}
		}
	}
	var failed *driver.CellError
	if err := r.turn(in, row.NewBatch(s.Width())); !errors.As(err, &failed) {
		t.Fatalf("%+v: %v", rule, err)
	}
	return failed
}

// TestWhatFailsIsShown: key, place and expression always, cells only where that was asked for; and then in one line that keeps a
// terminal in order, of a bounded length.
func TestWhatFailsIsShown(t *testing.T) {
	cells := []string{"7", "-3", "12.50", "0.25", "A\x1b[2J\nda \u202e" + strings.Repeat("x", 5000), "\xe9\x81", "1", "2024-02-29", "Lovelace", "NULL"}
	for _, test := range []struct {
		rule Rule
		said string
		see  []string
	}{
		{
			Rule{Columns: []Column{{Place: "r:2", Name: "x", Value: "int(name)\n + 1", Type: "int"}}},
			"column x of main.t, key 7, can not be computed from the values of this row (r:2: int(name) + 1)",
			[]string{`; the row: name="A\u001b[2J\nda \u202ex`, `x…", id="7"`, `blob=x'e981'`, `code=NULL`, "because: "},
		},
		{
			Rule{Columns: []Column{{Place: "r:2", Name: "full", From: "first name", Type: "int"}}},
			"column full of main.t, key 7, is no int as the column holds it (r:2)",
			[]string{`; the row: first name="Lovelace", id="7"`},
		},
		{
			Rule{Where: `int(name) > 1`},
			"a row of main.t, key 7, can not be computed from the values of this row (where, r:1: int(name) > 1)",
			[]string{`; the row: name="A`},
		},
		{
			Rule{
				Table: "word", Of: "t", Split: &Split{Place: "r:3", Each: `[1, "Lovelace"]`, Position: "place", Most: 3},
				Columns: []Column{{Name: "id", From: "id"}, {Place: "r:5", Name: "word", Value: "item + 1", Type: "int"}},
			},
			"column word of main.word, key 7, can not be computed from the values of this row (r:5: item + 1)",
			[]string{`; the row: place=2, item=Lovelace, id="7"`},
		},
		{
			Rule{Columns: []Column{{Place: "r:2", Name: "x", Value: `code + "` + strings.Repeat("y", 500) + `"`, Type: "text", Null: new(bool)}}},
			"column x of main.t, key 7, would be NULL, which the column does not take (r:2: code + \"yyy",
			[]string{`code=NULL, id="7"`},
		},
	} {
		test.rule.Place = "r:1"
		if test.rule.Table == "" {
			test.rule.Table = "t"
		}
		plain, shown := failing(t, test.rule, cells, false).Error(), failing(t, test.rule, cells, true).Error()
		if !strings.HasPrefix(plain, test.said) || !strings.HasPrefix(shown, plain) {
			t.Errorf("%q\n%q; want %q", plain, shown, test.said)
		}
		if strings.Contains(plain, "Lovelace") || strings.Contains(plain, "the row") || len(plain) > 400 {
			t.Errorf("unasked: %q", plain)
		}
		for _, want := range test.see {
			if !strings.Contains(shown, want) {
				t.Errorf("%q is not in %q", want, shown)
			}
		}
		if strings.ContainsAny(shown, "\n\x1b\u202e") || len(shown) > 5000 {
			t.Errorf("%d bytes: %q", len(shown), shown)
		}
	}
}
