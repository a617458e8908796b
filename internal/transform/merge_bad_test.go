package transform_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestWrongMerges: each ends in one sentence with its place, before anything starts.
func TestWrongMerges(t *testing.T) {
	keyless := func(is *schema.Table) { is.Primary = nil }
	for _, test := range []struct {
		wins   string
		change func(*schema.Table)
		want   string
	}{
		{transform.SourceWins, keyless, "m:1: merge: main.setting has no key"},
		{"", nil, "m:1: merge: main.setting needs source-wins, release-wins or an expression"},
		{"users", nil, "m:1: merge: neither source-wins nor release-wins, and as an expression: the expression must give one of the two rows"},
		{"source.n > 1", nil, "must give one of the two rows"},
		{`source.n == "1" ? source : release`, nil, "mismatched types int and string"},
		{`source.n > 1 ? source`, nil, "m:1: merge: neither source-wins nor release-wins, and as an expression: unexpected token EOF"},
		{`source.N == 1 ? source : release`, nil, "main.setting has no column N in its new form; n is there"},
		{`release.nobody == 1 ? source : release`, nil, "has no column nobody"},
		{`nobody == 1 ? source : release`, nil, "unknown name nobody"},
		{`len(source) > 1 ? source : release`, nil, "source stands for a row; write source.column"},
		{`source == release ? source : release`, nil, "stands for a row"},
		{`$env["source"] == nil ? source : release`, nil, "$env stands for a row"},
		{`source.n == 1 ? source : {"n": 1}`, nil, "must give one of the two rows"},
		{`now() == nil ? source : release`, nil, "unknown name now"},
	} {
		server, is := memory.New("source"), settings()
		if test.change != nil {
			test.change(is)
		}
		must(t, server.Create(is))
		v, err := transform.Open(t.Context(), server.Open(driver.Source), nil, []transform.Rule{{
			Place: "t:1", Table: "setting", Merge: &transform.Merge{Place: "m:1", Wins: test.wins},
		}})
		must(t, err)
		_, err = v.Inspector.Inspect(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", test.wins, err, test.want)
		}
	}
}

// TestATableMadeOfAMergedOne is refused: of whose rows is not said.
func TestATableMadeOfAMergedOne(t *testing.T) {
	server := memory.New("source")
	must(t, server.Create(settings()))
	v, err := transform.Open(t.Context(), server.Open(driver.Source), nil, append(merging(transform.SourceWins), transform.Rule{
		Place: "t:7", Table: "part", Of: "setting", Columns: []transform.Column{{Place: "t:8", Name: "name", From: "name"}},
	}))
	must(t, err)
	if _, err = v.Inspector.Inspect(t.Context(), nil); err == nil || !strings.HasPrefix(err.Error(), "t:7: of: main.setting is merged with the release's rows (release.yaml:9)") {
		t.Error(err)
	}
}

// TestWrongContent: what a build has made that does not fit the table's new form is refused in one sentence.
func TestWrongContent(t *testing.T) {
	cells := func(texts ...string) (all [][]byte) {
		for _, text := range texts {
			all = append(all, cellOf(text))
		}
		return all
	}
	for _, test := range []struct {
		change func(*schema.Table)
		row    [][]byte
		want   string
	}{
		{func(is *schema.Table) { is.Columns = append(is.Columns, column("more", row.Int)) }, nil, "has a column more, which main.setting has not in its new form"},
		{func(is *schema.Table) { is.Columns[2].Name = "Value" }, nil, "has a column Value, which main.setting has not in its new form; value is there"},
		{func(is *schema.Table) { is.Primary.Columns[0].Column = "value" }, nil, "has not the key (code)"},
		{func(is *schema.Table) { is.Primary = nil }, nil, "has not the key (code)"},
		{func(is *schema.Table) { is.Columns, is.Primary.Columns[0].Column = is.Columns[2:], "value" }, nil, "has no column code"},
		{func(is *schema.Table) { is.Columns[2].Type.Kind = row.Bytes }, nil, "has bytes in column value, of which text can not be made"},
		{func(is *schema.Table) {
			is.Columns[1].Null = true
			is.Uniques, is.Primary = []*schema.Key{is.Primary}, nil
		}, cells("x", null, "y", "z"), "column code of the release's table main.option, key , is NULL"},
		{nil, cells("x", strings.Repeat("k", 21), "y", "z"), "column code of the release's table main.option, key kkkkkkkkkkkkkkkkkkkkk, has more than 20 characters"},
		{func(is *schema.Table) {}, nil, ""},
	} {
		o := newOffice(t, 1, transform.SourceWins)
		made := options()
		if test.change != nil {
			test.change(made)
		}
		shadow := memory.New("shadow")
		must(t, shadow.Create(made))
		if test.row != nil {
			x := shadow.Begin()
			must(t, x.Insert(option, test.row...))
			must(t, x.Commit())
		}
		_, err := o.view.Content(t.Context(), setting, shadow.Open(driver.Source), made)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "release.yaml:9: merge: ") || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v; want %q", err, test.want)
		}
	}
	o := newOffice(t, 1, transform.SourceWins)
	if _, err := o.view.Content(t.Context(), setting, o.shadow.Open(driver.Source), nil); err == nil || !strings.Contains(err.Error(), "release.yaml:9: merge: the release's build has made no table") {
		t.Error(err)
	}
}

// TestTooMuchContent: a table of so many rows is no default content.
func TestTooMuchContent(t *testing.T) {
	o := newOffice(t, 1, transform.SourceWins)
	x := o.shadow.Begin()
	for i := range 100_001 {
		must(t, x.Insert(option, nil, []byte("x"+strconv.Itoa(i)), nil, nil))
	}
	must(t, x.Commit())
	o.shadow.Most = 5000
	if _, err := o.view.Content(t.Context(), setting, o.shadow.Open(driver.Source), options()); err == nil || !strings.Contains(err.Error(), "more than 100000 rows") {
		t.Error(err)
	}
}

// TestNobodyReadsBeforeTheReleasesRowsAreKnown, neither rows nor changes; what is known is not exchanged.
func TestNobodyReadsBeforeTheReleasesRowsAreKnown(t *testing.T) {
	o := newOffice(t, 1, transform.SourceWins)
	ctx := t.Context()
	must(t, o.view.Capturer.Install(ctx, o.from.Table, o.from.Shape, driver.Wait{}))
	_, read := o.view.Reader.Read(ctx, driver.Query{Table: o.from.Table, Shape: o.from.Shape})
	_, taken := o.view.Recorder.Take(ctx, driver.Want{Table: o.from.Table, Shape: o.from.Shape, Lanes: 1, Most: 9}, row.NewBatch(1), row.NewBatch(4))
	for _, err := range []error{read, taken} {
		if err == nil || !strings.Contains(err.Error(), "are not known yet") {
			t.Error(err)
		}
	}
	o.known(t)
	if err := o.view.Merge(setting, &transform.Content{Columns: []string{"code"}}); err == nil || !strings.Contains(err.Error(), "not those that were merged before") {
		t.Error(err)
	}
	if err := o.view.Merge(option, &transform.Content{}); err == nil {
		t.Error("a table that nobody merges is merged")
	}
	got := o.view.Merged()
	if want := []transform.Merged{{Source: setting, Name: "option", Place: "release.yaml:9"}}; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// numbered is a table with a generator and a unique name.
func numbered(name schema.Name) *schema.Table {
	id := column("id", row.Int)
	id.Null, id.Identity.Kind, id.Type.Precision = false, schema.ByDefault, 32
	return &schema.Table{
		Name: name, Number: 1, Rows: -1, Bytes: -1, Columns: []*schema.Column{id, column("name", row.Text)},
		Primary: &schema.Key{Name: "pk", Columns: []schema.Part{{Column: "id"}}, Constraint: true},
		Uniques: []*schema.Key{{Name: "by_name", Columns: []schema.Part{{Column: "name"}}}},
	}
}

// roles opens a view of such a table with these rows of the users' and of the release's.
func roles(t *testing.T, wins string, users, release map[int]string) (*transform.View, verify.Side) {
	t.Helper()
	name := schema.Name{Schema: "main", Name: "role"}
	source, shadow := memory.New("source"), memory.New("shadow")
	for s, rows := range map[*memory.Server]map[int]string{source: users, shadow: release} {
		must(t, s.Create(numbered(name)))
		x := s.Begin()
		for id, text := range rows {
			must(t, x.Insert(name, []byte(strconv.Itoa(id)), cellOf(text)))
		}
		must(t, x.Commit())
	}
	v, err := transform.Open(t.Context(), source.Open(driver.Source), nil, []transform.Rule{{
		Place: "r:1", Table: "role", Merge: &transform.Merge{Place: "r:2", Wins: wins},
	}})
	must(t, err)
	c, err := v.Content(t.Context(), name, shadow.Open(driver.Source), numbered(name))
	must(t, err)
	must(t, v.Merge(name, c))
	is := numbered(name)
	return v, verify.Side{Database: v.Database, Table: is, Shape: schema.Shape{Key: []int{0}, Columns: []schema.ShapeColumn{
		{Column: is.Columns[0], Cell: row.Int}, {Column: is.Columns[1], Cell: row.Text},
	}}}
}

// TestTheGeneratorPassesTheReleasesNumbers, which users have not drawn.
func TestTheGeneratorPassesTheReleasesNumbers(t *testing.T) {
	v, side := roles(t, transform.SourceWins, map[int]string{1: "a", 7: "b"}, map[int]string{3: "c", 500: "d"})
	next, err := v.Sequencer.Next(t.Context(), &schema.Schema{Tables: []*schema.Table{side.Table}})
	if err != nil || len(next) != 1 || next[0].Next != "501" {
		t.Errorf("%+v, %v", next, err)
	}
}

// TestTwoKeysThatShareAUniqueValue can not both be at the target: the row is named, and nothing waits for ever. Where the release's row does
// not come they do not meet.
func TestTwoKeysThatShareAUniqueValue(t *testing.T) {
	const clash = "column name of main.role, key 57, has a value that is unique by by_name and that the release's row of key 101 has too (r:2)"
	for _, test := range []struct {
		wins           string
		users, release map[int]string
		want           string
	}{
		{transform.SourceWins, map[int]string{57: "x"}, map[int]string{101: "x"}, clash},
		{transform.ReleaseWins, map[int]string{57: "x", 101: "y"}, map[int]string{101: "x"}, clash},
		{transform.SourceWins, map[int]string{57: "x", 101: "y"}, map[int]string{101: "x"}, ""},
		{transform.SourceWins, map[int]string{57: "x", 101: "y"}, map[int]string{101: "x", 102: "y"}, "key 101, has a value that is unique by by_name and that the release's row of key 102 has too"},
		{`source.name == "y" ? release : source`, map[int]string{57: "x", 101: "y"}, map[int]string{101: "x"}, clash},
		{`source.name == "y" ? source : release`, map[int]string{57: "x", 101: "y"}, map[int]string{101: "x"}, ""},
		{transform.SourceWins, map[int]string{57: "x"}, map[int]string{57: "x", 101: null}, ""},
		{transform.SourceWins, map[int]string{57: null}, map[int]string{101: null}, ""},
	} {
		_, side := roles(t, test.wins, test.users, test.release)
		_, err := verify.Compare(t.Context(), verify.Pair{Source: side, Target: side}, 1)
		keys := row.NewBatch(1)
		for _, key := range []string{"57", "101", "102"} {
			keys.AppendString(key)
		}
		_, byKey := verify.Keys(t.Context(), verify.Pair{Source: side, Target: side}, keys)
		for _, err := range []error{err, byKey} {
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%s, %v, %v: %v; want %q", test.wins, test.users, test.release, err, test.want)
			}
		}
	}
}

// TestTheReleasesRowsShareAUniqueValue among themselves, which their own table allows.
func TestTheReleasesRowsShareAUniqueValue(t *testing.T) {
	v, side := roles(t, transform.SourceWins, nil, nil)
	shadow, made := memory.New("other"), numbered(side.Table.Name)
	made.Uniques = nil
	must(t, shadow.Create(made))
	x := shadow.Begin()
	for i := range 2 {
		must(t, x.Insert(made.Name, []byte(strconv.Itoa(i)), []byte("same")))
	}
	must(t, x.Commit())
	_, err := v.Content(t.Context(), made.Name, shadow.Open(driver.Source), made)
	if err == nil || !strings.Contains(err.Error(), "r:2: merge: two rows of the release's table main.role share the value of the unique key by_name") {
		t.Error(err)
	}
}

// TestAnExpressionThatFailsNamesTheKey and no value.
func TestAnExpressionThatFailsNamesTheKey(t *testing.T) {
	_, side := roles(t, `int(source.name) > 1 ? source : release`, map[int]string{57: "secret"}, map[int]string{57: "x"})
	_, err := verify.Compare(t.Context(), verify.Pair{Source: side, Target: side}, 1)
	if err == nil || !strings.Contains(err.Error(), "key 57, merge, r:2: can not be computed") || strings.Contains(fmt.Sprint(err), "secret") {
		t.Error(err)
	}
}
