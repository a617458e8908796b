package postgres

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func TestMain(m *testing.M) { testserver.Main(m) }

var patience = driver.Wait{Lock: time.Second, Settled: 2 * time.Second}

// user is a person's session beside ours.
type user struct {
	t       testing.TB
	conn    *pgconn.PgConn
	address string
}

func login(t testing.TB, address string) *user {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &user{t, conn, address}
}

func (u *user) try(sql string) error {
	_, err := u.conn.Exec(u.t.Context(), sql).ReadAll()
	return err
}

func (u *user) do(sql string) {
	u.t.Helper()
	if err := u.try(sql); err != nil {
		u.t.Fatalf("%s: %v", sql, err)
	}
}

// ask returns the rows of a query, fields joined by commas, rows by semicolons.
func (u *user) ask(sql string) string {
	u.t.Helper()
	all, err := u.conn.Exec(u.t.Context(), sql).ReadAll()
	if err != nil {
		u.t.Fatalf("%s: %v", sql, err)
	}
	var lines []string
	for _, r := range all[len(all)-1].Rows {
		var fields []string
		for _, f := range r {
			if f == nil {
				fields = append(fields, "NULL")
			} else {
				fields = append(fields, string(f))
			}
		}
		lines = append(lines, strings.Join(fields, ","))
	}
	return strings.Join(lines, ";")
}

func open(t testing.TB, address string, side driver.Side) *driver.Database {
	t.Helper()
	return openFor(t, address, side, "test-1")
}

func openFor(t testing.TB, address string, side driver.Side, run string) *driver.Database {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Driver.Open(t.Context(), u, driver.Options{Side: side, Run: run, Sessions: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func inspect(t testing.TB, db *driver.Database, schemas ...string) *schema.Schema {
	t.Helper()
	s, err := db.Inspector.Inspect(t.Context(), schemas)
	if err != nil {
		t.Fatal(err)
	}
	for i, table := range s.Tables {
		table.Number = i + 1
	}
	return s
}

func tableOf(t testing.TB, db *driver.Database, name string) *schema.Table {
	t.Helper()
	found := inspect(t, db).Table(schema.Name{Schema: "public", Name: name})
	if found == nil {
		t.Fatalf("no table %s", name)
	}
	return found
}

// shapeOf is a table's shape with each column's own kind, as translate makes it between two databases of one product.
func shapeOf(table *schema.Table) schema.Shape {
	var s schema.Shape
	at := map[string]int{}
	for _, c := range table.Columns {
		if c.Generated != nil {
			continue
		}
		at[c.Name] = len(s.Columns)
		s.Columns = append(s.Columns, schema.ShapeColumn{Column: c, Cell: c.Type.Kind, Scale: c.Type.Scale, Digits: 6})
	}
	if k := table.LiveKey(); k != nil {
		for _, n := range k.Names() {
			s.Key = append(s.Key, at[n])
		}
	}
	return s
}

// twins are a source and a target with the same tables.
type twins struct {
	source, target *driver.Database
	app, there     *user // sessions of people at the source and at the target
	epoch          int64
}

func pair(t testing.TB, ddl string) *twins {
	t.Helper()
	here, there := testserver.Postgres(t), testserver.Postgres(t)
	p := &twins{app: login(t, here), there: login(t, there)}
	p.app.do(ddl)
	p.there.do(ddl)
	p.source, p.target = open(t, here, driver.Source), open(t, there, driver.Target)
	if err := p.target.Ledger.Prepare(t.Context(), "test-1"); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.epoch, err = p.target.Ledger.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// rows reads a query to its end.
func rows(t testing.TB, r driver.Reader, q driver.Query) *row.Batch {
	t.Helper()
	c, err := r.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, one := row.NewBatch(q.Shape.Width()), row.NewBatch(q.Shape.Width())
	for {
		err := c.Fill(t.Context(), one)
		for i := range one.Len() {
			if err := all.AppendRow(one.Row(i)); err != nil {
				t.Fatal(err)
			}
		}
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// loadRange puts a batch into a table as one range.
func loadRange(t testing.TB, l driver.Loader, in driver.Intake, b *row.Batch) error {
	t.Helper()
	w, err := l.Load(t.Context(), in)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Write(t.Context(), b); err != nil {
		return err
	}
	n, err := w.Commit(t.Context())
	if err == nil && n != int64(b.Len()) {
		t.Fatalf("%d rows counted of %d", n, b.Len())
	}
	return err
}

// text shows a batch: cells joined by commas, rows by semicolons.
func text(b *row.Batch) string {
	var lines []string
	for i := range b.Len() {
		var cells []string
		for j := range b.Width() {
			if b.Null(i, j) {
				cells = append(cells, "NULL")
			} else {
				cells = append(cells, string(b.Cell(i, j)))
			}
		}
		lines = append(lines, strings.Join(cells, ","))
	}
	return strings.Join(lines, ";")
}

func class(err error) driver.Class { return dialect{}.Classify(err) }
