package replay_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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

// newSeveral is a history in which each row becomes several on its way: one for each letter of its note.
func newSeveral(seed uint64, source memory.Flaw) *history {
	h := newHistory(seed, source, memory.Sound)
	h.harm /= 2 // of so many more rows, each read and written in parts
	h.moved, h.shape = letters(h)
	h.view = func(d *driver.Database) *driver.Database { return seen(d) }
	return h
}

// rule makes a table of letters. A row whose name is n1 is left out.
var rule = transform.Rule{
	Place: "release.yaml:3", Table: "letter", Of: "people", Where: `(name ?? "") != "n1"`,
	Split: &transform.Split{Place: "release.yaml:4", Each: `split(note, "")`, As: "letter", Position: "place", Most: 5},
	Columns: []transform.Column{
		{Name: "person", From: "id"}, {Name: "label", Value: `string(place) + (name ?? "-") + letter`, Type: "text"},
	},
}

func seen(d *driver.Database) *driver.Database {
	v, err := transform.Open(context.Background(), d, nil, []transform.Rule{rule})
	must(err)
	return v.Database
}

// letters is the table as the view shows it.
func letters(h *history) (*schema.Table, schema.Shape) {
	var t *schema.Table
	h.still(func() {
		plain := memory.New("catalog")
		must(plain.Create(h.table))
		whole, err := seen(plain.Open(driver.Source)).Inspector.Inspect(context.Background(), nil)
		must(err)
		t = whole.Table(schema.Name{Schema: "main", Name: "letter"})
	})
	t.Number = 2
	return t, schema.Shape{Columns: []schema.ShapeColumn{
		{Column: t.Columns[0], Cell: row.Int}, {Column: t.Columns[1], Cell: row.Int}, {Column: t.Columns[2], Cell: row.Text},
	}, Key: []int{0, 1}}
}

// spelt are the rows that people make, said once more without the code that is tested.
func spelt(b *row.Batch) []string {
	var all []string
	for i := range b.Len() {
		name := "-"
		if !b.Null(i, 1) {
			name = string(b.Cell(i, 1))
		}
		for n, letter := range string(b.Cell(i, 2)) {
			if name != "n1" {
				all = append(all, fmt.Sprintf("%s|%d|%d%s%c", b.Cell(i, 0), n+1, n+1, name, letter))
			}
		}
	}
	slices.Sort(all)
	return all
}

// lost says how the target differs from what the source's rows make, empty when it does not, by this test's own arithmetic
// and by the comparison that a move makes.
func (h *history) lost(ctx context.Context) string {
	h.turn.Lock() // and never unlocked: nothing moves any more
	want := spelt(h.source.Rows(h.table.Name))
	var got []string
	is := h.target.Rows(h.moved.Name)
	for i := range is.Len() {
		got = append(got, fmt.Sprintf("%s|%s|%s", is.Cell(i, 0), is.Cell(i, 1), is.Cell(i, 2)))
	}
	slices.Sort(got)
	compared, err := verify.Compare(ctx, verify.Pair{
		Source: verify.Side{Database: h.view(h.source.Open(driver.Source)), Table: h.moved, Shape: h.shape},
		Target: verify.Side{Database: h.target.Open(driver.Target), Table: h.moved, Shape: h.shape},
	}, 10)
	switch equal := slices.Equal(got, want); {
	case err != nil:
		return err.Error()
	case compared.Equal() != equal:
		return fmt.Sprintf("verify says equal: %v, the rows say %v", compared.Equal(), equal)
	case !equal:
		return fmt.Sprintf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return ""
}

// TestRowsThatBecomeSeveral: load, replay and comparison agree on them while rows grow, shrink, go, change their keys and are
// emptied, and while everything fails.
func TestRowsThatBecomeSeveral(t *testing.T) {
	restarts := 0
	for seed := range uint64(300) {
		h := newSeveral(seed, memory.Sound)
		if err := h.play(t.Context()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if lost := h.lost(t.Context()); lost != "" {
			t.Fatalf("seed %d: %s", seed, lost)
		}
		restarts += h.restarts
	}
	if restarts < 200 {
		t.Fatalf("only %d faults in all histories: they prove nothing", restarts)
	}
}

// forgetful is a recorder that names only the keys of rows that are there: the target keeps what a row no longer makes.
type forgetful struct {
	driver.Recorder
	shape schema.Shape
}

// Take leaves keys without a row out.
func (f forgetful) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	all := row.NewBatch(keys.Width())
	r, err := f.Recorder.Take(ctx, want, all, images)
	for i := 0; err == nil && i < images.Len(); i++ {
		err = keys.AppendRow(images.AppendKey(nil, i, f.shape.Key))
	}
	return r, err
}

// TestAForgetfulRecorderIsSeen: without every key that a row could have made the target is damaged, and the histories see it.
func TestAForgetfulRecorderIsSeen(t *testing.T) {
	for seed := range uint64(300) {
		h := newSeveral(seed, memory.Sound)
		whole := h.view
		h.view = func(d *driver.Database) *driver.Database {
			v := whole(d)
			v.Recorder = forgetful{v.Recorder, h.shape}
			return v
		}
		if err := h.play(t.Context()); err != nil || h.lost(t.Context()) != "" {
			return
		}
	}
	t.Fatal("no history saw the damage")
}

// TestABatchOfManyIsBounded: what one Take returns does not grow with what a row may become, and says that there is more.
func TestABatchOfManyIsBounded(t *testing.T) {
	wide := rule
	split := *rule.Split
	split.Most = 9_000
	wide.Split = &split
	h := newHistory(1, memory.Sound, memory.Sound)
	h.turn.Lock()
	must(h.source.Create(h.table))
	d := h.source.Open(driver.Source)
	v, err := transform.Open(t.Context(), d, nil, []transform.Rule{wide})
	must(err)
	whole, err := v.Inspector.Inspect(t.Context(), nil)
	must(err)
	letter := whole.Table(schema.Name{Schema: "main", Name: "letter"})
	letter.Number = 2
	shape := schema.Shape{Columns: []schema.ShapeColumn{{Column: letter.Columns[0], Cell: row.Int}, {Column: letter.Columns[1], Cell: row.Int}}, Key: []int{0, 1}}
	must(v.Capturer.Install(t.Context(), letter, shape, driver.Wait{}))
	x := h.source.Begin()
	for i := range 7 {
		must(x.Insert(h.table.Name, []byte(strconv.Itoa(i)), nil, []byte("ab")))
	}
	must(x.Commit())
	also := row.NewBatch(2)
	for _, place := range []string{"1", "2", "9001", "0"} { // one row's, and two that no row makes
		also.Append([]byte("5"))
		also.Append([]byte(place))
	}
	for _, id := range []string{"3", "4", "6"} {
		also.Append([]byte(id))
		also.Append([]byte("1"))
	}
	keys, images := row.NewBatch(2), row.NewBatch(2)
	r, err := v.Recorder.Take(t.Context(), driver.Want{Table: letter, Shape: shape, Most: 100, Also: also}, keys, images)
	must(err)
	// Two entries of the record, 0 and 1, and two of the rows asked for, 5 and 3, with the keys that no row makes.
	if r.Entries() != 2 || !r.Cut() || keys.Len() != 4*9_000+2 || images.Len() != 8 {
		t.Errorf("%d entries, cut %v, %d keys, %d rows", r.Entries(), r.Cut(), keys.Len(), images.Len())
	}
	must(r.Close())
	var found []string
	c, err := v.Reader.Read(t.Context(), driver.Query{Table: letter, Shape: shape, Keys: also})
	must(err)
	must(cmp.Or(fillAll(t.Context(), c, func(b *row.Batch, i int) {
		found = append(found, string(b.Cell(i, 0))+"/"+string(b.Cell(i, 1)))
	}), c.Close()))
	slices.Sort(found)
	if got := strings.Join(found, " "); got != "3/1 4/1 5/1 5/2 6/1" {
		t.Errorf("read by key: %s", got)
	}
}

// fillAll hands every row of a cursor to use.
func fillAll(ctx context.Context, c driver.Cursor, use func(b *row.Batch, i int)) error {
	b := row.NewBatch(2)
	for {
		err := c.Fill(ctx, b)
		for i := range b.Len() {
			use(b, i)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
