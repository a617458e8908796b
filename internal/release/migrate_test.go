package release

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"
)

// written makes a release with one migration after another, named as goose wants them unless a name is given.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := folder(t, "name: inn\nversion: 2\nbuild: {migrations: build}\n")
	if err := os.Mkdir(filepath.Join(dir, "build"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "build", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestBadMigrations: each ends in one sentence with its file and line before anything is run.
func TestBadMigrations(t *testing.T) {
	up := "-- +goose Up\n"
	for want, files := range map[string]map[string]string{
		"build: there is no migration in it":                                                  {},
		"build/first.sql: its name begins with no number":                                     {"first.sql": up},
		"it has the number 1, as ":                                                            {"1_a.sql": up, "00001_b.sql": up},
		"build/00001_a.go: migrations are SQL files here":                                     {"00001_a.go": "package build\n"},
		"build/00001_a.sql:1: it is not a migration":                                          {"00001_a.sql": "CREATE TABLE a (id int);\n"},
		"build/00001_a.sql:3: variables of the environment are not filled in here":            {"00001_a.sql": "-- +goose Up\nCREATE TABLE a (id int);\n-- +goose ENVSUB ON\nINSERT INTO a VALUES ('${HOME}');\n"},
		"build/00002_b.sql:4: this statement does not end with a semicolon":                   {"00001_a.sql": up, "00002_b.sql": up + "\nSELECT 1;\nSELECT 2\n"},
		"build/00001_a.sql:2: this -- +goose StatementBegin has no -- +goose StatementEnd":    {"00001_a.sql": up + "-- +goose StatementBegin\nSELECT 1;\n"},
		"build/00001_a.sql:3: this -- +goose StatementEnd has no -- +goose StatementBegin be": {"00001_a.sql": up + "SELECT 1;\n-- +goose StatementEnd\n"},
		"build/00001_a.sql:2: -- +goose Up is there twice":                                    {"00001_a.sql": up + up},
		"build/00001_a.sql:2: this is no annotation that goose knows":                         {"00001_a.sql": up + "-- +goose Sideways\n"},
		"build/00001_a.sql:1: -- +goose StatementBegin stands before -- +goose Up":            {"00001_a.sql": "-- +goose StatementBegin\nSELECT 1;\n"},
	} {
		_, err := Load(written(t, files))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v\n%v; want %q", files, err, want)
		}
	}
	outside := folder(t, "name: inn\nversion: 2\nbuild: {migrations: ../build}\n")
	if _, err := Load(outside); err == nil || !strings.Contains(err.Error(), "release.yaml:3:21: the folder ../build is not one of the release's") {
		t.Error(err)
	}
	linked := folder(t, "name: inn\nversion: 2\nbuild: {migrations: build}\n")
	if err := os.Symlink(t.TempDir(), filepath.Join(linked, "build")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(linked); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Error(err)
	}
}

// TestMigrationsForEachProduct: a folder for each product, and a sentence where one is missing or where it is not told which is meant.
func TestMigrationsForEachProduct(t *testing.T) {
	dir := written(t, nil)
	file := func(name, text string) {
		path := filepath.Join(dir, "build", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string) {
		t.Helper()
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	file("sqlite3/00001_a.sql", "-- +goose Up\nCREATE TABLE a (id integer);\n")
	file("postgres/00001_a.sql", "CREATE TABLE a (id serial);\n")
	refused("build/postgres/00001_a.sql:1: it is not a migration")
	file("postgres/00001_a.sql", "-- +goose Up\nCREATE TABLE a (id serial, PRIMARY KEY USING INDEX b);\n")
	file("00002_b.sql", "-- +goose Up\nSELECT 1;\n")
	refused("build/00002_b.sql: it stands beside the folder postgres")
	if err := os.Remove(filepath.Join(dir, "build", "00002_b.sql")); err != nil {
		t.Fatal(err)
	}
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	db := opens(t)
	if err := r.Migrate(t.Context(), "build", r.Build, "sqlite3", db); err != nil {
		t.Error(err)
	}
	if err := r.Migrate(t.Context(), "build", r.Build, "mysql", db); err == nil || !strings.Contains(err.Error(), "there are migrations for postgres, sqlite3 and none for mysql") {
		t.Error(err)
	}
	file("postgres/00001_a.sql", "-- +goose Up\nbroken\n")
	if err := r.Migrate(t.Context(), "build", r.Build, "sqlite3", db); err != nil {
		t.Errorf("what is for another product counts: %v", err)
	}
	file("sqlite3/00002_b.sql", "-- +goose Up\nINSERT INTO b VALUES (1);\n")
	if err := r.Migrate(t.Context(), "build", r.Build, "sqlite3", db); err == nil || !strings.Contains(err.Error(), "build/sqlite3/00002_b.sql:2: the database refuses this statement") {
		t.Error(err)
	}
}

func opens(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestAFailingStatementIsNamed, and after it is mended the rest runs, and a second call runs nothing.
func TestAFailingStatementIsNamed(t *testing.T) {
	dir := written(t, map[string]string{
		"00001_a.sql": "-- +goose Up\nCREATE TABLE a (id int);\n-- +goose Down\nDROP TABLE a;\n",
		"00002_b.sql": "-- +goose Up\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1);\n\n-- why not\nINSERT INTO b\nVALUES (1);\n",
	})
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	db := opens(t)
	run := func() error { return r.Migrate(t.Context(), "build", r.Build, "sqlite3", db) }
	err = run()
	if err == nil || !strings.Contains(err.Error(), "build/00002_b.sql:6: the database refuses this statement: ") ||
		!strings.Contains(err.Error(), "no such table: b") || !strings.HasSuffix(err.Error(), "; mend it and run the same command again") {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "build", "00002_b.sql"), []byte("-- +goose Up\nINSERT INTO a VALUES (7);\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := run(); err != nil {
			t.Fatal(err)
		}
	}
	var n, sum int
	if err := db.QueryRow("SELECT count(*), sum(id) FROM a").Scan(&n, &sum); err != nil || n != 1 || sum != 7 {
		t.Errorf("%d rows, sum %d, %v", n, sum, err)
	}
	if err := db.QueryRow("SELECT count(*) FROM " + Versions("build")).Scan(&n); err != nil || n != 3 {
		t.Errorf("%d versions, %v", n, err)
	}
	late := filepath.Join(dir, "build", "00001_a.sql")
	if err := os.Rename(late, filepath.Join(dir, "build", "00003_c.sql")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "build", "00003_c.sql"), []byte("-- +goose Up\nINSERT INTO a VALUES (9);\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	if err := Forget(t.Context(), "build", db); err != nil {
		t.Fatal(err)
	}
	if err := Forget(t.Context(), "build", db); err != nil {
		t.Error(err)
	}
}

// TestALateMigrationIsRefused: one that comes in with a lower number than one that has run.
func TestALateMigrationIsRefused(t *testing.T) {
	dir := written(t, map[string]string{"00002_b.sql": "-- +goose Up\nSELECT 1;\n"})
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	db := opens(t)
	if err := r.Migrate(t.Context(), "build", r.Build, "sqlite3", db); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "build", "00001_a.sql"), []byte("-- +goose Up\nSELECT 1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Migrate(t.Context(), "build", r.Build, "sqlite3", db); err == nil || !strings.Contains(err.Error(), "a migration with the number 1 came in after") {
		t.Error(err)
	}
}

// TestProbes weighs answers.
func TestProbes(t *testing.T) {
	for _, c := range []struct {
		is, source, target string
		holds              bool
	}{
		{"equal", "5", "5.00", true},
		{"", "a", "a", true},
		{"equal", "a", "b", false},
		{"equal", "123456789012345678901", "123456789012345678902", false},
		{"at-least", "5", "6", true},
		{"equal", "0e1234567", "0e7654321", false}, // checksums, not numbers
		{"equal", "007", "7", false},
		{"equal", "1e999999999", "2", false},
		{"at-least", "5", "4.9", false},
		{"at-most", "5", "5", true},
		{"at-most", "a", "b", false},
		{"target == source * 2", "4", "8", true},
		{"target == source * 2", "4", "9", false},
		{`source == "old" && target == "new"`, "old", "new", true},
		{"target > source", "a", "5", false},
	} {
		is, err := related(c.is)
		if err != nil {
			t.Fatal(err)
		}
		p := Probe{Name: "orders", Place: "release.yaml:7:3", is: is}
		err = p.Weigh(c.source, c.target)
		if (err == nil) != c.holds {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "release.yaml:7:3: probe orders: the source says "+c.source) || strings.Contains(err.Error(), "\n")) {
			t.Error(err)
		}
	}
}
