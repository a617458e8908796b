package mysql

import (
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// side is one open database with what tests need beside it.
type side struct {
	*driver.Database
	t   *testing.T
	ctx context.Context
	d   *database
}

func open(t *testing.T, address string, part driver.Side) *side {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Driver.Open(t.Context(), u, driver.Options{Side: part, Run: "test", Sessions: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &side{db, t, t.Context(), db.Executor.(*database)}
}

func source(t *testing.T) *side { t.Helper(); return open(t, testserver.MariaDB(t), driver.Source) }
func target(t *testing.T) *side {
	t.Helper()
	s := open(t, testserver.MariaDB(t), driver.Target)
	if err := s.Ledger.Prepare(s.ctx, "test"); err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually asks until it is so, for a minute.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("it is not so that %s", what)
		}
	}
}

// app is a session as the application has it, without our settings.
type app struct {
	*session
	t *testing.T
}

func (s *side) app() *app {
	s.t.Helper()
	plain := &database{cfg: s.d.cfg, schema: s.d.schema, version: s.d.version, options: driver.Options{Side: "app", Run: "app"}}
	ses, err := connect(s.ctx, plain)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(ses.end)
	a := &app{ses, s.t}
	a.do("SET sql_mode='STRICT_TRANS_TABLES', @whimbrel_run=NULL, innodb_lock_wait_timeout=10")
	return a
}

func (a *app) do(statements ...string) {
	a.t.Helper()
	for _, sql := range statements {
		if err := a.run(context.Background(), sql); err != nil {
			a.t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (a *app) text(sql string) string {
	a.t.Helper()
	lines, err := a.rows(context.Background(), sql)
	if err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(flat(lines), "\n")
}

// sees waits until so many sessions of the database wait for a table that others hold.
func (a *app) sees(waiting string) {
	a.t.Helper()
	eventually(a.t, waiting+" sessions wait for a table", func() bool {
		return a.text("SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata%' AND db = DATABASE()") == waiting
	})
}

func (s *side) do(statements ...string) {
	s.t.Helper()
	for _, sql := range statements {
		if err := s.Executor.Execute(s.ctx, driver.Statement{Purpose: "test", SQL: sql}); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (s *side) plan(all []driver.Statement) {
	s.t.Helper()
	for _, st := range all {
		if err := s.Executor.Execute(s.ctx, st); err != nil {
			s.t.Fatalf("%s\n%v", st.SQL, err)
		}
	}
}

// inspect returns a table as the inspector sees it, numbered 1.
func (s *side) inspect(name string) *schema.Table {
	s.t.Helper()
	found, err := s.Inspector.Inspect(s.ctx, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	t := found.Table(schema.Name{Schema: s.Info.Schema, Name: name})
	if t == nil {
		s.t.Fatalf("no table %s", name)
	}
	t.Number = 1
	return t
}

func shapeOf(t *schema.Table) schema.Shape {
	var s schema.Shape
	at := map[string]int{}
	for _, c := range t.Columns {
		if c.Generated == nil {
			at[c.Name] = len(s.Columns)
			s.Columns = append(s.Columns, schema.ShapeColumn{Column: c, Cell: c.Type.Kind, Scale: c.Type.Scale, Digits: c.Type.Scale})
		}
	}
	if k := t.LiveKey(); k != nil {
		for _, n := range k.Names() {
			s.Key = append(s.Key, at[n])
		}
	}
	return s
}

// read returns every row of a query as lines of cells, NULL as ~.
func (s *side) read(q driver.Query) []string {
	s.t.Helper()
	c, err := s.Reader.Read(s.ctx, q)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	var all []string
	b := row.NewBatch(q.Shape.Width())
	for {
		err := c.Fill(s.ctx, b)
		if err != nil && err != io.EOF {
			s.t.Fatal(err)
		}
		all = append(all, show(b)...)
		if err == io.EOF {
			break
		}
	}
	if err := c.Durable(s.ctx); err != nil {
		s.t.Fatal(err)
	}
	return all
}

func show(b *row.Batch) []string {
	var all []string
	for i := range b.Len() {
		cells := make([]string, b.Width())
		for c := range cells {
			cells[c] = "~"
			if cell := b.Cell(i, c); cell != nil {
				cells[c] = string(cell)
			}
		}
		all = append(all, strings.Join(cells, "|"))
	}
	return all
}

func batch(width int, lines ...[]string) *row.Batch {
	b := row.NewBatch(width)
	for _, l := range lines {
		for _, cell := range l {
			if cell == "~" {
				b.AppendNull()
			} else {
				b.AppendString(cell)
			}
		}
	}
	return b
}

func (s *side) load(epoch int64, t *schema.Table, shape schema.Shape, number int, b *row.Batch) error {
	l, err := s.Loader.Load(s.ctx, driver.Intake{Table: t, Shape: shape, Range: row.Range{Number: number}, Epoch: epoch})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Write(s.ctx, b); err != nil {
		return err
	}
	n, err := l.Commit(s.ctx)
	if err == nil && n != int64(b.Len()) {
		return errors.New("another count")
	}
	return err
}

func (s *side) takeOver() int64 {
	s.t.Helper()
	e, err := s.Ledger.TakeOver(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

func (s *side) class(err error, want driver.Class) {
	s.t.Helper()
	if got := s.Dialect.Classify(err); err == nil || got != want {
		s.t.Fatalf("class %d, not %d, of %v", got, want, err)
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\n got %q\nwant %q", what, got, want)
	}
}

var brief = driver.Wait{Lock: time.Second, Settled: time.Second}

func TestOpenAndCloseLeavesNothing(t *testing.T) {
	address := testserver.MariaDB(t)
	before := goleak.IgnoreCurrent()
	u, _ := url.Parse(address)
	db, err := Driver.Open(t.Context(), u, driver.Options{Side: driver.Source, Run: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if db.Info.Product != "mariadb" || db.Info.Schema == "" || strings.Contains(db.Info.Name, "secret") {
		t.Fatalf("%+v", db.Info)
	}
	if _, err := db.Inspector.Settings(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	_ = db.Close()
	goleak.VerifyNone(t, before)

	u.User = url.UserPassword("whimbrel", "wrong-word")
	if _, err := Driver.Open(t.Context(), u, driver.Options{Side: driver.Source, Run: "test"}); err == nil || strings.Contains(err.Error(), "wrong-word") {
		t.Fatalf("a wrong password: %v", err)
	}
}

// TestTimesAreCutToTheDigitsThatTravel, and end without zeros.
func TestTimesAreCutToTheDigitsThatTravel(t *testing.T) {
	for _, c := range []struct {
		kind   row.Kind
		said   string
		digits int
		want   string
	}{
		{row.Timestamp, "2024-03-31 02:30:00.123456", 6, "2024-03-31 02:30:00.123456"},
		{row.Timestamp, "2024-03-31 02:30:00.123456", 5, "2024-03-31 02:30:00.12345"},
		{row.Timestamp, "2024-03-31 02:30:00.123456", 0, "2024-03-31 02:30:00"},
		{row.Timestamp, "2024-03-31 02:30:00.100000", 6, "2024-03-31 02:30:00.1"},
		{row.Time, "23:59:59.000009", 5, "23:59:59"},
		{row.Duration, "-838:59:58.999999", 2, "-838:59:58.99"},
		{row.Duration, "00:00:00", 6, "00:00:00"},
	} {
		s := schema.Shape{Columns: []schema.ShapeColumn{{Column: &schema.Column{Name: "c", Type: schema.Type{Kind: c.kind, Raw: "datetime(6)"}}, Cell: c.kind, Digits: c.digits}}}
		b := row.NewBatch(1)
		if why := newCells(&schema.Table{}, s).text(b, 0, []byte(c.said)); why != "" || string(b.Cell(0, 0)) != c.want {
			t.Errorf("%s with %d digits: %s %s", c.said, c.digits, b.Cell(0, 0), why)
		}
	}
}

// TestDatesThatOthersHaveNotAreLeftOut where the operator has accepted that, and only those.
func TestDatesThatOthersHaveNotAreLeftOut(t *testing.T) {
	for said, gone := range map[string]bool{
		"0000-00-00": true, "2024-00-15": true, "2024-02-00": true, "0000-00-00 00:00:00": true, "2024-10-00 10:00:00": true, "0000-05-06": true, "0000-05-06 07:08:09": true,
		"2024-02-29": false, "0001-01-01": false, "9999-12-31": false, "2024-10-10 00:00:00": false, "2000-10-20 00:00:00.5": false,
	} {
		for _, lenient := range []bool{true, false} {
			kind, raw := row.Date, "date"
			if len(said) > 10 {
				kind, raw = row.Timestamp, "datetime(6)"
			}
			c := schema.ShapeColumn{Column: &schema.Column{Name: "c", Type: schema.Type{Kind: kind, Raw: raw}}, Cell: kind, Digits: 6, Lenient: lenient}
			b := row.NewBatch(1)
			why := newCells(&schema.Table{}, schema.Shape{Columns: []schema.ShapeColumn{c}}).text(b, 0, []byte(said))
			if null := b.Cell(0, 0) == nil; why != "" || null != (gone && lenient) || !null && string(b.Cell(0, 0)) != said {
				t.Errorf("%s, lenient %t: %q %s", said, lenient, b.Cell(0, 0), why)
			}
		}
	}
}
