package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// newFile makes a file in WAL mode with these statements run on it.
func newFile(t testing.TB, sql string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a b?#%.db")
	app := connectApp(t, path)
	defer app.Close()
	app.must(t, "PRAGMA journal_mode = WAL; "+sql)
	return path
}

// shaped inspects one table and makes the shape in which every column travels as its own kind.
func shaped(t testing.TB, d *driver.Database, name string, no int) (*schema.Table, schema.Shape) {
	t.Helper()
	found, err := d.Inspector.Inspect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	table := found.Table(named(name))
	if table == nil {
		t.Fatalf("no table %q among %d", name, len(found.Tables))
	}
	table.Number = no
	return table, shapeOf(table)
}

func shapeOf(table *schema.Table) schema.Shape {
	var sh schema.Shape
	for _, c := range table.Columns {
		if c.Generated == nil {
			sh.Columns = append(sh.Columns, schema.ShapeColumn{Column: c, Cell: c.Type.Kind, Scale: c.Type.Scale, Digits: 6})
		}
	}
	if k := table.LiveKey(); k != nil {
		for _, n := range k.Names() {
			sh.Key = append(sh.Key, slices.Index(sh.Names(), n))
		}
	}
	return sh
}

// copyOf makes the table at another file through the dialect, with its keys.
func copyOf(t testing.TB, d *driver.Database, source *schema.Table) (*schema.Table, schema.Shape) {
	t.Helper()
	table := *source
	table.Columns = nil
	for _, c := range source.Columns {
		made := *c
		made.Type, _ = d.Dialect.Carry(c.Type, false)
		if source.Primary != nil && len(source.Primary.Columns) == 1 && source.Primary.Columns[0].Column == c.Name {
			made.Type, _ = d.Dialect.Carry(c.Type, true)
		}
		table.Columns = append(table.Columns, &made)
	}
	for _, st := range append(d.Dialect.CreateTable(&table), d.Dialect.CreateKeys(&table)...) {
		if err := d.Executor.Execute(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	return &table, shapeOf(&table)
}

// twins is a captured source table and its copy, kept equal by taking, applying and forgetting.
type twins struct {
	t              testing.TB
	source, target *driver.Database
	st, tt         *schema.Table
	ss, ts         schema.Shape
	epoch, number  int64
}

func newTwins(t testing.TB, path, name string) *twins {
	t.Helper()
	p := &twins{t: t, source: openAt(t, path, driver.Source), target: openAt(t, filepath.Join(t.TempDir(), "target.db"), driver.Target)}
	t.Cleanup(func() { p.check(errors.Join(p.source.Close(), p.target.Close())) })
	p.st, p.ss = shaped(t, p.source, name, 1)
	p.check(p.source.Capturer.Install(t.Context(), p.st, p.ss, driver.Wait{}))
	p.check(p.source.Capturer.Install(t.Context(), p.st, p.ss, driver.Wait{}))
	p.check(p.target.Ledger.Prepare(t.Context(), "test-run"))
	var err error
	p.epoch, err = p.target.Ledger.TakeOver(t.Context())
	p.check(err)
	p.tt, p.ts = copyOf(t, p.target, p.st)
	p.load()
	return p
}

func (p *twins) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// load copies the table as it is now.
func (p *twins) load() {
	p.t.Helper()
	ctx := p.t.Context()
	l, err := p.target.Loader.Load(ctx, driver.Intake{Table: p.tt, Shape: p.ts, Range: row.Range{Number: 1}, Epoch: p.epoch})
	p.check(err)
	defer l.Close()
	b := row.NewBatch(p.ss.Width())
	c, err := p.source.Reader.Read(ctx, driver.Query{Table: p.st, Shape: p.ss})
	p.check(err)
	defer c.Close()
	for err == nil {
		err = c.Fill(ctx, b)
		p.check(l.Write(ctx, b))
	}
	_, err = l.Commit(ctx)
	p.check(err)
}

// round takes up to most entries and applies them; it reports whether anything was left to do.
func (p *twins) round(most int) bool {
	p.t.Helper()
	ctx := p.t.Context()
	also := row.NewBatch(len(p.ts.Key))
	stamp, err := p.target.Lists.Peek(ctx, driver.Repairs, p.tt, most, also)
	p.check(err)
	keys, images := row.NewBatch(len(p.ss.Key)), row.NewBatch(p.ss.Width())
	r, err := p.source.Recorder.Take(ctx, driver.Want{Table: p.st, Shape: p.ss, Lanes: 1, Most: most, Also: also}, keys, images)
	p.check(err)
	defer r.Close()
	if r.Entries() == 0 && also.Len() == 0 {
		return false
	}
	p.number++
	p.check(r.Durable(ctx, p.number))
	p.check(p.target.Applier.Apply(ctx, driver.Delta{
		Table: p.tt, Shape: p.ts, Epoch: p.epoch, Number: p.number,
		Keys: keys, Images: images, Mended: also, Stamp: stamp,
	}))
	p.check(r.Forget(ctx, p.number))
	return true
}

// equal replays until nothing is left and compares the files.
func (p *twins) equal(what string, most int) {
	p.t.Helper()
	for n := 0; p.round(most); n++ {
		if n > 10_000 {
			p.t.Fatalf("%s: replay does not end", what)
		}
	}
	got, want := p.rows(p.target, p.tt, p.ts), p.rows(p.source, p.st, p.ss)
	if !slices.Equal(got, want) {
		p.t.Fatalf("%s: target\n%s\nsource\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (p *twins) rows(d *driver.Database, table *schema.Table, sh schema.Shape) []string {
	p.t.Helper()
	c, err := d.Reader.Read(p.t.Context(), driver.Query{Table: table, Shape: sh, Order: driver.KeyOrder})
	p.check(err)
	defer c.Close()
	b := row.NewBatch(sh.Width())
	var all []string
	for err == nil {
		err = c.Fill(p.t.Context(), b)
		for i := range b.Len() {
			all = append(all, fmt.Sprintf("%q", b.Row(i)))
		}
	}
	if err.Error() != "EOF" {
		p.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// TestEveryWriteIsNoted: each way in which a row of SQLite can change arrives, with the application's recursive_triggers
// on and off (HAZARDS 14), at a target that has its other unique keys and at one that has not: those would take away what was not noted.
func TestEveryWriteIsNoted(t *testing.T) {
	const table = `CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2), (3);
		CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE, v TEXT COLLATE NOCASE, w INT, p INT REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE,
			g TEXT GENERATED ALWAYS AS (lower(v)) VIRTUAL);
		CREATE UNIQUE INDEX tv ON t (v); CREATE UNIQUE INDEX tl ON t (abs(w)) WHERE w IS NOT NULL; CREATE UNIQUE INDEX tg ON t (g);
		INSERT INTO t (id, u, v, w, p) VALUES (1, 'a', 'A', 1, 1), (2, 'b', 'B', 2, 1), (3, 'c', 'C', 3, 2), (4, 'd', 'D', 4, NULL), (5, 'e', 'E', 5, 3)`
	writes := []string{
		"INSERT INTO t (id, u) VALUES (6, 'f')",
		"INSERT OR REPLACE INTO t (id, u, v) VALUES (3, 'new', 'x')",
		"REPLACE INTO t (id, v) VALUES (7, 'b')",
		"INSERT INTO t (id, u) VALUES (8, 'a')",
		"INSERT OR REPLACE INTO t (id, w) VALUES (9, -4)",
		"UPDATE OR REPLACE t SET v = 'e' WHERE id = 1",
		"UPDATE t SET u = 'b' WHERE id = 4",
		"UPDATE OR REPLACE t SET w = -2 WHERE id = 1",
		"UPDATE OR REPLACE t SET id = 2 WHERE id = 1",
		"UPDATE OR REPLACE t SET rowid = 5 WHERE id = 3",
		"INSERT INTO t (id, w) VALUES (1, 100) ON CONFLICT (id) DO UPDATE SET w = 100",
		"INSERT OR IGNORE INTO t (id, u) VALUES (1, 'ignored')",
		"DELETE FROM p WHERE id = 1", "UPDATE p SET id = 20 WHERE id = 2",
		"UPDATE t SET id = id + 100", "UPDATE t SET id = -id", "DELETE FROM t",
		"SAVEPOINT s; INSERT INTO t (id) VALUES (50); ROLLBACK TO s; INSERT INTO t (id) VALUES (51); RELEASE s",
		"BEGIN; INSERT INTO t (id) VALUES (60); ROLLBACK",
		"BEGIN; UPDATE t SET id = 0 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 0; COMMIT",
	}
	for _, way := range []string{"OFF", "ON", "OFF without keys"} {
		recursive, _, bare := strings.Cut(way, " ")
		for _, write := range writes {
			t.Run(way+" "+write, func(t *testing.T) {
				path := newFile(t, table)
				p := newTwins(t, path, "t")
				if bare {
					target := connectApp(t, p.target.Info.Name[len("sqlite "):])
					target.must(t, "DROP INDEX t_key_1; DROP INDEX tv; DROP INDEX tl; DROP INDEX tg")
					target.Close()
				}
				app := connectApp(t, path)
				defer app.Close()
				app.must(t, "PRAGMA recursive_triggers = "+recursive+"; "+write)
				p.equal(write, 100)
			})
		}
	}
}

// TestReplaceWithoutItsTriggerIsLost shows why the displacing triggers are there: with the target's own unique key not yet
// built, a row that REPLACE removed at the source stays at the target.
func TestReplaceWithoutItsTriggerIsLost(t *testing.T) {
	for _, with := range []string{"with", "without"} {
		path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
		p := newTwins(t, path, "t")
		tapp := connectApp(t, p.target.Info.Name[len("sqlite "):])
		tapp.must(t, "DROP INDEX t_key_1")
		tapp.Close()
		app := connectApp(t, path)
		if with == "without" {
			app.must(t, "DROP TRIGGER whimbrel_displace_insert_1")
		}
		app.must(t, "REPLACE INTO t VALUES (3, 'a')")
		app.Close()
		for p.round(100) {
		}
		same := slices.Equal(p.rows(p.target, p.tt, p.ts), p.rows(p.source, p.st, p.ss))
		if same != (with == "with") {
			t.Errorf("%s the trigger: equal %t", with, same)
		}
	}
}

// TestKeysAreNotedByteForByte: case-only changes under NOCASE, trailing NUL, other storage classes (HAZARDS 26, 61).
func TestKeysAreNotedByteForByte(t *testing.T) {
	path := newFile(t, `CREATE TABLE t (k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), ('b', x'00'), ('c', 1.5)`)
	other := newFile(t, `CREATE TABLE u (a INT NOT NULL, b BLOB NOT NULL, v INT, PRIMARY KEY (a, b)); INSERT INTO u VALUES (1, x'31', 1), (1, x'', 2)`)
	p := newTwins(t, path, "t")
	app := connectApp(t, path)
	defer app.Close()
	for _, write := range []string{
		"UPDATE t SET k = 'A' WHERE k = 'a'", "REPLACE INTO t VALUES ('B', 'text')", "INSERT OR REPLACE INTO t VALUES (CAST(x'6300' AS TEXT), 1)",
		"UPDATE OR REPLACE t SET k = 'C' WHERE k = 'A'", "INSERT INTO t VALUES ('', NULL), (' ', NULL), ('''', NULL)", "DELETE FROM t WHERE k = ''",
	} {
		app.must(t, write)
		p.equal(write, 3)
	}
	q := newTwins(t, other, "u")
	second := connectApp(t, other)
	defer second.Close()
	for _, write := range []string{"UPDATE u SET a = 2 WHERE b = x''", "UPDATE u SET b = x'0031'", "DELETE FROM u"} {
		second.must(t, write)
		q.equal(write, 3)
	}
	for _, c := range []struct{ table, write, noted string }{
		{"k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY) WITHOUT ROWID; INSERT INTO x VALUES ('a')", "UPDATE x SET k = 'A'", "'A'|'a'"},
		{"k TEXT COLLATE RTRIM NOT NULL PRIMARY KEY) WITHOUT ROWID; INSERT INTO x VALUES ('a')", "UPDATE x SET k = 'a '", "'a '|'a'"},
		{"k NOT NULL PRIMARY KEY); INSERT INTO x VALUES (1)", "UPDATE x SET k = 1.0", "1.0|1"},
		{"k NOT NULL PRIMARY KEY); INSERT INTO x VALUES ('1')", "UPDATE x SET k = x'31'", "x'31'|'1'"},
		{"k NOT NULL PRIMARY KEY); INSERT INTO x VALUES ('1')", "UPDATE x SET k = '1'", "'1'"},
		{"k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY) WITHOUT ROWID; INSERT INTO x VALUES ('a')", "REPLACE INTO x VALUES ('A')", "'a'|'A'"},
		{"id INTEGER PRIMARY KEY, u TEXT COLLATE NOCASE UNIQUE); INSERT INTO x VALUES (1, 'a')", "REPLACE INTO x VALUES (2, 'A')", "1|2"},
		{"id INTEGER PRIMARY KEY, u TEXT); CREATE UNIQUE INDEX xu ON x (u COLLATE NOCASE); INSERT INTO x VALUES (1, 'a')", "REPLACE INTO x VALUES (2, 'A')", "1|2"},
	} { // beside a target that would have the new key take the old one's place
		path := newFile(t, "CREATE TABLE x ("+c.table)
		newTwins(t, path, "x")
		app := connectApp(t, path)
		app.must(t, c.write)
		if noted := strings.Join(app.query(t, "SELECT k1 FROM whimbrel_source_record_1 ORDER BY seq"), "|"); noted != c.noted {
			t.Errorf("%s of %s: noted %s, want %s", c.write, c.table, noted, c.noted)
		}
		app.Close()
	}
}

// TestClassesTravel: between two files a value stays of its class, in a column without a type and in one that has another (HAZARDS 61).
func TestClassesTravel(t *testing.T) {
	path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, n, i INT, x TEXT, b BLOB, f REAL, day DATE, d DECIMAL(5,2))")
	p := &twins{t: t, source: openAt(t, path, driver.Source), target: openAt(t, filepath.Join(t.TempDir(), "target.db"), driver.Target)}
	defer func() { p.check(errors.Join(p.source.Close(), p.target.Close())) }()
	app := connectApp(t, path)
	defer app.Close()
	for _, v := range []string{"1", "'1'", "x'31'", "1.0", "'1.0'", "1.5", "-0.0", "9e999", "''", "x''", "'it''s'", "'x''31'''", "x'2731'", "'2024-01-01'", "NULL"} {
		app.must(t, "INSERT INTO t (n, i, x, b, f, day, d) VALUES ("+strings.TrimSuffix(strings.Repeat(v+", ", 7), ", ")+")")
	}
	as := func(table *schema.Table, sh schema.Shape) (*schema.Table, schema.Shape) {
		for i := range sh.Columns {
			sh.Columns[i].Cell = row.Other // as between two databases whose columns hold values of any class
		}
		return table, sh
	}
	p.st, p.ss = as(shaped(t, p.source, "t", 1))
	p.check(p.source.Capturer.Install(t.Context(), p.st, p.ss, driver.Wait{}))
	p.check(p.target.Ledger.Prepare(t.Context(), "test-run"))
	var err error
	p.epoch, err = p.target.Ledger.TakeOver(t.Context())
	p.check(err)
	p.tt, p.ts = as(copyOf(t, p.target, p.st))
	there := connectApp(t, p.target.Info.Name[len("sqlite "):])
	defer there.Close()
	equal := func(how string) {
		t.Helper()
		const said = "SELECT concat_ws(' ', id, quote(n), quote(i), quote(x), quote(b), quote(f), quote(day), quote(d)) FROM t ORDER BY id"
		if got, want := there.query(t, said), app.query(t, said); !slices.Equal(got, want) {
			t.Errorf("%s\n%s\nwant\n%s", how, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	p.load()
	equal("loaded")
	app.must(t, "UPDATE t SET id = id + 100")
	for p.round(3) {
	}
	equal("applied")
}

// TestRandomWritersConverge: random statements with small batches; unique values move between rows all the time.
func TestRandomWritersConverge(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, u INT UNIQUE, v TEXT COLLATE NOCASE UNIQUE, n INT)")
		p := newTwins(t, path, "t")
		app := connectApp(t, path)
		defer app.Close()
		for n := range 300 {
			id, other := r.IntN(20)+1, r.IntN(20)+1
			write := []string{
				"INSERT OR REPLACE INTO t VALUES (%[1]d, %[2]d, 'v%[2]d', %[3]d)",
				"UPDATE OR REPLACE t SET u = %[2]d, n = %[3]d WHERE id = %[1]d",
				"UPDATE OR REPLACE t SET id = %[2]d WHERE id = %[1]d",
				"DELETE FROM t WHERE id = %[1]d",
				"INSERT OR IGNORE INTO t VALUES (%[1]d, %[2]d, 'V%[1]d', %[3]d)",
				"UPDATE t SET u = NULL WHERE id = %[1]d; UPDATE OR IGNORE t SET u = %[2]d, v = 'v%[1]d' WHERE id = %[2]d",
				"BEGIN; UPDATE OR IGNORE t SET u = -u; UPDATE OR IGNORE t SET u = 20 + u; COMMIT",
			}[r.IntN(7)]
			app.must(t, fmt.Sprintf(write+" -- %[1]d %[2]d %[3]d", id, other, n))
			if r.IntN(4) == 0 {
				p.round(r.IntN(5) + 1)
			}
		}
		p.equal(fmt.Sprint("seed ", seed), 7)
		if left := app.query(t, "SELECT count(*) FROM whimbrel_source_record_1"); left[0] != "0" {
			t.Fatalf("%s entries left", left)
		}
	}
}

// TestRecordNumbersAreNotUsedTwice (HAZARDS 39), and the application's own view of its writes stays (HAZARDS 83).
func TestRecordNumbersAreNotUsedTwice(t *testing.T) {
	path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	p := newTwins(t, path, "t")
	app := connectApp(t, path)
	defer app.Close()
	app.must(t, "INSERT INTO t VALUES (7)")
	if got := app.query(t, "SELECT last_insert_rowid(), changes()"); got[0] != "7|1" {
		t.Errorf("the application sees %s", got)
	}
	first := app.query(t, "SELECT max(seq) FROM whimbrel_source_record_1")[0]
	p.equal("drained", 10)
	app.must(t, "INSERT INTO t VALUES (8)")
	if got := app.query(t, "SELECT min(seq) FROM whimbrel_source_record_1"); got[0] <= first {
		t.Errorf("number %s again after %s", got, first)
	}
}

// TestWatcher: what a schema change means.
func TestWatcher(t *testing.T) {
	path := newFile(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE other (id INTEGER PRIMARY KEY)")
	p := newTwins(t, path, "t")
	app := connectApp(t, path)
	defer app.Close()
	o, os := shaped(t, p.source, "other", 2)
	print := func() string {
		t.Helper()
		f, err := p.source.Watcher.Fingerprint(t.Context(), p.st)
		p.check(err)
		return f
	}
	cases := []struct {
		what string
		do   func()
		want driver.Verdict
	}{
		{"nothing", func() {}, driver.Harmless},
		{"rows", func() { app.must(t, "INSERT INTO t VALUES (1, 1); DELETE FROM t") }, driver.Harmless},
		{"capture of another table", func() { p.check(p.source.Capturer.Install(t.Context(), o, os, driver.Wait{})) }, driver.Harmless},
		{"gate", func() {
			p.check(p.source.Gate.Shut(t.Context(), []*schema.Table{p.st}, driver.Wait{}))
			p.check(p.source.Gate.Reopen(t.Context(), []*schema.Table{p.st}))
		}, driver.Harmless},
		{"VACUUM", func() { app.must(t, "VACUUM") }, driver.Harmless},
		{"ANALYZE for the first time", func() { app.must(t, "ANALYZE") }, driver.Harmless},
		{"ANALYZE again", func() { app.must(t, "INSERT INTO t VALUES (7, 7); ANALYZE; DELETE FROM t") }, driver.Harmless},
		{"VACUUM twice between two looks", func() { app.must(t, "VACUUM; VACUUM") }, driver.Suspect},
		{"a trigger toggled in one transaction", func() {
			body := app.query(t, "SELECT sql FROM sqlite_schema WHERE name = 'whimbrel_delete_1'")[0]
			app.must(t, "BEGIN; DROP TRIGGER whimbrel_delete_1; "+strings.ReplaceAll(strings.Trim(body, "'"), "''", "'")+"; COMMIT")
		}, driver.Suspect},
		{"a trigger toggled", func() {
			body := app.query(t, "SELECT sql FROM sqlite_schema WHERE name = 'whimbrel_delete_1'")[0]
			app.must(t, "DROP TRIGGER whimbrel_delete_1; "+strings.ReplaceAll(strings.Trim(body, "'"), "''", "'"))
		}, driver.Suspect},
		{"a column more", func() { app.must(t, "ALTER TABLE t ADD COLUMN x") }, driver.Invalid},
		{"a trigger dropped", func() { app.must(t, "DROP TRIGGER whimbrel_delete_1") }, driver.Invalid},
		{"the table dropped", func() { app.must(t, "DROP TABLE t") }, driver.Invalid},
	}
	for _, c := range cases {
		before := print()
		c.do()
		if got, why := p.source.Watcher.Judge(before, print()); got != c.want {
			t.Errorf("%s: %s (%s), want %s", c.what, got, why, c.want)
		}
	}
}
