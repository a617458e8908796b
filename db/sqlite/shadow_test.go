package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// building is a target in WAL mode with a shadow beside it.
type building struct {
	*driver.Database
	t     *testing.T
	path  string
	place driver.Shadow
	app   application
}

func newBuilding(t *testing.T, side driver.Side, statements ...string) *building {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.db")
	app := connectApp(t, path)
	app.must(t, "PRAGMA journal_mode = WAL")
	for _, sql := range statements {
		app.must(t, sql)
	}
	b := &building{openAt(t, path, side), t, path, driver.Shadow{Place: filepath.Join(filepath.Dir(path), "new release.db")}, app}
	t.Cleanup(func() { app.Close(); b.must(b.Close()) })
	return b
}

func (b *building) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *building) class(err error, want driver.Class) {
	b.t.Helper()
	if got := b.Dialect.Classify(err); err == nil || got != want {
		b.t.Fatalf("class %d, not %d, of %v", got, want, err)
	}
}

// script runs statements in the shadow, or here where place is empty.
func (b *building) script(place, statements string) error {
	b.t.Helper()
	pool, err := b.Scripts.Pool(b.t.Context(), &url.URL{Scheme: "sqlite"}, place)
	b.must(err)
	_, err = pool.Exec(statements)
	b.must(pool.Close())
	return err
}

func (b *building) tables(names ...string) []*schema.Table {
	b.t.Helper()
	found, err := b.Inspector.Inspect(b.t.Context(), nil)
	b.must(err)
	var all []*schema.Table
	for i, n := range names {
		t := found.Table(named(n))
		if t == nil {
			b.t.Fatalf("no table %s", n)
		}
		t.Number = i + 1
		all = append(all, t)
	}
	return all
}

// holding is everything in a file: what made it, and the rows of its tables.
func holding(t *testing.T, path string) string {
	t.Helper()
	app := connectApp(t, path)
	defer app.Close()
	all := app.query(t, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
	for _, name := range app.query(t, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
		all = append(all, name+": "+strings.Join(app.query(t, "SELECT * FROM "+quote(strings.Trim(name, "'"))), "; "))
	}
	return strings.Join(all, "\n")
}

// TestShadowFile: the file is its owner's alone, another's file is neither taken nor removed, and what SQLite keeps beside a file goes with it.
func TestShadowFile(t *testing.T) {
	b := newBuilding(t, driver.Source)
	ctx, place := t.Context(), b.place.Place
	for range 2 {
		b.must(b.Shadows.Make(ctx, b.place))
		at, err := os.Stat(place)
		if b.must(err); at.Mode() != 0o600 {
			t.Errorf("mode %v", at.Mode())
		}
		builder := connectApp(t, place)
		builder.must(t, "PRAGMA journal_mode = WAL; CREATE TABLE a (id); INSERT INTO a VALUES (1)")
		b.must(b.Shadows.Make(ctx, b.place))
		b.must(b.Shadows.Drop(ctx, b.place))
		builder.Close()
		b.must(b.Shadows.Drop(ctx, b.place))
		if left, err := filepath.Glob(place + "*"); err != nil || len(left) > 0 {
			t.Errorf("left %q, %v", left, err)
		}
	}
	other := connectApp(t, place)
	other.must(t, "CREATE TABLE theirs (id)")
	other.Close()
	for _, write := range []func() error{
		func() error { return nil }, // a database
		func() error {
			return os.WriteFile(place, []byte(strings.Repeat("a text, and no database\n", 200)), 0o644)
		},
		func() error { return os.WriteFile(place, nil, 0o644) },
	} {
		b.must(write())
		b.class(b.Shadows.Make(ctx, b.place), driver.Exists)
		b.must(b.Shadows.Drop(ctx, b.place))
		if _, err := os.Stat(place); err != nil {
			t.Errorf("another's file: %v", err)
		}
		if err := b.Shadows.Clone(ctx, b.place, nil); err == nil {
			t.Error("another's file takes a clone")
		}
	}
	b.class(b.Shadows.Make(ctx, driver.Shadow{Place: b.path}), driver.Exists)
	if err := b.Shadows.Make(ctx, driver.Shadow{Place: filepath.Join(place, "no", "such")}); err == nil {
		t.Error("a place in no folder is made")
	}
	b.must(os.Remove(place))
	if err := b.Shadows.Clone(ctx, b.place, nil); b.Dialect.Classify(err) != driver.Missing {
		t.Errorf("a shadow that is not made: %v", err)
	}
	if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made by the way: %v", err)
	}
}

// TestLinksInTheWayOfAShadow: a link in its place is somebody else's, also where it leads nowhere, and what has the name under which it
// is marked gives it neither its rights nor its place.
func TestLinksInTheWayOfAShadow(t *testing.T) {
	b := newBuilding(t, driver.Source)
	ctx, place := t.Context(), b.place.Place
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	b.must(os.Symlink(elsewhere, place))
	if err := b.Shadows.Make(ctx, b.place); err == nil {
		t.Error("a link became a shadow")
	}
	if _, err := os.Lstat(place); err != nil {
		t.Errorf("the link: %v", err)
	}
	b.must(os.Remove(place))
	for _, left := range []func(string) error{
		func(path string) error { return os.Symlink(elsewhere, path) },
		func(path string) error { return os.WriteFile(path, nil, 0o644) },
	} {
		b.must(left(place + ".test-run"))
		b.must(b.Shadows.Make(ctx, b.place))
		if at, err := os.Lstat(place); err != nil || at.Mode() != 0o600 {
			t.Errorf("made as %v, %v", at, err)
		}
		b.must(b.Shadows.Drop(ctx, b.place))
	}
	if _, err := os.Stat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("through a link: %v", err)
	}
}

// TestShadowMadeInHalves: a crash between two steps of Make leaves nothing that the next call does not finish or take away.
func TestShadowMadeInHalves(t *testing.T) {
	b := newBuilding(t, driver.Source)
	ctx, place := t.Context(), b.place.Place
	mine := b.Shadows.(builders)
	halves := []func(){
		func() { b.must(os.WriteFile(mine.marked(place), nil, 0o600)) },
		func() { b.must(mine.mark(mine.marked(place))) },
		func() { b.must(mine.mark(mine.marked(place))); b.must(os.WriteFile(place, nil, 0o600)) },
	}
	for _, half := range halves {
		half()
		b.must(b.Shadows.Make(ctx, b.place))
		b.must(b.script(place, "CREATE TABLE a (id)"))
		b.must(b.Shadows.Drop(ctx, b.place))
		half()
		b.must(b.Shadows.Drop(ctx, b.place))
		if left, err := filepath.Glob(place + "*"); err != nil || len(left) > 0 {
			t.Errorf("left %q, %v", left, err)
		}
	}
}

var shopTables = []string{
	"CREATE TABLE guest (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE COLLATE NOCASE, twice INT AS (id * 2), CHECK (id < 1000))",
	"CREATE TABLE word (id INTEGER PRIMARY KEY, guest INT REFERENCES guest (id) ON DELETE CASCADE, elsewhere INT REFERENCES stays (id), free UNIQUE)",
	"CREATE TABLE stays (id INTEGER PRIMARY KEY)",
}

// TestCloneOfAFile: with generators and without foreign keys to what is not cloned; the application writes meanwhile.
func TestCloneOfAFile(t *testing.T) {
	b := newBuilding(t, driver.Source, append(slices.Clone(shopTables),
		"CREATE INDEX words ON word (guest) WHERE guest > 0", "CREATE TRIGGER tr AFTER INSERT ON guest BEGIN INSERT INTO stays VALUES (NULL); END",
		"INSERT INTO guest (name) VALUES ('a'), ('b'), ('c')", "DELETE FROM guest WHERE id = 3", "INSERT INTO word VALUES (1, 1, NULL, x'00ff'), (2, 2, 1, 1.0), (3, 2, NULL, '1.0')")...)
	ctx, place := t.Context(), b.place.Place
	b.must(b.Shadows.Make(ctx, b.place))
	before := holding(t, b.path)
	writer := connectApp(t, b.path)
	defer writer.Close()
	writer.must(t, "BEGIN IMMEDIATE; DELETE FROM word")
	for range 2 {
		b.must(b.Shadows.Clone(ctx, b.place, b.tables("word", "guest")))
	}
	writer.must(t, "ROLLBACK")
	if after := holding(t, b.path); after != before {
		t.Errorf("the database is\n%s\nnot\n%s", after, before)
	}
	got := holding(t, place)
	for _, want := range []string{
		shopTables[0], "CREATE INDEX words ON word (guest) WHERE guest > 0", "'guest': 1|'a'|2; 2|'b'|4", "'word': 1|1|NULL|x'00ff'; 2|2|1|1.0; 3|2|NULL|'1.0'", "'guest'|3",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "stays") || strings.Contains(got, "TRIGGER") {
		t.Errorf("in the clone:\n%s", got)
	}
	b.must(b.script(place, "INSERT INTO word VALUES (4, 1, 77, NULL); INSERT INTO guest (name) VALUES ('d'); UPDATE guest SET id = 9 WHERE id = 4"))
	for _, sql := range []string{"INSERT INTO word VALUES (5, 99, NULL, NULL)", "INSERT INTO guest VALUES (2000, 'x')", "INSERT INTO guest (name) VALUES ('A')", "INSERT INTO word VALUES (6, NULL, NULL, '1.0')"} {
		if err := b.script(place, sql); err == nil {
			t.Errorf("%s: passed", sql)
		}
	}
}

// TestScriptsStayInTheirFile: no second file is read or written, and our own tables are left alone.
func TestScriptsStayInTheirFile(t *testing.T) {
	b := newBuilding(t, driver.Source, "CREATE TABLE secret (id)")
	place := b.place.Place
	b.must(b.Shadows.Make(t.Context(), b.place))
	elsewhere := filepath.Join(filepath.Dir(place), "copy.db")
	for _, sql := range []string{
		"ATTACH " + quoteText(b.path) + " AS shop", "ATTACH " + quoteText(elsewhere) + " AS made", "ATTACH (" + quoteText(b.path) + " || '') AS shop", "VACUUM INTO " + quoteText(elsewhere),
		"DETACH main", "DROP TABLE whimbrel_shadow", "DELETE FROM whimbrel_shadow", "UPDATE whimbrel_shadow SET run = 'x'", "ALTER TABLE whimbrel_shadow RENAME TO x",
	} {
		if err := b.script(place, sql); b.Dialect.Classify(err) != driver.Refused {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := os.Stat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a second file: %v", err)
	}
	if _, err := b.Scripts.Pool(t.Context(), &url.URL{}, elsewhere); err == nil {
		t.Error("a pool on no file")
	}
	if address, err := b.Scripts.Address(&url.URL{}, "/a b/c%?.db"); err != nil || address != "sqlite:///a%20b/c%25%3F.db" {
		t.Errorf("%s, %v", address, err)
	}
}

// TestLendAndAdoptGoOn: with a crash after every commit, a later call ends where one without would have, and at no time is a table in
// neither file.
func TestLendAndAdoptGoOn(t *testing.T) {
	const build = `INSERT INTO guest (name) VALUES ('new'); ALTER TABLE word ADD note TEXT; CREATE TABLE made (id INTEGER PRIMARY KEY, at INT);
		CREATE UNIQUE INDEX once ON made (at); INSERT INTO made VALUES (1, 5); CREATE VIEW shown AS SELECT * FROM made JOIN guest USING (id);
		CREATE TRIGGER moves AFTER INSERT ON made BEGIN INSERT INTO guest (name) VALUES (NEW.at); END`
	want := ""
	for after, done := -1, false; !done; after++ {
		b := newBuilding(t, driver.Target,
			"CREATE TABLE guest (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)", "CREATE TABLE word (id INTEGER PRIMARY KEY, guest INT REFERENCES guest (id))",
			"CREATE INDEX words ON word (guest)", "CREATE TRIGGER upper AFTER INSERT ON guest BEGIN UPDATE guest SET name = upper(name) WHERE id = NEW.id; END",
			"INSERT INTO guest VALUES (7, 'a')", "INSERT INTO word VALUES (1, 7)")
		tables := b.tables("guest", "word")
		ctx := t.Context()
		b.must(b.Guard.Shut(ctx, tables[0], epochOf(t, b.Database)))
		b.must(b.Ledger.Drop(ctx))
		b.must(b.Shadows.Make(ctx, b.place))
		whole := func() {
			t.Helper()
			for _, name := range []string{"guest", "word"} {
				if !strings.Contains(holding(t, b.path)+holding(t, b.place.Place), "CREATE TABLE "+name) {
					t.Errorf("%s is in neither file after %d commits", name, after)
				}
			}
		}
		lend := b.cutOff(after, func(ctx context.Context) error { return b.Shadows.Lend(ctx, b.place, tables) })
		whole()
		b.must(b.Shadows.Lend(ctx, b.place, tables))
		b.must(b.script(b.place.Place, build))
		adopt := b.cutOff(after, func(ctx context.Context) error { return b.Shadows.Adopt(ctx, b.place, "") })
		whole()
		for range 2 {
			b.must(b.Shadows.Adopt(ctx, b.place, ""))
		}
		if got := strings.ReplaceAll(holding(t, b.place.Place), "'CREATE TABLE sqlite_sequence(name,seq)'\n", ""); got != quoteText(markSQL)+"\n'sqlite_sequence': \n'whimbrel_shadow': 'test-run'|''" {
			t.Errorf("left in the shadow after %d commits:\n%s", after, got)
		}
		got := holding(t, b.path)
		if want == "" {
			want = got
			if !strings.Contains(got, "'guest': 7|'A'; 8|'NEW'\n'made': 1|5") || !strings.Contains(got, "CREATE TRIGGER upper") || strings.Contains(got, "whimbrel") {
				t.Errorf("adopted\n%s", got)
			}
		}
		if got != want {
			t.Errorf("after %d commits\n%s\nnot\n%s", after, got, want)
		}
		done = after >= 0 && lend && adopt
		if done && after < 3 {
			t.Errorf("only %d commits were cut off", after)
		}
	}
}

// cutOff runs something that can not commit any more after so many commits; -1: without a limit. It reports whether it came to its end.
func (b *building) cutOff(after int, run func(context.Context) error) bool {
	b.t.Helper()
	if after < 0 {
		b.must(run(b.t.Context()))
		return true
	}
	d := b.Shadows.(builders).d
	left, cut := after, false
	whole := d.control
	cutting, err := d.pool(3)
	b.must(err)
	d.control = cutting
	defer func() { d.control = whole; cutting.Close() }()
	held, err := cutting.Acquire(b.t.Context())
	b.must(err)
	held.Value().conn.CommitHook(func() bool {
		left--
		cut = cut || left < 0
		return !cut
	})
	held.Release()
	err = run(b.t.Context())
	if err != nil && !cut {
		b.t.Fatal(err)
	}
	return err == nil
}

// TestAdmittedWithoutAccounts: the guard stands, lets everybody in, and can be put up again.
func TestAdmittedWithoutAccounts(t *testing.T) {
	b := newBuilding(t, driver.Target, "CREATE TABLE a (id INTEGER PRIMARY KEY)")
	table := b.tables("a")[0]
	ctx := t.Context()
	b.must(b.Admitter.Admit(ctx, table, ""))
	if stands, err := b.Guard.Stands(ctx, table); err != nil || stands != "" {
		t.Errorf("a guard where none was: %q, %v", stands, err)
	}
	epoch := epochOf(t, b.Database)
	for range 2 {
		b.must(b.Guard.Shut(ctx, table, epoch))
		if err := b.app.Exec("INSERT INTO a VALUES (1)"); !errors.Is(err, sqlite3.CONSTRAINT_TRIGGER) {
			t.Errorf("guarded: %v", err)
		}
		b.must(b.Admitter.Admit(ctx, table, ""))
		b.must(b.script("", "INSERT INTO a VALUES (1); DELETE FROM a"))
	}
	b.app.must(t, "ALTER TABLE a RENAME TO renamed") // as an update does
	b.must(b.Admitter.Admit(ctx, table, ""))
	b.app.must(t, "INSERT INTO renamed VALUES (1)")
	b.must(b.Guard.Open(ctx, table))
	b.must(b.Ledger.Drop(ctx))
	if left := leftovers(t, b.path); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
