package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/whimbrel/whimbrel/internal/strict"
)

// Versions is the table in which goose notes which migrations of a part have run. Its name begins like that of everything of ours,
// so that it is no part of the release: it does not meet the table of an application that uses goose itself, it is not carried
// along, and it is taken away in the end.
func Versions(part string) string { return "whimbrel_goose_" + part }

// opened is a folder of migrations, read through the release's own folder.
type opened struct {
	root *os.Root
	fs.FS
}

// open opens the migrations of scripts. The caller closes its root.
func (r *Release) open(s Scripts) (*opened, error) {
	root, err := os.OpenRoot(r.Folder)
	if err != nil {
		return nil, &strict.Error{File: r.Folder, Message: "this release can not be opened: " + because(err)}
	}
	sub, err := fs.Sub(root.FS(), filepath.ToSlash(s.Migrations))
	if err != nil {
		return nil, errors.Join(&strict.Error{File: filepath.Join(r.Folder, s.Migrations), Message: because(err)}, root.Close())
	}
	return &opened{root, sub}, nil
}

// Migrate runs the migrations of a part (build, update, after) that have not run in a database yet, in the order of their numbers; each in a
// transaction of its own where the product has such. An error names the file and line and says what to do. Again: those that have not
// run; when all have, does nothing.
func (r *Release) Migrate(ctx context.Context, part string, s Scripts, dialect string, db *sql.DB) error {
	if s.Migrations == "" {
		return nil
	}
	s, err := r.variant(s, dialect)
	if err != nil {
		return err
	}
	if err := r.examineOne(s); err != nil {
		return err
	}
	files, err := r.open(s)
	if err != nil {
		return err
	}
	defer files.root.Close()
	seen := &statements{}
	p, err := goose.NewProvider(goose.Dialect(dialect), db, files, goose.WithTableName(Versions(part)), goose.WithVerbose(true),
		goose.WithSlog(slog.New(seen)), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return r.explain(s, files, seen, err)
	}
	if _, err := p.Up(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return r.explain(s, files, seen, err)
	}
	return nil
}

// Forget takes the table with a part's versions away. Again: does nothing.
func Forget(ctx context.Context, part string, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, "DROP TABLE IF EXISTS "+Versions(part)); err != nil {
		return fmt.Errorf("drop the table %s: %w", Versions(part), err)
	}
	return nil
}

// examineOne holds one folder of migrations against goose's own rules, without a database: it lets goose run them against nothing.
func (r *Release) examineOne(s Scripts) error {
	files, err := r.open(s)
	if err != nil {
		return err
	}
	defer files.root.Close()
	if err := r.named(s, files); err != nil {
		return err
	}
	nothing := sql.OpenDB(nowhere{})
	defer nothing.Close()
	p, err := goose.NewProvider(goose.DialectSQLite3, nothing, files, goose.WithDisableVersioning(true), goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err == nil {
		_, err = p.Up(context.Background())
	}
	if err != nil {
		return r.explain(s, files, &statements{}, err)
	}
	return nil
}

// named refuses files whose names goose would pass over or take for one.
func (r *Release) named(s Scripts, files fs.FS) error {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return &strict.Error{File: filepath.Join(r.Folder, s.Migrations), Message: "it can not be read: " + because(err)}
	}
	numbers := map[int64]string{}
	for _, e := range entries {
		wrong := func(message string) error {
			return &strict.Error{File: filepath.Join(r.Folder, s.Migrations, e.Name()), Message: message}
		}
		switch path.Ext(e.Name()) {
		case ".go":
			return wrong("migrations are SQL files here; one in Go runs as the release's command")
		case ".sql":
		default:
			continue
		}
		n, err := goose.NumericComponent(e.Name())
		if err != nil {
			return wrong("its name begins with no number, so it has no place in the order; call it 00001_" + e.Name() + ", with the number of its turn")
		}
		if numbers[n] != "" {
			return wrong(fmt.Sprintf("it has the number %d, as %s has; give each its own", n, numbers[n]))
		}
		numbers[n] = e.Name()
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return wrong("it can not be read: " + because(err))
		}
		if at := substitutes.FindIndex(text); at != nil { // what is in our environment is nobody else's: passwords, for one
			return &strict.Error{
				File: filepath.Join(r.Folder, s.Migrations, e.Name()), Line: lineOf(string(text), at[0]),
				Message: "variables of the environment are not filled in here; write the value, or use the release's command",
			}
		}
	}
	if len(numbers) == 0 {
		return &strict.Error{File: filepath.Join(r.Folder, s.Migrations), Message: "there is no migration in it; a migration is a file such as 00001_messages.sql"}
	}
	return nil
}

// explain makes one sentence with file and line of what goose says.
func (r *Release) explain(s Scripts, files fs.FS, seen *statements, err error) error {
	at := func(name string, line int, message string) error {
		return &strict.Error{File: filepath.Join(r.Folder, s.Migrations, name), Line: line, Message: message}
	}
	text := func(name string) string {
		b, _ := fs.ReadFile(files, name) // a file that is gone has no lines
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		name := path.Base(partial.Failed.Source.Path)
		return &Failure{Place: at(name, seen.line(name, text(name)), "").Error(), Cause: partial.Err}
	}
	said := err.Error()
	if name := fileOf.FindString(said); name != "" && strings.Contains(said, "parse") {
		line, why := malformed(text(name), said)
		return at(name, line, why)
	}
	if found := missing.FindStringSubmatch(said); found != nil {
		return at("", 0, fmt.Sprintf("a migration with the number %s came in after one with a higher number had run; give it a number above all others", found[1]))
	}
	return fmt.Errorf("%s: run the migrations: %w", filepath.Join(r.Folder, s.Migrations), err)
}

// Failure is a statement of a migration that a database refused.
type Failure struct {
	Place string
	Cause error
}

// Error says where, why, and what to do.
func (f *Failure) Error() string {
	return fmt.Sprintf("%sthe database refuses this statement: %s; mend it and run the same command again", f.Place, strings.ReplaceAll(f.Cause.Error(), "\n", " "))
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

var (
	fileOf  = regexp.MustCompile(`[^\s/:"]+\.sql`)
	missing = regexp.MustCompile(`missing .*(?:version|migration)\D* (\d+)`)
	// substitutes is the annotation by which goose would fill in variables of the environment.
	substitutes = regexp.MustCompile(`(?mi)^[ \t]*--[ \t]*\+goose[ \t]+ENVSUB[ \t]+ON`)

	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// malformed says what is not in goose's format, with the line.
func malformed(text, said string) (int, string) {
	switch {
	case strings.Contains(said, "StatementEnd' annotation"):
		return lineOf(text, strings.LastIndex(text, "StatementBegin")), "this -- +goose StatementBegin has no -- +goose StatementEnd behind it"
	case strings.Contains(said, "StatementEnd' must"):
		return lineOf(text, strings.Index(text, "StatementEnd")), "this -- +goose StatementEnd has no -- +goose StatementBegin before it"
	case strings.Contains(said, "StatementBegin' must"):
		return lineOf(text, strings.Index(text, "StatementBegin")), "-- +goose StatementBegin stands before -- +goose Up; put -- +goose Up on the first line"
	case strings.Contains(said, "duplicate"):
		return lineOf(text, strings.LastIndex(text, "+goose Up")), "-- +goose Up is there twice; take this one out"
	case strings.Contains(said, "must start with"), strings.Contains(said, "unexpected state"):
		return 1, "it is not a migration: its first line must be -- +goose Up"
	}
	where := 0
	if q := quoted.FindString(said); q != "" {
		if words, err := strconv.Unquote(q); err == nil {
			where = strings.Index(text, words)
		}
	}
	if strings.Contains(said, "semicolon") {
		return lineOf(text, where), "this statement does not end with a semicolon; end it, or put -- +goose StatementBegin before it and -- +goose StatementEnd behind it"
	}
	return lineOf(text, where), "this is no annotation that goose knows: it knows -- +goose Up, Down, StatementBegin, StatementEnd, and NO TRANSACTION, at the beginning of a line"
}

// lineOf is the line of a place in a text, from 1; a place that was not found is on the first.
func lineOf(text string, at int) int {
	return strings.Count(text[:max(at, 0)], "\n") + 1
}

// statements notes what goose runs, from what it logs: an error of a database does not say which statement it is of.
type statements struct {
	source string
	run    []string // of this source, in their order
}

// Enabled takes everything.
func (s *statements) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps a statement that is about to be run.
func (s *statements) Handle(_ context.Context, r slog.Record) error {
	statement, source := "", ""
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "statement":
			statement = a.Value.String()
		case "source":
			source = a.Value.String()
		}
		return true
	})
	if statement == "" {
		return nil
	}
	if source != s.source {
		s.source, s.run = source, nil
	}
	s.run = append(s.run, statement)
	return nil
}

// WithAttrs and WithGroup change nothing: goose uses neither.
func (s *statements) WithAttrs([]slog.Attr) slog.Handler { return s }

// WithGroup changes nothing.
func (s *statements) WithGroup(string) slog.Handler { return s }

// line is where the last statement stands in its file's text; 0 when that can not be told.
func (s *statements) line(name, text string) int {
	if s.source != name || len(s.run) == 0 {
		return 0
	}
	at := 0
	for i, statement := range s.run {
		next := strings.Index(text[at:], statement)
		if next < 0 { // its variables were filled in
			continue
		}
		at += next
		if i < len(s.run)-1 {
			at += len(statement)
		}
	}
	return lineOf(text, at)
}
