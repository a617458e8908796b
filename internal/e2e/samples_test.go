package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
)

// sample is a public database as a product's SQL files.
type sample struct {
	name    string
	product string
	files   []string
	before  string // statements of ours that its files need
}

var samples = []sample{
	{"chinook", "mariadb", []string{"chinook/Chinook_MySql.sql"}, ""},
	{"chinook", "postgres", []string{"chinook/Chinook_PostgreSql.sql"}, ""},
	{"chinook", "sqlite", []string{"chinook/Chinook_Sqlite.sql"}, "PRAGMA journal_mode=wal;"},
	{
		"sakila", "postgres",
		[]string{"sakila/postgres-sakila-schema.sql", "sakila/postgres-sakila-insert-data-using-copy.sql"},
		`DO 'BEGIN CREATE ROLE postgres SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END';`,
	},
}

// TestSamples moves each sample database from its product to all three, and has every table compared.
func TestSamples(t *testing.T) {
	dir := os.Getenv("WHIMBREL_SAMPLES")
	if dir == "" {
		dir = "../../../shared/data"
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Run("missing", func(t *testing.T) {
			t.Logf("samples are not here: WHIMBREL_SAMPLES, or by default %s, names no folder; nothing of them was tested", dir)
		})
		return
	}
	for _, s := range samples {
		for _, target := range products() {
			t.Run(s.name+"/"+short(s.product)+"/"+short(target), func(t *testing.T) { s.move(t, dir, target) })
		}
	}
}

// own matches the lines with which a sample's file leaves the database it is loaded into.
var own = regexp.MustCompile(`(?im)^(DROP DATABASE|CREATE DATABASE|\\c |USE ).*$`)

func (s sample) move(t *testing.T, dir, target string) {
	l := &live{t: t, source: fresh(t, s.product), target: fresh(t, target)}
	source := open(t, l.source)
	text := s.before + "\n"
	for _, f := range s.files {
		b, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		text += own.ReplaceAllString(string(b), "") + "\n"
	}
	if err := source.Script(text); err != nil {
		t.Fatal(err)
	}
	m := newMove(t, plan{source: l.source, target: l.target, uptime: s.uptime(t, source)})
	m.must(0, "run", "--yes")
	v, err := oracle.Compare(source, open(t, l.target))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range v.Differences {
		t.Errorf("different: %s", d)
	}
	if s.name == "chinook" {
		missing, err := source.Missing(open(t, l.target))
		if err != nil || len(missing) > 0 {
			t.Errorf("the target has no %q (%v)", missing, err)
		}
	}
	var total int64
	for _, x := range m.report().Tables {
		if x.Verdict != "equal" {
			t.Errorf("%s is %q", x.Name, x.Verdict)
		}
	}
	for _, n := range v.Rows {
		total += n
	}
	if total < 10_000 {
		t.Errorf("only %d rows were there to move", total)
	}
	if left := ours(t, l.target); len(left) > 0 {
		t.Errorf("left at the target: %q", left)
	}
	t.Logf("samples of %s: %d tables, %d rows, %d MiB", s.name, len(v.Rows), total, m.largest>>20)
}

// uptime names the tables that have a primary key, where the sample is plain enough for that to be all a live table needs.
func (s sample) uptime(t *testing.T, d *oracle.Database) []string {
	t.Helper()
	if s.name != "chinook" {
		return []string{"film", "rental", "customer"}
	}
	tables, err := d.Tables()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range tables {
		if len(x.Key) > 0 {
			names = append(names, x.Name)
		}
	}
	return names
}
