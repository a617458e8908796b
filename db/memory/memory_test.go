package memory_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var ctx = context.Background()

// people is a table with a primary key and a unique name that may be NULL.
func people() (*schema.Table, schema.Shape) {
	id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 64}}
	name := &schema.Column{Name: "name", Type: schema.Type{Kind: row.Text}, Null: true}
	t := &schema.Table{
		Name: schema.Name{Schema: "main", Name: "people"}, Number: 1, Columns: []*schema.Column{id, name},
		Primary: &schema.Key{Name: "people_pk", Columns: []schema.Part{{Column: "id"}}, Constraint: true},
		Uniques: []*schema.Key{{Name: "people_name", Columns: []schema.Part{{Column: "name"}}}},
	}
	return t, schema.Shape{Columns: []schema.ShapeColumn{{Column: id, Cell: row.Int}, {Column: name, Cell: row.Text}}, Key: []int{0}}
}

func cell(s string) []byte { return []byte(s) }

func id(n int) row.Key { return row.MakeKey(cell(strconv.Itoa(n))) }

func server(t *testing.T) (*memory.Server, *schema.Table, schema.Shape) {
	t.Helper()
	s := memory.New(t.Name())
	table, shape := people()
	must(t, s.Create(table))
	return s, table, shape
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClass(t *testing.T, err error, want driver.Class) {
	t.Helper()
	if got := (memory.Dialect{}).Classify(err); got != want {
		t.Fatalf("class %d, want %d: %v", got, want, err)
	}
}

func ids(b *row.Batch) []string {
	var all []string
	for i := range b.Len() {
		all = append(all, string(b.Cell(i, 0)))
	}
	return all
}

func TestWhatIsNotCommittedIsNotSeen(t *testing.T) {
	s, table, shape := server(t)
	x := s.Begin()
	must(t, x.Insert(table.Name, cell("1"), cell("ada")))
	if n := s.Rows(table.Name).Len(); n != 0 {
		t.Fatalf("%d rows seen before the commit", n)
	}
	c, err := s.Open(driver.Source).Reader.Read(ctx, driver.Query{Table: table, Shape: shape})
	must(t, err)
	must(t, x.Commit())
	b := row.NewBatch(2)
	if err := c.Fill(ctx, b); !errors.Is(err, io.EOF) || b.Len() != 0 {
		t.Fatalf("the cursor's snapshot moved: %d rows, %v", b.Len(), err)
	}
	must(t, c.Close())
	if n := s.Rows(table.Name).Len(); n != 1 {
		t.Fatalf("%d rows after the commit", n)
	}
}

func TestAWrittenRowIsLocked(t *testing.T) {
	s, table, _ := server(t)
	x := s.Begin()
	must(t, x.Insert(table.Name, cell("1"), cell("ada")))
	must(t, x.Commit())
	x, y := s.Begin(), s.Begin()
	must(t, x.Update(table.Name, id(1), cell("1"), cell("eve")))
	wantClass(t, y.Delete(table.Name, id(1)), driver.Transient)
	wantClass(t, y.Insert(table.Name, cell("2"), cell("ada")), driver.Transient)
	wantClass(t, y.Insert(table.Name, cell("2"), cell("eve")), driver.Transient)
	x.Rollback()
	must(t, y.Insert(table.Name, cell("2"), cell("eve")))
	wantClass(t, y.Insert(table.Name, cell("3"), cell("eve")), driver.Conflict)
	must(t, y.Insert(table.Name, cell("3"), nil))
	must(t, y.Insert(table.Name, cell("10"), nil))
	must(t, y.Commit())
	if got := ids(s.Rows(table.Name)); !slices.Equal(got, []string{"1", "2", "3", "10"}) {
		t.Fatal(got)
	}
}

func TestALateCommitIsRecordedInTheMidst(t *testing.T) {
	s, table, shape := server(t)
	d := s.Open(driver.Source)
	must(t, d.Capturer.Install(ctx, table, shape, driver.Wait{}))
	late, early := s.Begin(), s.Begin()
	must(t, late.Insert(table.Name, cell("1"), nil))
	must(t, early.Insert(table.Name, cell("2"), nil))
	must(t, early.Commit())
	keys, images := row.NewBatch(1), row.NewBatch(2)
	want := driver.Want{Table: table, Shape: shape, Lanes: 1, Most: 10}
	r, err := d.Recorder.Take(ctx, want, keys, images)
	must(t, err)
	must(t, late.Commit())
	must(t, r.Forget(ctx, 1))
	must(t, r.Close())
	keys.Reset()
	images.Reset()
	r, err = d.Recorder.Take(ctx, want, keys, images)
	must(t, err)
	defer r.Close()
	if r.Entries() != 1 || !slices.Equal(ids(images), []string{"1"}) {
		t.Fatalf("the late change is not there: %d entries, rows %v", r.Entries(), ids(images))
	}
}

func TestACrashTakesBackWhatIsNotDurable(t *testing.T) {
	s, table, shape := server(t)
	s.Lazy = true
	d := s.Open(driver.Source)
	insert := func(n string) {
		x := s.Begin()
		must(t, x.Insert(table.Name, cell(n), cell("name "+n)))
		must(t, x.Commit())
	}
	insert("1")
	c, err := d.Reader.Read(ctx, driver.Query{Table: table, Shape: shape})
	must(t, err)
	must(t, c.Durable(ctx))
	prepared := s.Begin()
	must(t, prepared.Insert(table.Name, cell("3"), nil))
	must(t, prepared.Prepare()) // which is durable, with what came before it
	insert("2")
	s.Crash()
	wantClass(t, c.Durable(ctx), driver.Lost)
	if got := ids(s.Rows(table.Name)); !slices.Equal(got, []string{"1"}) {
		t.Fatal(got)
	}
	insert("2")
	must(t, prepared.Commit())
	if got := ids(s.Rows(table.Name)); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Fatal(got)
	}
}

func TestFaultsDecideTheFate(t *testing.T) {
	for _, c := range []struct {
		at   string
		err  error
		want driver.Class
		rows int
	}{
		{"before Load.Write", memory.ErrCut, driver.Lost, 0},
		{"after Load.Write", memory.ErrCrash, driver.Lost, 0},
		{"before Load.Commit", memory.ErrCrash, driver.Unknown, 0},
		{"after Load.Commit", memory.ErrCut, driver.Unknown, 1},
		{"before Load.Write", memory.Fail(driver.Full, "disk full"), driver.Full, 0},
	} {
		s, table, shape := server(t)
		d := s.Open(driver.Target)
		must(t, d.Ledger.Prepare(ctx, "run"))
		epoch, err := d.Ledger.TakeOver(ctx)
		must(t, err)
		s.Fault = func(op string) error {
			if op == c.at {
				return c.err
			}
			return nil
		}
		l, err := d.Loader.Load(ctx, driver.Intake{Table: table, Shape: shape, Range: row.Range{Number: 1}, Epoch: epoch})
		must(t, err)
		b := row.NewBatch(2)
		b.AppendString("1")
		b.AppendNull()
		if err = l.Write(ctx, b); err == nil {
			_, err = l.Commit(ctx)
		}
		must(t, l.Close())
		wantClass(t, err, c.want)
		ranges, err := d.Ledger.Ranges(ctx, table)
		must(t, err)
		if got := s.Rows(table.Name).Len(); got != c.rows || len(ranges) != c.rows {
			t.Errorf("%s %v: %d rows, %d ranges, want %d", c.at, c.err, got, len(ranges), c.rows)
		}
		if n := s.Sessions(); n != 0 {
			t.Errorf("%s %v: %d sessions left", c.at, c.err, n)
		}
	}
}

func TestClosingADatabaseEndsItsSessionsOnly(t *testing.T) {
	s, table, shape := server(t)
	a, b := s.Open(driver.Source), s.Open(driver.Source)
	one, err := a.Reader.Read(ctx, driver.Query{Table: table, Shape: shape})
	must(t, err)
	two, err := b.Reader.Read(ctx, driver.Query{Table: table, Shape: shape})
	must(t, err)
	must(t, a.Close())
	must(t, a.Close())
	batch := row.NewBatch(2)
	wantClass(t, one.Fill(ctx, batch), driver.Lost)
	if err := two.Fill(ctx, batch); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	must(t, two.Close())
}
