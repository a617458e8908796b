package drivertest

import (
	"net/url"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

var scriptCases = []oneCase{
	{"SeveralStatements", building, (*scene).severalStatements},
	{"TheDefaultPlace", building, (*scene).defaultPlace},
	{"AddressesOfPrograms", building, (*scene).addresses},
	{"AWrongPassword", building, (*scene).wrongPassword},
}

func (s *scene) severalStatements() {
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		d := s.open(side)
		if d.Scripts.Dialect() == "" {
			s.Error("no dialect")
		}
		b := s.build(d, "shadow")
		b.do("CREATE TABLE made (id integer PRIMARY KEY, word varchar(40));\n-- a comment; with a semicolon\n" +
			"INSERT INTO made VALUES (1, 'semi;colon');\nINSERT INTO made VALUES (2, 'it''s');")
		s.inOrder("rows", s.seen(b.pool, "SELECT word FROM made ORDER BY id"), []string{"semi;colon", "it's"})
		b.fails("a script with a fault", "INSERT INTO made VALUES (3, 'three'); INSERT INTO nowhere VALUES (1)")
		b.do("INSERT INTO made VALUES (5, 'five')")
		tx, err := b.pool.BeginTx(s.ctx, nil)
		s.check(err)
		_, err = tx.ExecContext(s.ctx, "INSERT INTO made VALUES (6, 'six')")
		s.check(err)
		s.check(tx.Rollback())
		s.inOrder("after a rollback", s.seen(b.pool, "SELECT id FROM made WHERE id > 4"), []string{"5"})
		second := b.enter(b.place.Place)
		s.inOrder("another pool", s.seen(second, "SELECT count(*) FROM made WHERE id < 3"), []string{"2"})
		s.check(second.Close())
		b.leave()
		s.check(d.Shadows.Drop(s.ctx, b.place))
		s.nothingLeft()
	}
}

// defaultPlace enters the database's default schema.
func (s *scene) defaultPlace() {
	d := s.open(driver.Target)
	t, _ := s.table(d, items)
	s.insert(t, item(1, "a"))
	b := s.named(d, "unused")
	if b.place.Account != "" {
		s.place.Allow(s.T, b.place.Account, t)
	}
	for _, place := range []string{"", d.Info.Schema} {
		b.pool = b.enter(place)
		s.inOrder("the default schema", s.seen(b.pool, "SELECT id, name FROM items"), []string{"1 a"})
		b.leave()
		address, err := d.Scripts.Address(b.url, place)
		s.check(err)
		if out, err := s.place.Program(s.T, address, "SELECT name FROM items"); err != nil || strings.TrimSpace(out) != "a" {
			s.Errorf("a program finds %q: %v", out, err)
		}
	}
}

func (s *scene) addresses() {
	d := s.open(driver.Source)
	b := s.build(d, "shadow of 100% + more")
	for range 2 {
		address, err := d.Scripts.Address(b.url, b.place.Place)
		s.check(err)
		if _, err := url.Parse(address); err != nil {
			s.Errorf("the address is no URL: %v", err)
		}
		out, err := s.place.Program(s.T, address, "CREATE TABLE IF NOT EXISTS made (id integer PRIMARY KEY, word varchar(20)); "+
			"DELETE FROM made; INSERT INTO made VALUES (1, 'by a program'); SELECT word FROM made")
		if err != nil || !strings.Contains(out, "by a program") {
			s.Errorf("a program: %q: %v", out, err)
		}
	}
	s.inOrder("what the program made", s.seen(b.pool, "SELECT word FROM made"), []string{"by a program"})
	s.unnamed(d, "made")
	b.leave()
	s.check(d.Shadows.Drop(s.ctx, b.place))
}

func (s *scene) wrongPassword() {
	d := s.open(driver.Source)
	b := s.build(d, "shadow")
	b.leave()
	if b.place.Account != "" {
		wrong := *b.url
		wrong.User = url.UserPassword(b.url.User.Username(), "Sec ret/+%")
		pool, err := d.Scripts.Pool(s.ctx, &wrong, b.place.Place)
		if err == nil {
			_ = pool.Close()
			s.Fatal("a wrong password opens a pool")
		}
		for _, secret := range []string{"Sec ret", "Sec%20ret", "Sec+ret"} {
			if strings.Contains(err.Error(), secret) {
				s.Errorf("the password is in the error: %v", err)
			}
		}
	}
	s.check(d.Shadows.Drop(s.ctx, b.place))
}

var relicCases = []oneCase{
	{"WhatScriptsMadeIsTakenAway", append(slices.Clone(reading), "Relics"), (*scene).relics},
	{"OursAreNoRelics", append(slices.Clone(applying), "Relics", "Guard"), (*scene).oursAreNoRelics},
	{"RelicsOfAnySpelling", []string{"Executor", "Inspector", "Relics"}, (*scene).anyRelic},
}

// sql runs statements with our rights, one by one.
func (s *scene) sql(d *driver.Database, statements ...string) {
	s.Helper()
	for _, one := range statements {
		s.execute(d, []driver.Statement{{Purpose: "run", SQL: one}})
	}
}

func (s *scene) listed(d *driver.Database) []string {
	s.Helper()
	list, err := d.Relics.List(s.ctx, "")
	s.check(err)
	return list
}

func (s *scene) relics() {
	d := s.open(driver.Target)
	t, shape := s.table(d, items)
	s.insert(t, many(1, 2)...)
	in := func(name string) string {
		if !d.Info.Limits.Schemas {
			return d.Dialect.Quote(name) // a foreign key's parent is named without its schema there
		}
		return s.full(d, schema.Name{Schema: d.Info.Schema, Name: name})
	}
	s.sql(d, "CREATE VIEW "+in("before")+" AS SELECT id FROM "+in("items"))
	keep := s.listed(d)
	if len(keep) < 2 {
		s.Errorf("a table and a view are listed as %q", keep)
	}
	s.check(d.Relics.Remove(s.ctx, "", keep))
	for range 2 {
		s.sql(d, "CREATE TABLE "+in("made")+" (id integer PRIMARY KEY, word varchar(20))", "INSERT INTO "+in("made")+" VALUES (1, 'one')",
			"CREATE TABLE "+in("after")+" (id integer PRIMARY KEY, made integer REFERENCES "+in("made")+" (id))",
			"CREATE VIEW "+in("a view")+" AS SELECT a.id FROM "+in("made")+" AS m JOIN "+in("after")+" AS a ON a.made = m.id",
			"CREATE VIEW "+in("zz view")+" AS SELECT id FROM "+in("a view"))
		if now := s.listed(d); len(now) < len(keep)+4 {
			s.Errorf("four objects more are listed as %q, before %q", now, keep)
		}
		for range 2 {
			s.check(d.Relics.Remove(s.ctx, "", keep))
			s.same("what is left", s.listed(d), keep)
		}
	}
	s.same("the table that stays", s.all(d, driver.Query{Table: t, Shape: shape.Keys()}), lines([]string{"1"}, []string{"2"}))
	s.check(d.Relics.Remove(s.ctx, "", nil))
	s.unnamed(d, "items")
	s.same("nothing is left", s.listed(d), nil)
}

// oursAreNoRelics removes everything while a table is guarded and the ledger has lines.
func (s *scene) oursAreNoRelics() {
	r := s.ready(items, item(1, "a"))
	s.check(r.d.Guard.Shut(s.ctx, r.t, r.epoch))
	stands := r.stands()
	for _, line := range s.listed(r.d) {
		if strings.Contains(line, "whimbrel") {
			s.Errorf("ours is listed: %s", line)
		}
	}
	keep := s.listed(r.d)
	s.check(r.d.Relics.Remove(s.ctx, "", keep))
	if now := r.stands(); now != stands {
		s.Errorf("the guard is another one: %q, was %q", now, stands)
	}
	r.apply([]string{"1", "2"}, item(2, "b"))
	r.want("the ledger stands", item(2, "b"))
	s.check(r.d.Guard.Open(s.ctx, r.t))
	s.check(r.d.Ledger.Drop(s.ctx))
	s.nothingLeft()
}

func (s *scene) anyRelic() {
	d := s.open(driver.Target)
	keep := s.listed(d)
	for _, name := range append(slices.Clone(spellings), "new\nline", strings.Repeat("x", min(d.Info.Limits.Name, 60))) {
		t, _ := s.bare(d, design{name: name, columns: []column{{name: name, typ: int64Type}}, key: []string{name}})
		full := s.full(d, t.Name)
		s.sql(d, "CREATE VIEW "+s.full(d, schema.Name{Schema: d.Info.Schema, Name: name + " v"})+" AS SELECT * FROM "+full)
	}
	s.check(d.Relics.Remove(s.ctx, "", keep))
	s.same("what is left", s.listed(d), keep)
}

var admitCases = []oneCase{
	{"OneAccountIsAdmitted", append(slices.Clone(applying), "Guard", "Admitter", "Scripts"), (*scene).admitted},
}

// admitted lets one account write to a guarded table.
func (s *scene) admitted() {
	r := s.ready(items, item(1, "a"))
	g := items
	g.name = "shut"
	other, otherShape := s.table(r.d, g)
	s.insert(other, item(1, "a"))
	b, stranger := s.named(r.d, "unused"), s.named(r.d, "unused too")
	limited := b.place.Account != ""
	if limited {
		for _, who := range []*built{b, stranger} {
			s.place.Allow(s.T, who.place.Account, r.t)
			s.place.Allow(s.T, who.place.Account, other)
		}
	}
	s.check(r.d.Guard.Shut(s.ctx, r.t, r.epoch))
	s.check(r.d.Guard.Shut(s.ctx, other, r.epoch))
	b.pool, stranger.pool = b.enter(""), stranger.enter("")
	if limited {
		b.fails("nobody is admitted", "INSERT INTO items (id) VALUES (10)")
	}
	for i := range 2 {
		s.check(r.d.Admitter.Admit(s.ctx, r.t, b.place.Account))
		if r.stands() == "" {
			s.Error("the guard does not stand when an account was admitted")
		}
		b.do([]string{"INSERT INTO items (id) VALUES (11)", "UPDATE items SET name = 'theirs' WHERE id = 11"}[i])
		if limited {
			s.refused(r.d, r.t, r.shape)
			stranger.fails("another account is admitted", "INSERT INTO items (id) VALUES (12)")
			b.fails("at another table", "INSERT INTO shut (id) VALUES (12)")
		}
	}
	stands := r.stands()
	s.check(r.d.Admitter.Admit(s.ctx, r.t, b.place.Account))
	if now := r.stands(); now != stands {
		s.Errorf("the guard is another one after an account was admitted again: %q, was %q", now, stands)
	}
	address, err := r.d.Scripts.Address(b.url, "")
	s.check(err)
	if _, err := s.place.Program(s.T, address, "DELETE FROM items WHERE id = 11"); err != nil {
		s.Errorf("a program of the account: %v", err)
	}
	s.check(s.load(r.d, intake(r.t, r.shape, r.epoch, 2), item(2, "b")))
	s.refused(r.d, other, otherShape)
	for range 2 {
		s.check(r.d.Guard.Open(s.ctx, r.t))
	}
	s.insert(r.t, item(3, "c"))
	r.want("open", item(1, "a"), item(2, "b"), item(3, "c"))
	s.check(r.d.Guard.Shut(s.ctx, r.t, r.epoch))
	if limited {
		b.fails("the guard was opened since", "INSERT INTO items (id) VALUES (13)")
	}
	s.check(r.d.Guard.Open(s.ctx, r.t))
	s.check(r.d.Guard.Open(s.ctx, other))
	b.leave()
	stranger.leave()
	s.check(r.d.Ledger.Drop(s.ctx))
	s.nothingLeft()
}
