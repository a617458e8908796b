// Package drivertest is the suite that every driver passes, and a wrapper that makes faults.
//
// A driver's test gives Run a Config: how to get an empty database, how an application writes to it, and what the product
// has not got. Tables are made from schema values through the driver's own Dialect, rows are canonical cells, so that one
// suite serves every product. Each case gets a database of its own, does what a move does, twice where the contract says
// "Again", and looks at what is there afterwards through the driver's own Reader. A role that is nil must be named in
// Config.Absent, so that nothing is left out by accident.
package drivertest

import (
	"context"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Config says how one product is tested.
type Config struct {
	// Place makes a new, empty database.
	Place func(t testing.TB) Place
	// Absent names the roles, as the fields of driver.Database, that the product has not got.
	Absent []string
	// Samples are columns of the product's own types, which the suite can not know.
	Samples []Sample
	// Folded is a type of the product's own for text that holds values equal which differ in case, or in trailing blanks;
	// the zero Type where it has none.
	Folded schema.Type
	// Truncate says what becomes of a TRUNCATE in an uptime table.
	Truncate Emptying
	// Inert says that foreign keys are only written down: they change no rows.
	Inert bool
	// Wait is how long calls wait for locks; 300 ms each when zero.
	Wait driver.Wait
}

// Place is one database and the application in it.
type Place struct {
	// Open opens the database for a run; the suite closes it. Again: another Database.
	Open func(t testing.TB, side driver.Side, run string) *driver.Database
	// App writes as an application does: with no knowledge of a move, over sessions of its own. SQL makes one.
	App App
	// Left names what of Whimbrel's is in the database: tables, triggers, functions, schemas.
	Left func(t testing.TB) []string
	// Kill, when set, ends every session of the driver's at the server, as an administrator would.
	Kill func(t testing.TB)
	// Shadow names a place of that name for a shadow and makes an account that may enter the server and no more, of which ours
	// may take over what it makes; it returns the URL by which the account enters. Where the product has no accounts the
	// shadow's account is empty. Set where there are Shadows, Scripts or an Admitter.
	Shadow func(t testing.TB, name string) (driver.Shadow, *url.URL)
	// Allow lets an account read and write a table, as an administrator would; set where the product has accounts.
	Allow func(t testing.TB, account string, table *schema.Table)
	// Program runs statements at an address with a program that takes it, and returns what that printed; set where there are
	// Scripts.
	Program func(t testing.TB, address, statements string) (string, error)
	// Done, when set, looks for leaks at the end of each case, after the databases were closed.
	Done func(t testing.TB)
}

// App is an application that writes to a database.
type App interface {
	// Begin begins a transaction on a session of its own.
	Begin(t testing.TB) Tx
}

// Tx is an application's transaction. Cells are canonical, in the order of the table's columns, nil for NULL; a row is
// named by the cells of its live key.
type Tx interface {
	Insert(t *schema.Table, cells ...[]byte) error
	Update(t *schema.Table, key row.Key, cells ...[]byte) error
	Delete(t *schema.Table, key row.Key) error
	Truncate(t *schema.Table) error
	Commit() error
	Rollback() error
}

// Sample is a column of a type with cells it must carry unchanged.
type Sample struct {
	Name  string
	Type  schema.Type
	Cells []Cell
}

// Cell is a canonical cell; Fact is what a survey would say about it, empty for nothing. Cells whose fact the dialect
// names as a loss are left out.
type Cell struct {
	Text string
	Fact driver.FactKind
}

// Emptying is what becomes of a TRUNCATE in an uptime table.
type Emptying int

// Noted: capture records it. Seen: the watcher finds it. Rowwise: the product has no such statement.
const (
	Noted Emptying = iota
	Seen
	Rowwise
)

// oneCase is one case of the suite.
type oneCase struct {
	name  string
	roles []string
	run   func(s *scene)
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	if cfg.Wait == (driver.Wait{}) {
		cfg.Wait = driver.Wait{Lock: 300 * time.Millisecond, Settled: 300 * time.Millisecond}
	}
	t.Run("Roles", cfg.roles)
	for _, group := range []struct {
		name  string
		cases []oneCase
	}{
		{"Tables", tableCases},
		{"Kinds", cfg.kindCases()},
		{"Read", readCases},
		{"Load", loadCases},
		{"Ledger", ledgerCases},
		{"Apply", applyCases},
		{"Stage", stageCases},
		{"Lists", listCases},
		{"Capture", captureCases},
		{"Keys", cfg.keyCases()},
		{"Gate", gateCases},
		{"Cascades", cascadeCases},
		{"Sequences", sequenceCases},
		{"Cancel", cancelCases},
		{"Together", togetherCases},
		{"Killed", killedCases},
		{"Shadows", shadowCases},
		{"Scripts", scriptCases},
		{"Relics", relicCases},
		{"Admit", admitCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				if !cfg.lacks(c.roles) {
					t.Run(c.name, func(t *testing.T) { cfg.stage(t, c) })
				}
			}
		})
	}
}

func (cfg Config) lacks(roles []string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(cfg.Absent, r) })
}

func (cfg Config) folds() bool { return cfg.Folded.Raw != "" || cfg.Folded.Collation != "" }

// roles checks that what is nil was declared, and nothing else.
func (cfg Config) roles(t *testing.T) {
	place := cfg.Place(t)
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		d := place.Open(t, side, "suite")
		fields := reflect.ValueOf(d).Elem()
		for i := range fields.NumField() {
			name := fields.Type().Field(i).Name
			if name == "Info" {
				continue
			}
			if absent := slices.Contains(cfg.Absent, name); fields.Field(i).IsNil() != absent {
				t.Errorf("%s: role %s: nil %t, declared absent %t", side, name, fields.Field(i).IsNil(), absent)
			}
		}
		if d.Info.Product == "" || d.Info.Version == "" || d.Info.Name == "" || d.Info.Schema == "" || d.Info.Server == "" ||
			d.Info.Limits.Name == 0 || d.Info.Limits.Value == 0 {
			t.Errorf("%s: Info says too little: %+v", side, d.Info)
		}
		check(t, d.Close())
		check(t, d.Close())
	}
	if left := place.Left(t); len(left) > 0 {
		t.Errorf("opening left %v", left)
	}
}

// stage runs one case in a database of its own.
func (cfg Config) stage(t *testing.T, c oneCase) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := &scene{T: t, cfg: cfg, ctx: ctx, place: cfg.Place(t), run: "suite"}
	c.run(s)
	for _, end := range s.closing {
		check(t, end())
	}
	for _, d := range s.opened {
		check(t, d.Close())
	}
	if s.place.Done != nil && !t.Failed() {
		s.place.Done(t)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
