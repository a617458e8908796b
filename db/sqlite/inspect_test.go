package sqlite

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -update and look at the change:\n%s", path, got)
	}
}

const everything = `
CREATE TABLE parent (a INT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE "od""d ' []` + "`" + ` ñ 😀" ("" INTEGER PRIMARY KEY AUTOINCREMENT, "select" TEXT DEFAULT 'it''s', [br ack] TEXT DEFAULT "dq");
CREATE TABLE t (
  id INTEGER PRIMARY KEY, -- a comment, with ( and '
  name VARCHAR(40) NOT NULL COLLATE NOCASE DEFAULT '' CONSTRAINT named CHECK (length(name) > 0 AND name <> ')' /* ( */),
  price DECIMAL(10,2) DEFAULT 1.5, big NUMERIC, flag BOOLEAN NOT NULL DEFAULT TRUE, f FLOAT DEFAULT -1e3, at DATETIME DEFAULT CURRENT_TIMESTAMP,
  day DATE DEFAULT CURRENT_TIMESTAMP, u UUID, j JSON, raw BLOB DEFAULT x'00ff', any_thing, n INT DEFAULT (1 + 1), nil INT DEFAULT NULL,
  pa INT, pb TEXT REFERENCES other ON DELETE SET NULL,
  low TEXT GENERATED ALWAYS AS (lower(name)) STORED, twice INT AS (n * 2),
  CONSTRAINT u1 UNIQUE (price, day), CHECK (n > 0),
  CONSTRAINT fk FOREIGN KEY (pa, pb) REFERENCES Parent (a, b) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  FOREIGN KEY (n) REFERENCES t NOT DEFERRABLE
);
CREATE TABLE other (k TEXT PRIMARY KEY, v ANY) STRICT;
CREATE TABLE nullable (k TEXT PRIMARY KEY, x REFERENCES gone);
CREATE UNIQUE INDEX tx ON t (lower(name) COLLATE NOCASE DESC, price) WHERE price > 0;
CREATE INDEX ti ON t (day DESC, u);
CREATE VIEW v AS SELECT 1;
CREATE VIRTUAL TABLE search USING fts5(body);
CREATE TRIGGER app AFTER INSERT ON t BEGIN SELECT 1; END;
`

// everyFile is made by the sqlite3 program, which has modules that the library has not.
func everyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "every.db")
	if out, err := exec.Command("sqlite3", "-bail", path, everything).CombinedOutput(); err != nil {
		t.Fatalf("sqlite3 (apt-get install sqlite3): %v\n%s", err, out)
	}
	return path
}

// TestInspect: everything that SQLite can declare, as the inspector understands it.
func TestInspect(t *testing.T) {
	d := openAt(t, everyFile(t), driver.Source)
	defer d.Close()
	found, err := d.Inspector.Inspect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range found.Tables {
		table.Bytes = -1
	}
	words, err := json.MarshalIndent(found, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "inspect.json", append(words, '\n'))
}

// TestPlan: what the dialect makes of that again, and that it runs and is inspected the same.
func TestPlan(t *testing.T) {
	ctx := t.Context()
	source := openAt(t, everyFile(t), driver.Source)
	defer source.Close()
	target := openAt(t, filepath.Join(t.TempDir(), "target.db"), driver.Target)
	defer target.Close()
	found, err := source.Inspector.Inspect(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	var words strings.Builder
	for _, table := range found.Tables {
		add, prove := target.Dialect.CreateConstraints(table)
		for _, st := range slices.Concat(target.Dialect.CreateTable(table), target.Dialect.CreateKeys(table), add) {
			words.WriteString("-- " + st.Purpose + "\n" + st.SQL + ";\n")
			for range 2 {
				if err := target.Executor.Execute(ctx, st); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, st := range prove {
			words.WriteString("-- " + st.Purpose + "\n" + st.SQL + ";\n")
		}
		if table.LiveKey() == nil {
			continue
		}
		for i, st := range captureStatements(numbered(table, 17), shapeOf(table)) {
			if i == 0 {
				words.WriteString("-- capture\n")
			}
			words.WriteString(st + ";\n")
		}
	}
	golden(t, "plan.sql", []byte(words.String()))
	again, err := target.Inspector.Inspect(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, table := range again.Tables {
		was := found.Tables[i]
		if table.Name != was.Name || len(table.Columns) != len(was.Columns) || len(table.Uniques) != len(was.Uniques) ||
			len(table.Foreign) != len(was.Foreign) || len(table.Checks) != len(was.Checks) || len(table.Indexes) != len(was.Indexes) {
			t.Errorf("%s came back as another table", was.Name)
		}
		for n, c := range table.Columns {
			if o := was.Columns[n]; c.Name != o.Name || c.Type.Raw != o.Type.Raw || c.Null != o.Null || (c.Default == nil) != (o.Default == nil) {
				t.Errorf("%s.%s: %+v, was %+v", table.Name, c.Name, c, o)
			}
		}
	}
}

func numbered(t *schema.Table, no int) *schema.Table {
	t.Number = no
	return t
}

// TestCarryNamesEveryType: every name that Carry gives is known again as the same kind, has the affinity that keeps its cells,
// and holds no INT by accident.
func TestCarryNamesEveryType(t *testing.T) {
	for _, k := range row.Kinds() {
		for _, base := range []schema.Type{
			{Kind: k, Raw: "x"},
			{Kind: k, Precision: 8},
			{Kind: k, Precision: 16},
			{Kind: k, Precision: 24},
			{Kind: k, Precision: 32},
			{Kind: k, Precision: 64, Unsigned: true},
			{Kind: k, Precision: 10, Scale: 2},
			{Kind: k, Precision: 65, Scale: 30},
			{Kind: k, Scale: -1},
			{Kind: k, Length: 10, Fixed: true},
			{Kind: k, Length: 255},
		} {
			for _, key := range []bool{false, true} {
				got, losses := dialect{}.Carry(base, key)
				back := typeOf(got.Raw)
				if got.Kind != k || back.Kind != k {
					t.Errorf("%s: carried as %s %q, read back as %s", k, got.Kind, got.Raw, back.Kind)
				}
				if affinityOf(got.Raw) == affinityInteger && k != row.Int {
					t.Errorf("%s: %q is an integer", k, got.Raw)
				}
				for _, l := range losses {
					if l.Message == "" || strings.HasSuffix(l.Message, ".") {
						t.Errorf("%s: a loss without a clause: %+v", k, l)
					}
				}
			}
		}
	}
}

// TestTypeOf: declared names as people write them.
func TestTypeOf(t *testing.T) {
	for raw, want := range map[string]row.Kind{
		"int": row.Int, "UNSIGNED BIG INT": row.Int, "BIGINT(20)": row.Int, "varchar(20)": row.Text, "NATIVE CHARACTER(70)": row.Text, "clob": row.Text,
		"BLOB SUB_TYPE TEXT": row.Text, "double precision": row.Float64, "numeric(10, 5)": row.Decimal, "whatever": row.Decimal, "DateTime": row.Timestamp,
		"timestamp with time zone": row.Instant, "": row.Other, "tinyint(1)": row.Int, "bit": row.Bool, "bit(8)": row.Int, "jsonb_text": row.Text,
	} {
		if got := typeOf(raw); got.Kind != want || got.Raw != raw {
			t.Errorf("%q is %s, want %s", raw, got.Kind, want)
		}
	}
	if got := typeOf("NUMERIC(10, 5)"); got.Precision != 10 || got.Scale != 5 {
		t.Errorf("%+v", got)
	}
}

// TestChinook: the public sample, made by the sqlite3 program, is inspected, carried to a new file and compared by the program.
func TestChinook(t *testing.T) {
	folder := os.Getenv("WHIMBREL_SAMPLES")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	script, err := os.Open(filepath.Join(folder, "chinook", "Chinook_Sqlite.sql"))
	if err != nil {
		t.Logf("NOT RUN: the sample databases are not here (WHIMBREL_SAMPLES): %v", err)
		return
	}
	defer script.Close()
	path := filepath.Join(t.TempDir(), "chinook.db")
	make := exec.Command("sqlite3", "-bail", path)
	make.Stdin = script
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("sqlite3 (apt-get install sqlite3): %v\n%s", err, out)
	}
	source := openAt(t, path, driver.Source)
	defer source.Close()
	found, err := source.Inspector.Inspect(t.Context(), nil)
	if err != nil || len(found.Tables) != 11 {
		t.Fatalf("%d tables, %v", len(found.Tables), err)
	}
	for _, table := range found.Tables {
		facts, err := source.Surveyor.Survey(t.Context(), table, drivertest.Everything(table))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range facts {
			if f.What != driver.Longest {
				t.Errorf("%s: %+v", table.Name, f)
			}
		}
		p := newTwins(t, path, table.Name.Name)
		p.equal(table.Name.Name, 10)
		columns := quoteAll(p.ss.Names())
		dump := func(file string) string {
			out, err := exec.Command("sqlite3", file, ".mode quote", "SELECT "+columns+" FROM "+quote(table.Name.Name)+" ORDER BY 1, 2").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return string(out)
		}
		if dump(path) != dump(p.target.Info.Name[len("sqlite "):]) {
			t.Errorf("%s: the sqlite3 program sees other rows", table.Name)
		}
		if err := p.source.Capturer.Remove(t.Context(), p.st, driver.Wait{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := source.Capturer.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, path); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestSurvey: values that are not what their column says.
func TestSurvey(t *testing.T) {
	d := openAt(t, newFile(t, `CREATE TABLE t (k TEXT PRIMARY KEY, i SMALLINT, s VARCHAR(3), d DECIMAL(5,2), at DATETIME, day DATE, b BLOB, j JSON, f REAL, o BOOLEAN, n, x TEXT);
		INSERT INTO t VALUES (NULL, 'x', 'long', 1.234, '2021-01-01 10:00:00.1234567', '0000-00-00', 'text', '{', 9e999, 2, 1, x'31'),
		('a', 40000, CAST(x'ff' AS TEXT), 12345, 1700000000, '2021-01-01T00:00', x'00', '{"a":1}', 1, 1, '1', '1'), ('b', 1, CAST(x'6100' AS TEXT), 1, '2021-01-01', '10000-01-01', x'0102', 1, 2, 0, x'31', 1)`),
		driver.Source)
	defer d.Close()
	table, _ := shaped(t, d, "t", 1)
	facts, err := d.Surveyor.Survey(t.Context(), table, drivertest.Everything(table))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, f := range facts {
		if got[f.Column+" "+string(f.What)] = f.Count; f.What == driver.Longest {
			got[f.Column+" "+string(f.What)] = f.Value
		}
		if f.Sample == "" {
			t.Errorf("%+v names no row", f)
		}
	}
	want := map[string]int64{
		"k longest": 1, "k key-is-null": 1, "i wrong-class": 1, "i too-large": 1, "s longest": 4, "s too-large": 1, "s bad-text": 1, "s nul-in-text": 1,
		"d fractions": 1, "d too-large": 1, "at fractions": 1, "at wrong-class": 1, "day zero-date": 1, "day after-9999": 1, "b wrong-class": 1, "b longest": 2,
		"j longest": 7, "j not-json": 1, "f nan": 1, "o wrong-class": 1,
		"n longest": 5, "x wrong-class": 1, "x longest": 1,
	}
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: %d, want %d", k, got[k], n)
		}
		delete(got, k)
	}
	if len(got) > 0 {
		t.Errorf("not expected: %v", got)
	}
}
