package sqlite

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// powered is a file on a disk that can lose its power, with an application that has nothing written to the disk when it commits.
type powered struct {
	t    *testing.T
	disk *testserver.Disk
	path string
	app  application
	db   *driver.Database
}

// inTheLight runs a test of the table a with the file open as a side, in each of the ways in which a file keeps what is not yet in it.
func inTheLight(t *testing.T, side driver.Side, test func(p *powered, table *schema.Table, shape schema.Shape)) {
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			p := lights(t, mode)
			p.open(side)
			table, shape := shaped(t, p.db, "a", 1)
			test(p, table, shape)
		})
	}
}

// lights makes the file, with a table on the disk.
func lights(t *testing.T, mode string) *powered {
	t.Helper()
	disk := testserver.NewDisk(t, 32)
	p := &powered{t: t, disk: disk, path: filepath.Join(disk.Path, "a.db")}
	app := connectApp(t, p.path)
	app.must(t, "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = "+mode+"; CREATE TABLE a (id INTEGER PRIMARY KEY)")
	if err := app.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// open opens the file as a side and as the application.
func (p *powered) open(side driver.Side) {
	p.t.Helper()
	p.app = connectApp(p.t, p.path)
	p.app.must(p.t, "PRAGMA synchronous = OFF")
	p.db = openAt(p.t, p.path, side)
}

// out loses the power and returns the rows of the table that are there afterwards.
func (p *powered) out() []string {
	p.t.Helper()
	if err := p.disk.LosePower(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.app.Close()
	_ = p.db.Close()
	app := connectApp(p.t, p.path)
	defer app.Close()
	return app.query(p.t, "SELECT id FROM a ORDER BY id")
}

// C7: what the application has committed without the disk is gone when the power is; what was read by a cursor that was asked for Durable is not.
func TestWithoutDurableARowIsLostWithThePower(t *testing.T) {
	for _, asked := range []bool{false, true} {
		inTheLight(t, driver.Source, func(p *powered, table *schema.Table, shape schema.Shape) {
			t := p.t
			p.app.must(t, "INSERT INTO a VALUES (1)")
			c, err := p.db.Reader.Read(t.Context(), driver.Query{Table: table, Shape: shape})
			if err != nil {
				t.Fatal(err)
			}
			b := row.NewBatch(1)
			if err := c.Fill(t.Context(), b); !errors.Is(err, io.EOF) || b.Len() != 1 {
				t.Fatalf("%d rows were read, %v", b.Len(), err)
			}
			if asked {
				if err := c.Durable(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			_ = c.Close()
			if there := p.out(); (len(there) == 1) != asked {
				t.Errorf("asked for Durable: %v; %v is there without power", asked, there)
			}
		})
	}
}

// A batch that was promised has its rows, its entries and its promise on the disk.
func TestAPromiseOutlivesThePower(t *testing.T) {
	inTheLight(t, driver.Source, func(p *powered, table *schema.Table, shape schema.Shape) {
		t := p.t
		wait := driver.Wait{Lock: lockWait, Settled: lockWait}
		if err := p.db.Capturer.Install(t.Context(), table, shape, wait); err != nil {
			t.Fatal(err)
		}
		p.app.must(t, "INSERT INTO a VALUES (1)")
		keys, images := row.NewBatch(1), row.NewBatch(1)
		r, err := p.db.Recorder.Take(t.Context(), driver.Want{Table: table, Shape: shape, Lanes: 1, Epoch: 1, Most: 10}, keys, images)
		if err != nil || images.Len() != 1 {
			t.Fatalf("%d rows were taken, %v", images.Len(), err)
		}
		if err := r.Durable(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		there := p.out()
		db := openAt(t, p.path, driver.Source)
		defer closed(t, db)
		n, failed := db.Recorder.Numbers(t.Context(), table, 0)
		backlog, err := db.Recorder.Backlog(t.Context(), table)
		if err := errors.Join(failed, err); err != nil || !slices.Equal(there, []string{"1"}) || n.Promised != 1 || backlog.Entries != 1 {
			t.Errorf("rows %v, batch %d promised, %d entries, %v", there, n.Promised, backlog.Entries, err)
		}
	})
}

// What a target says is loaded or applied is on the disk.
func TestWhatIsAppliedOutlivesThePower(t *testing.T) {
	inTheLight(t, driver.Target, func(p *powered, table *schema.Table, shape schema.Shape) {
		t := p.t
		epoch := epochOf(t, p.db)
		one, two := row.NewBatch(1), row.NewBatch(1)
		if err := errors.Join(one.AppendRow(row.MakeKey([]byte("1"))), two.AppendRow(row.MakeKey([]byte("2")))); err != nil {
			t.Fatal(err)
		}
		l, err := p.db.Loader.Load(t.Context(), driver.Intake{Table: table, Shape: shape, Range: row.Range{Number: 1}, Epoch: epoch})
		if err == nil {
			err = l.Write(t.Context(), one)
		}
		if err == nil {
			_, err = l.Commit(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		p.loaded(epoch, table, "1")
		p.open(driver.Target)
		d := driver.Delta{Table: table, Shape: shape, Epoch: epoch, Number: 1, By: epoch, Keys: two, Images: two, Mended: row.NewBatch(1), Note: true}
		if err := p.db.Applier.Apply(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		p.loaded(epoch, table, "1", "2")
		db := openAt(t, p.path, driver.Target)
		defer closed(t, db)
		if n, err := db.Ledger.Number(t.Context(), table, 0); err != nil || n.Number != 1 {
			t.Errorf("batch %d is in the ledger, %v", n.Number, err)
		}
	})
}

// loaded fails the test unless these rows, the epoch and the range are there after the power was lost.
func (p *powered) loaded(epoch int64, table *schema.Table, rows ...string) {
	p.t.Helper()
	there := p.out()
	db := openAt(p.t, p.path, driver.Target)
	defer closed(p.t, db)
	now, failed := db.Ledger.Epoch(p.t.Context())
	ranges, err := db.Ledger.Ranges(p.t.Context(), table)
	if err := errors.Join(failed, err); err != nil || now != epoch || !slices.Equal(there, rows) || ranges[1] != 1 {
		p.t.Errorf("rows %v and not %v; epoch %d and not %d; ranges %v; %v", there, rows, now, epoch, ranges, err)
	}
}
