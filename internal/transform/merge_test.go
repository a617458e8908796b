package transform_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// setting is a table of the users', and option what a new release makes of it: another name, the key under another name, a
// number that becomes a text, and no hidden rows.
var setting, option = schema.Name{Schema: "main", Name: "setting"}, schema.Name{Schema: "main", Name: "option"}

func column(name string, k row.Kind) *schema.Column {
	return &schema.Column{Name: name, Type: schema.Type{Kind: k}, Null: true}
}

func settings() *schema.Table {
	key := column("name", row.Text)
	key.Null, key.Type.Length = false, 20
	return &schema.Table{
		Name: setting, Number: 1, Rows: -1, Bytes: -1,
		Columns: []*schema.Column{key, column("value", row.Text), column("n", row.Int), column("changed_by", row.Text)},
		Primary: &schema.Key{Name: "setting_pk", Columns: []schema.Part{{Column: "name"}}, Constraint: true},
	}
}

// options is the same in its new form, as the release's own build makes it.
func options() *schema.Table {
	key := column("code", row.Text)
	key.Null = false
	return &schema.Table{
		Name: option, Number: 1, Rows: -1, Bytes: -1,
		Columns: []*schema.Column{column("changed_by", row.Text), key, column("value", row.Text), column("n", row.Text)},
		Primary: &schema.Key{Name: "option_pk", Columns: []schema.Part{{Column: "code"}}, Constraint: true},
	}
}

const bySystem = `source.changed_by == "system" ? release : source`

func merging(wins string) []transform.Rule {
	return []transform.Rule{{
		Place: "release.yaml:3", Table: "setting", To: "option", Where: `(value ?? "") != "hidden"`,
		Columns: []transform.Column{
			{Place: "release.yaml:4", Name: "code", From: "name"},
			{Place: "release.yaml:5", Name: "n", From: "n", Type: "text"},
		},
		Merge: &transform.Merge{Place: "release.yaml:9", Wins: wins},
	}}
}

// merged says once more, without the code that is tested, what the target must hold: code, value, n, changed_by.
func merged(users, release map[string][]string, wins string) []string {
	all := map[string][]string{}
	for key, r := range users {
		if r[0] != "hidden" {
			all[key] = r
		}
	}
	for key, r := range release {
		if had, both := all[key]; !both || wins == transform.ReleaseWins || wins == bySystem && had[2] == "system" {
			all[key] = r
		}
	}
	var lines []string
	for key, r := range all {
		lines = append(lines, key+"|"+strings.Join(r, "|"))
	}
	slices.Sort(lines)
	return lines
}

const null = "NULL"

func cellOf(text string) []byte {
	if text == null {
		return nil
	}
	return []byte(text)
}

func textOf(cell []byte) string {
	if cell == nil {
		return null
	}
	return string(cell)
}

// rowsOf reads a table's rows, by their keys, as value, n, changed_by.
func rowsOf(s *memory.Server, t *schema.Table) map[string][]string {
	b := s.Rows(t.Name)
	at := func(name string) int {
		return slices.IndexFunc(t.Columns, func(c *schema.Column) bool { return c.Name == name })
	}
	all := map[string][]string{}
	for i := range b.Len() {
		key := max(at("name"), at("code"))
		all[string(b.Cell(i, key))] = []string{textOf(b.Cell(i, at("value"))), textOf(b.Cell(i, at("n"))), textOf(b.Cell(i, at("changed_by")))}
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// office is one move of a table that users change between any two operations of ours.
type office struct {
	turn                   sync.Mutex
	rnd                    *rand.Rand
	source, shadow, target *memory.Server
	at                     *schema.Table // in the new form
	view                   *transform.View
	from, to               load.End
	still                  bool
}

func (o *office) values() (value, n, by string) {
	value = []string{null, "hidden", "a", "b", ""}[o.rnd.IntN(5)]
	n = []string{null, strconv.Itoa(o.rnd.IntN(9) - 4)}[o.rnd.IntN(2)]
	return value, n, []string{null, "system", "ann"}[o.rnd.IntN(3)]
}

func (o *office) key() string { return "k" + strconv.Itoa(o.rnd.IntN(16)) }

// change is one transaction of users.
func (o *office) change(string) error {
	if !o.turn.TryLock() {
		return nil
	}
	defer o.turn.Unlock()
	if o.still || o.rnd.IntN(3) > 0 {
		return nil
	}
	x := o.source.Begin()
	for range 1 + o.rnd.IntN(3) {
		value, n, by := o.values()
		cells := [][]byte{[]byte(o.key()), cellOf(value), cellOf(n), cellOf(by)}
		key := row.MakeKey([]byte(o.key()))
		switch o.rnd.IntN(12) {
		case 0:
			_ = x.Truncate(setting)
		case 1, 2, 3:
			_ = x.Delete(setting, key)
		case 4, 5, 6, 7:
			_ = x.Update(setting, key, cells...) // the key changes too
		default:
			_ = x.Insert(setting, cells...)
		}
	}
	return x.Commit()
}

// newOffice fills both sides' tables at random and opens the view.
func newOffice(t *testing.T, seed uint64, wins string) *office {
	o := &office{rnd: rand.New(rand.NewPCG(seed, 3)), source: memory.New("source"), shadow: memory.New("shadow"), target: memory.New("target"), still: true}
	o.source.Most, o.target.Most, o.shadow.Most = 1+o.rnd.IntN(4), 1+o.rnd.IntN(4), 1+o.rnd.IntN(4)
	must(t, o.source.Create(settings()))
	must(t, o.shadow.Create(options()))
	users, build := o.source.Begin(), o.shadow.Begin()
	for i := range 16 {
		value, n, by := o.values()
		if o.rnd.IntN(2) == 0 {
			must(t, users.Insert(setting, []byte("k"+strconv.Itoa(i)), cellOf(value), cellOf(n), cellOf(by)))
		}
		if value, _, _ = o.values(); o.rnd.IntN(2) == 0 {
			must(t, build.Insert(option, cellOf(by), []byte("k"+strconv.Itoa(i)), cellOf(value), []byte("r")))
		}
	}
	must(t, users.Commit())
	must(t, build.Commit())
	o.open(t, wins)
	return o
}

func (o *office) open(t *testing.T, wins string) {
	ctx := t.Context()
	var err error
	o.view, err = transform.Open(ctx, o.source.Open(driver.Source), nil, merging(wins))
	must(t, err)
	seen, err := o.view.Inspector.Inspect(ctx, nil)
	must(t, err)
	from := seen.Table(setting)
	from.Number = 1
	at := *from
	at.Name = option
	o.at = &at
	s := schema.Shape{Key: []int{0}}
	for _, c := range from.Columns {
		s.Columns = append(s.Columns, schema.ShapeColumn{Column: c, Cell: c.Type.Kind})
	}
	o.from = load.End{Database: o.view.Database, Table: from, Shape: s}
	o.to = load.End{Database: o.target.Open(driver.Target), Table: o.at, Shape: s}
}

// known tells the view what the build has made.
func (o *office) known(t *testing.T) {
	t.Helper()
	c, err := o.view.Content(t.Context(), setting, o.shadow.Open(driver.Source), options())
	must(t, err)
	must(t, o.view.Merge(setting, c))
	must(t, o.view.Merge(setting, c)) // again: does nothing
}

// move loads, follows, and drains.
func (o *office) move(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	db := o.from.Database
	must(t, db.Capturer.Install(ctx, o.from.Table, o.from.Shape, driver.Wait{}))
	must(t, db.Capturer.Settle(ctx, []*schema.Table{o.from.Table}, driver.Wait{}))
	must(t, o.to.Database.Ledger.Prepare(ctx, "r"))
	epoch, err := o.to.Database.Ledger.TakeOver(ctx)
	must(t, err)
	must(t, o.execute(ctx, o.to.Database.Dialect.CreateTable(o.at)))
	var plan []row.Range
	for r, err := range db.Splitter.Split(ctx, o.from.Table, o.from.Shape, 3) {
		must(t, err)
		plan = append(plan, r)
	}
	o.source.Fault, o.target.Fault = o.change, o.change
	o.still = false
	for _, r := range plan {
		_, err := load.Range(ctx, load.Task{From: o.from, To: o.to, Range: r, Epoch: epoch})
		must(t, err)
	}
	must(t, o.execute(ctx, o.to.Database.Dialect.CreateKeys(o.at)))
	lane := replay.NewLane(o.from, o.to, epoch)
	lane.Most = func() int { return 1 + o.rnd.IntN(5) }
	for range o.rnd.IntN(20) {
		_, err := lane.Step(ctx)
		must(t, err)
	}
	if o.rnd.IntN(2) == 0 {
		must(t, lane.Reread(ctx))
	}
	o.turn.Lock()
	o.still = true
	o.turn.Unlock()
	for {
		done, err := lane.Step(ctx)
		must(t, err)
		if done.Empty() {
			return
		}
	}
}

func (o *office) execute(ctx context.Context, statements []driver.Statement) error {
	for _, s := range statements {
		if err := o.to.Database.Executor.Execute(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (o *office) compare(t *testing.T) verify.Tally {
	t.Helper()
	tally, err := verify.Compare(t.Context(), verify.Pair{
		Source: verify.Side{Database: o.from.Database, Table: o.from.Table, Shape: o.from.Shape},
		Target: verify.Side{Database: o.to.Database, Table: o.to.Table, Shape: o.to.Shape},
	}, 10)
	must(t, err)
	return tally
}

// TestMergedTables: whatever users do while a table is loaded in ranges and replayed, the target ends with what the policy says
// of both sides' rows, the comparison says so, and it sees a row that is not so.
func TestMergedTables(t *testing.T) {
	came := map[string]int{}
	for seed := range uint64(150) {
		wins := []string{transform.SourceWins, transform.ReleaseWins, bySystem}[seed%3]
		o := newOffice(t, seed, wins)
		o.known(t)
		o.move(t)
		users, release := rowsOf(o.source, settings()), rowsOf(o.shadow, options())
		var got []string
		for key, r := range rowsOf(o.target, o.at) {
			got = append(got, key+"|"+strings.Join(r, "|"))
			if had, both := users[key]; both && release[key] != nil && had[0] != "hidden" {
				came[fmt.Sprint(wins, r[1] == "r")]++
			}
		}
		slices.Sort(got)
		if want := merged(users, release, wins); !slices.Equal(got, want) {
			t.Fatalf("seed %d, %s:\ngot  %v\nwant %v\nusers %v\nrelease %v", seed, wins, got, want, users, release)
		}
		if tally := o.compare(t); !tally.Equal() || tally.Source.Rows != uint64(len(got)) {
			t.Fatalf("seed %d: %+v", seed, tally)
		}
		if key := slices.Sorted(keysOf(release)); len(key) > 0 { // one who takes the row away is seen
			x := o.target.BeginSilent()
			must(t, x.Delete(option, row.MakeKey([]byte(key[0]))))
			must(t, x.Commit())
			if tally := o.compare(t); len(tally.Differing) != 1 || tally.Differing[0].What != verify.Missing {
				t.Fatalf("seed %d: %+v", seed, tally)
			}
		}
	}
	for _, one := range []string{"source-winsfalse", "release-winstrue", bySystem + "true", bySystem + "false"} {
		if came[one] == 0 {
			t.Errorf("no key of both in which %s", one)
		}
	}
}

func keysOf(m map[string][]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}
