package translate_test

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/db/mysql"
	"github.com/whimbrel/whimbrel/db/postgres"
	"github.com/whimbrel/whimbrel/db/sqlite"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/internal/translate"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { testserver.Main(m) }

// products are the databases that schemas are moved between, in this test without their rows.
var products = []struct {
	name string
	open driver.Driver
	url  func(testing.TB) string
	run  func(t *testing.T, ctx context.Context, d driver.Driver, at, file string)
}{
	{"mariadb", mysql.Driver, testserver.MariaDB, runFile},
	{"postgres", postgres.Driver, testserver.Postgres, runPostgres},
	{"sqlite", sqlite.Driver, testserver.SQLite, runFile},
}

// Schemas of three products are translated to each other. What is planned and what is told is held by golden files; the
// plan is built at a real target, and what the target's catalog then says is compared with it.
func TestDialects(t *testing.T) {
	for _, from := range products {
		for _, to := range products {
			t.Run(from.name+"_"+to.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				at := from.url(t)
				from.run(t, ctx, from.open, at, filepath.Join("testdata", from.name+".sql"))
				source := open(t, ctx, from.open, at, driver.Source)
				target := open(t, ctx, to.open, to.url(t), driver.Target)
				whole, err := source.Inspector.Inspect(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				plan.Number(whole.Tables)
				translated := func(asked func(*schema.Table) driver.Questions) (*translate.Plan, []check.Finding) {
					facts := check.Facts{}
					for _, table := range whole.Tables {
						if facts[table.Name], err = source.Surveyor.Survey(ctx, table, asked(table)); err != nil {
							t.Fatal(err)
						}
					}
					return translate.Translate(whole, source.Info, target.Info, source.Dialect, target.Dialect, translate.Options{Facts: facts})
				}
				questions := translate.Questions(whole, source.Info, target.Info, source.Dialect, target.Dialect, translate.Options{}, 4<<20)
				p, found := translated(func(table *schema.Table) driver.Questions { return questions[table.Name] })
				if _, more := translated(drivertest.Everything); check.Text(more) != check.Text(found) {
					t.Errorf("other findings when everything is asked:\n%s", check.Text(more))
				}
				before, after := statements(p, target)
				golden(t, from.name+"_"+to.name, source.Info.Schema, target.Info.Schema, check.Text(found), append(before, after...))
				if check.Forbids(found) {
					return
				}
				run(t, ctx, target, before)
				run(t, ctx, target, after)
				compare(t, ctx, p, target)
			})
		}
	}
}

func open(t *testing.T, ctx context.Context, d driver.Driver, at string, side driver.Side) *driver.Database {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	db, err := d.Open(ctx, u, driver.Options{Side: side, Run: "translate"})
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

// runFile makes a source by its statements, one by one, over the product's own driver.
func runFile(t *testing.T, ctx context.Context, d driver.Driver, at, file string) {
	t.Helper()
	words, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, ctx, d, at, driver.Target)
	for s := range strings.SplitSeq(strings.TrimSpace(string(words)), ";\n") {
		run(t, ctx, db, []driver.Statement{{Purpose: "make the source", SQL: strings.TrimSuffix(s, ";")}})
	}
}

// runPostgres makes a source over an ordinary session: those of the driver look for nothing in the schema public.
func runPostgres(t *testing.T, ctx context.Context, _ driver.Driver, at, file string) {
	t.Helper()
	words, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	session, err := pgconn.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Exec(ctx, string(words)).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if err := session.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, ctx context.Context, db *driver.Database, statements []driver.Statement) {
	t.Helper()
	for _, s := range statements {
		if err := db.Executor.Execute(ctx, s); err != nil {
			t.Fatalf("%s: %v\n%s", s.Purpose, err, s.SQL)
		}
	}
}

// statements are everything that a move makes at the target: what tables need, the tables and their keys, then what binds them.
func statements(p *translate.Plan, target *driver.Database) (before, after []driver.Statement) {
	before = p.CreateSchemas()
	for _, d := range p.Types {
		before = append(before, target.Dialect.CreateType(d)...)
	}
	for _, s := range p.Sequences {
		before = append(before, target.Sequences.CreateSequence(s)...)
	}
	for _, q := range p.Pairs {
		before = append(before, target.Dialect.CreateTable(q.Target)...)
		before = append(before, target.Dialect.CreateKeys(q.Target)...)
	}
	for _, q := range p.Pairs {
		add, prove := target.Dialect.CreateConstraints(q.Target)
		after = append(append(after, add...), prove...)
	}
	return before, after
}

// golden holds findings and statements, with the names of fresh databases evened out.
func golden(t *testing.T, name, source, target, findings string, statements []driver.Statement) {
	t.Helper()
	var b strings.Builder
	b.WriteString(findings)
	b.WriteString("\n")
	for _, s := range statements {
		fmt.Fprintf(&b, "-- %s\n%s;\n", s.Purpose, strings.TrimSpace(s.SQL))
	}
	got := b.String()
	for from, to := range map[string]string{source: "SOURCE", target: "TARGET"} {
		got = regexp.MustCompile(`\b`+regexp.QuoteMeta(from)+`\b`).ReplaceAllString(got, to)
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s is not what was planned (run with -update and read the difference): %v\n%s", file, err, got)
	}
}

// evened takes for one kind what some product keeps in one type.
func evened(k row.Kind) row.Kind {
	switch k {
	case row.Duration:
		return row.Interval
	case row.Instant:
		return row.Timestamp
	case row.Bool:
		return row.Int
	}
	return k
}

// compare reads the target's catalog and looks for everything that the plan has.
func compare(t *testing.T, ctx context.Context, p *translate.Plan, target *driver.Database) {
	t.Helper()
	there, err := target.Inspector.Inspect(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.Pairs {
		made := there.Table(q.Target.Name)
		if made == nil {
			t.Errorf("%s is not there", q.Target.Name)
			continue
		}
		for _, c := range q.Target.Columns {
			is := made.Column(c.Name)
			if is == nil || evened(is.Type.Kind) != evened(c.Type.Kind) || is.Null != c.Null ||
				is.Identity.Kind == schema.None && c.Identity.Kind != schema.None {
				t.Errorf("%s.%s: planned %+v, there is %+v", q.Target.Name, c.Name, c, is)
			}
		}
		for what, n := range map[string][2]int{
			"unique keys": {len(made.Uniques), len(q.Target.Uniques)}, "foreign keys": {len(made.Foreign), len(q.Target.Foreign)},
		} {
			if n[0] != n[1] {
				t.Errorf("%s has %d %s, planned were %d", q.Target.Name, n[0], what, n[1])
			}
		}
		if len(made.Indexes) < len(q.Target.Indexes) || len(made.Checks) < len(q.Target.Checks) {
			t.Errorf("%s has %d indexes and %d checks, planned were %d and %d", q.Target.Name,
				len(made.Indexes), len(made.Checks), len(q.Target.Indexes), len(q.Target.Checks))
		}
		if (made.Primary == nil) != (q.Target.Primary == nil) {
			t.Errorf("%s: primary key %v, planned was %v", q.Target.Name, made.Primary, q.Target.Primary)
		}
	}
}
