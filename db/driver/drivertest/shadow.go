package drivertest

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// building are the roles with which a release is built beside the running system.
var building = []string{"Executor", "Inspector", "Shadows", "Scripts"}

var shadowCases = []oneCase{
	{"MadeTwiceDroppedTwice", building, (*scene).madeTwice},
	{"AnothersPlaceStays", building, (*scene).othersPlace},
	{"NobodyElseEnters", building, (*scene).nobodyElse},
	{"PlacesOfAnySpelling", building, (*scene).anyPlace},
	{"Clone", building, (*scene).cloned},
	{"CloneIsOneSnapshot", building, (*scene).clonedWhileWriting},
	{"LentAndAdopted", append(slices.Clone(building), "Reader"), (*scene).adopted},
	{"LentFromBehindTheGuard", append(slices.Clone(building), "Reader", "Guard"), (*scene).lentGuarded},
	{"NothingOfTheSourceIsLent", append(slices.Clone(building), "Reader"), (*scene).notLent},
	{"WhatIsInTheWayIsNamed", append(slices.Clone(building), "Reader"), (*scene).inTheWay},
	{"Outside", building, (*scene).outside},
	{"ContextsThatAreOver", building, (*scene).buildCancelled},
	{"KilledSessions", building, (*scene).buildKilled},
	{"LostAnswers", append(slices.Clone(building), "Reader", "Relics"), (*scene).lostAnswers},
}

// built is a shadow with its account at work in it.
type built struct {
	*scene
	d     *driver.Database
	place driver.Shadow
	url   *url.URL
	pool  *sql.DB
}

// named names a place for a shadow, with its account, which is not let in yet.
func (s *scene) named(d *driver.Database, name string) *built {
	s.Helper()
	place, u := s.place.Shadow(s.T, name)
	return &built{scene: s, d: d, place: place, url: u}
}

// build makes a shadow and lets its account in.
func (s *scene) build(d *driver.Database, name string) *built {
	s.Helper()
	b := s.named(d, name)
	s.check(d.Shadows.Make(s.ctx, b.place))
	b.pool = b.enter(b.place.Place)
	return b
}

// enter opens a pool, which the case's end closes.
func (b *built) enter(place string) *sql.DB {
	b.Helper()
	pool, err := b.d.Scripts.Pool(b.ctx, b.url, place)
	b.check(err)
	b.closing = append(b.closing, pool.Close)
	return pool
}

// leave closes the pool, as a build that has ended does.
func (b *built) leave() {
	b.Helper()
	b.check(b.pool.Close())
}

// do runs statements as the release's scripts do.
func (b *built) do(statements string) {
	b.Helper()
	if _, err := b.pool.ExecContext(b.ctx, statements); err != nil {
		b.Fatalf("%s: %v", statements, err)
	}
}

// seen reads rows of short texts and numbers.
func (s *scene) seen(pool *sql.DB, query string) []string {
	s.Helper()
	rows, err := pool.QueryContext(s.ctx, query)
	s.check(err)
	defer rows.Close()
	names, err := rows.Columns()
	s.check(err)
	var got []string
	for rows.Next() {
		cells, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		s.check(rows.Scan(into...))
		parts := make([]string, len(names))
		for i, c := range cells {
			parts[i] = "NULL"
			if c.Valid {
				parts[i] = c.String
			}
		}
		got = append(got, strings.Join(parts, " "))
	}
	s.check(rows.Err())
	return got
}

// unnamed checks that the database's own tables have none of that name.
func (s *scene) unnamed(d *driver.Database, name string) {
	s.Helper()
	if s.inspected(d, schema.Name{Schema: d.Info.Schema, Name: name}) != nil {
		s.Fatalf("%s is among the database's own tables", name)
	}
}

func (s *scene) madeTwice() {
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		d := s.open(side)
		b := s.named(d, "new release")
		s.check(d.Shadows.Drop(s.ctx, b.place))
		for range 2 {
			s.check(d.Shadows.Make(s.ctx, b.place))
		}
		b.pool = b.enter(b.place.Place)
		b.do("CREATE TABLE made (id integer PRIMARY KEY, word varchar(20)); INSERT INTO made VALUES (1, 'one')")
		s.check(d.Shadows.Make(s.ctx, b.place))
		s.inOrder("what was built", s.seen(b.pool, "SELECT id, word FROM made"), []string{"1 one"})
		s.unnamed(d, "made")
		b.leave()
		for range 2 {
			s.check(d.Shadows.Drop(s.ctx, b.place))
		}
		s.check(d.Shadows.Make(s.ctx, b.place))
		b.pool = b.enter(b.place.Place)
		if _, err := b.pool.ExecContext(s.ctx, "SELECT id FROM made"); err == nil {
			s.Error("what was built outlives its place")
		}
		b.leave()
		s.check(d.Shadows.Drop(s.ctx, b.place))
		s.nothingLeft()
	}
}

// othersPlace is a place that another run has made.
func (s *scene) othersPlace() {
	d, other := s.open(driver.Target), s.openFor(driver.Target, "other")
	b := s.named(d, "theirs")
	s.check(other.Shadows.Make(s.ctx, b.place))
	theirs := &built{scene: s, d: other, place: b.place, url: b.url}
	theirs.pool = theirs.enter(b.place.Place)
	theirs.do("CREATE TABLE made (id integer PRIMARY KEY)")
	t, _ := s.table(d, items)
	tables := []*schema.Table{t}
	for range 2 {
		s.class(d, d.Shadows.Make(s.ctx, b.place), driver.Exists)
		if err := d.Shadows.Clone(s.ctx, b.place, tables); err == nil {
			s.Error("tables are cloned into another run's place")
		}
		if err := d.Shadows.Lend(s.ctx, b.place, tables); err == nil {
			s.Error("tables are lent to another run's place")
		}
		if err := d.Shadows.Adopt(s.ctx, b.place, ""); err == nil {
			s.Error("another run's place is adopted")
		}
		s.check(d.Shadows.Drop(s.ctx, b.place))
	}
	s.inOrder("another run's place", s.seen(theirs.pool, "SELECT count(*) FROM made"), []string{"0"})
	s.unnamed(d, "made")
	if s.inspected(d, t.Name) == nil {
		s.Error("the table is gone")
	}
	theirs.leave()
	s.check(other.Shadows.Drop(s.ctx, b.place))
	s.nothingLeft()
}

// nobodyElse lets another account try to enter, and the account try to leave.
func (s *scene) nobodyElse() {
	d := s.open(driver.Source)
	t, _ := s.table(d, items)
	s.insert(t, item(1, "secret"))
	b, other := s.build(d, "one"), s.build(d, "two")
	b.do("CREATE TABLE made (id integer PRIMARY KEY)")
	if b.place.Account == "" {
		return // whoever can read the file can
	}
	enter := func(from *built, name schema.Name) error {
		_, err := from.pool.ExecContext(s.ctx, "SELECT * FROM "+s.full(d, name))
		return err
	}
	if err := enter(b, schema.Name{Schema: b.place.Place, Name: "made"}); err != nil {
		s.Errorf("the account does not reach its own place by its full name: %v", err)
	}
	if err := enter(other, schema.Name{Schema: b.place.Place, Name: "made"}); err == nil {
		s.Error("another account reads what stands in a shadow")
	}
	if err := enter(b, t.Name); err == nil {
		s.Error("the account reads a table of the move")
	}
	if _, err := b.pool.ExecContext(s.ctx, "DROP TABLE "+s.full(d, t.Name)); err == nil {
		s.Error("the account drops a table of the move")
	}
	if found, err := d.Shadows.Outside(s.ctx, b.place, []*schema.Table{t}); err != nil || len(found) > 0 {
		s.Errorf("found outside: %v, %v", found, err)
	}
	b.leave()
	other.leave()
	s.check(d.Shadows.Drop(s.ctx, b.place))
	s.check(d.Shadows.Drop(s.ctx, other.place))
}

// full writes a table's full name.
func (s *scene) full(d *driver.Database, n schema.Name) string {
	return d.Dialect.Quote(n.Schema) + "." + d.Dialect.Quote(n.Name)
}

// anyPlace gives places and what is built in them names of every spelling.
func (s *scene) anyPlace() {
	d := s.open(driver.Target)
	for _, name := range append(slices.Clone(spellings), "new\nline", strings.Repeat("x", min(d.Info.Limits.Name, 60)-len(" made")), `"; DROP TABLE made; --`) {
		t, _ := s.table(d, design{
			name: name, columns: []column{{name: name, typ: int64Type}, {name: name + " 2", typ: shortText, null: true}},
			key: []string{name}, unique: []string{name + " 2"},
		})
		s.insert(t, []string{"1", "kept"})
		b := s.build(d, name)
		for range 2 {
			s.check(d.Shadows.Clone(s.ctx, b.place, []*schema.Table{t}))
		}
		rows := "SELECT * FROM " + d.Dialect.Quote(name)
		s.inOrder(name, s.seen(b.pool, rows), []string{"1 kept"})
		b.do("CREATE TABLE " + d.Dialect.Quote(name+" made") + " (id integer PRIMARY KEY)")
		address, err := d.Scripts.Address(b.url, b.place.Place)
		s.check(err)
		if out, err := s.place.Program(s.T, address, rows); err != nil || !strings.Contains(out, "kept") {
			s.Errorf("a program at %q finds %q: %v", name, out, err)
		}
		if _, err := d.Shadows.Outside(s.ctx, b.place, []*schema.Table{t}); err != nil {
			s.Error(err)
		}
		b.leave()
		s.execute(d, d.Dialect.DropTable(t))
		s.check(d.Shadows.Adopt(s.ctx, b.place, ""))
		if s.inspected(d, t.Name) == nil {
			s.Errorf("%q is not adopted", name)
		}
		s.execute(d, d.Dialect.DropTable(t))
		made := &schema.Table{Name: schema.Name{Schema: d.Info.Schema, Name: name + " made"}}
		s.execute(d, d.Dialect.DropTable(made))
		s.check(d.Shadows.Drop(s.ctx, b.place))
	}
	s.nothingLeft()
}

func (s *scene) outside() {
	d := s.open(driver.Target)
	t, _ := s.table(d, items)
	g := items
	g.name = "other"
	other, _ := s.table(d, g)
	tables := []*schema.Table{t, other}
	b := s.build(d, "an in side")
	b.do("CREATE TABLE made (id integer PRIMARY KEY)")
	found, err := d.Shadows.Outside(s.ctx, b.place, tables)
	s.check(err)
	if len(found) > 0 {
		s.Errorf("the account can reach nothing, and is said to: %v", found)
	}
	if b.place.Account == "" {
		return
	}
	s.place.Allow(s.T, b.place.Account, t)
	for range 2 {
		found, err = d.Shadows.Outside(s.ctx, b.place, tables)
		s.check(err)
		if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), t.Name.Name) {
			s.Errorf("the account can read %s, and is said to reach %q", t.Name, found)
		}
		if strings.Contains(strings.Join(found, "\n"), other.Name.Name) {
			s.Errorf("the account can not read %s, and is said to reach %q", other.Name, found)
		}
	}
	b.leave()
	s.check(d.Shadows.Drop(s.ctx, b.place))
}

// buildCancelled makes every call with a context that is over: an error, nothing done, and a usable database.
func (s *scene) buildCancelled() {
	d := s.open(driver.Target)
	t, _ := s.table(d, items)
	s.insert(t, item(1, "a"))
	tables := []*schema.Table{t}
	b := s.build(d, "shadow")
	b.do("CREATE TABLE made (id integer PRIMARY KEY)")
	over, cancel := context.WithCancel(s.ctx)
	cancel()
	for what, call := range map[string]func() error{
		"Make":    func() error { return d.Shadows.Make(over, b.place) },
		"Clone":   func() error { return d.Shadows.Clone(over, b.place, tables) },
		"Lend":    func() error { return d.Shadows.Lend(over, b.place, tables) },
		"Adopt":   func() error { return d.Shadows.Adopt(over, b.place, "") },
		"Outside": func() error { _, err := d.Shadows.Outside(over, b.place, tables); return err },
		"Drop":    func() error { return d.Shadows.Drop(over, b.place) },
		"Pool": func() error {
			pool, err := d.Scripts.Pool(over, b.url, b.place.Place)
			if err == nil {
				err = errors.Join(pool.PingContext(over), pool.Close())
			}
			return err
		},
	} {
		for range 3 {
			if err := call(); err == nil {
				s.Errorf("%s does not mind that its context is over", what)
			}
		}
	}
	s.inOrder("the shadow", s.seen(b.pool, "SELECT count(*) FROM made"), []string{"0"})
	s.unnamed(d, "made")
	if s.inspected(d, t.Name) == nil {
		s.Error("the table was lent")
	}
	s.check(d.Shadows.Clone(s.ctx, b.place, tables))
	s.inOrder("and it works", s.seen(b.pool, "SELECT id, name FROM items"), []string{"1 a"})
	b.leave()
	s.check(d.Shadows.Drop(s.ctx, b.place))
}

// buildKilled ends the driver's sessions between the calls: each says so, once perhaps, and then does what it does.
func (s *scene) buildKilled() {
	d := s.open(driver.Target)
	t, _ := s.table(d, items)
	s.insert(t, item(1, "a"))
	tables := []*schema.Table{t}
	b := s.build(d, "shadow")
	for range 3 {
		if !s.kill() {
			b.leave()
			return
		}
		s.recovers(d,
			func() error { return d.Shadows.Make(s.ctx, b.place) },
			func() error { return d.Shadows.Clone(s.ctx, b.place, tables) },
			func() error { _, err := d.Shadows.Outside(s.ctx, b.place, tables); return err },
		)
	}
	b.leave()
	b.pool = b.enter(b.place.Place)
	s.inOrder("after the kill", s.seen(b.pool, "SELECT id, name FROM items"), []string{"1 a"})
	b.leave()
	s.check(d.Shadows.Drop(s.ctx, b.place))
}
