package mysql

import (
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// endings are texts that end a string where they are written into a statement without care, with backslash escapes or without.
var endings = []string{"'", `\`, `\'`, `it's`, `' OR '1'='1`, `\' OR 1=1 -- `, `'; CREATE TABLE pwned (id INT); -- `, `\'; CREATE TABLE pwned (id INT); -- `, `end\`}

// modes are what a session may have beside our own: backslashes that are themselves, double quotes that are names.
var modes = []string{"", "NO_BACKSLASH_ESCAPES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"}

// TestStrangeAccountsAreNamed: by whoever may see which accounts there are, by whoever may not, and for an administrator to name them.
func TestStrangeAccountsAreNamed(t *testing.T) {
	s := source(t)
	quoted, address := account(t, s, "poor")
	s.do("GRANT CREATE VIEW ON " + quote(s.Info.Schema) + ".* TO " + quoted) // lets it connect to the database
	poor, app := open(t, address, driver.Source), s.app()
	for i, text := range endings {
		user, host := text+s.Info.Schema, "127.0.0.1"
		if i%2 == 1 {
			host = "h" + strings.TrimSpace(strings.ToLower(text)) // the server keeps no other spelling
		}
		app.do("CREATE USER " + quote(user) + "@" + quote(host))
		t.Cleanup(func() { app.do("SET sql_mode=''", "DROP USER "+quote(user)+"@"+quote(host)) })
		var names []string
		for _, one := range []*side{s, poor} {
			err := one.d.control.with(s.ctx, func(ses *session) error {
				for _, asked := range []string{user, user + "@" + host} {
					if all, known := one.d.accountsOf(s.ctx, ses, asked); known == (one == s) && (known || asked != user) {
						names = append(names, all...)
					}
				}
				name, err := rights{one.d}.account(s.ctx, ses, user+"@"+host)
				names = append(names, name)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(names) != 5 {
			t.Errorf("%q has the names %q", user, names)
		}
		names = slices.Compact(names)
		for _, mode := range modes {
			app.do("SET sql_mode='" + mode + "'")
			for _, name := range names {
				app.do("GRANT SELECT ON " + quote(s.Info.Schema) + ".* TO " + name)
				if got := app.text("SELECT CONCAT(User, '@', Host) FROM mysql.db WHERE Db = DATABASE() AND Select_priv = 'Y'"); got != user+"@"+host {
					t.Errorf("%s: %s is the account %q", mode, name, got)
				}
				app.do("REVOKE SELECT ON " + quote(s.Info.Schema) + ".* FROM " + name)
			}
		}
	}
}

// TestStrangeDatabasesAreLookedInto for what an account has made there.
func TestStrangeDatabasesAreLookedInto(t *testing.T) {
	b := build(t, source(t))
	b.must(b.Shadows.Make(b.ctx, b.shadow))
	app := b.app()
	for _, text := range endings {
		home := text + b.Info.Schema
		app.do("CREATE DATABASE "+quote(home), "CREATE DEFINER="+quoteText(b.shadow.Account)+"@'127.0.0.1' VIEW "+quote(home)+".made AS SELECT 1")
		t.Cleanup(func() { app.do("DROP DATABASE " + quote(home)) })
		all, err := b.Shadows.Outside(b.ctx, b.shadow, []*schema.Table{{Name: schema.Name{Schema: home, Name: "a"}}})
		if want := b.shadow.Account + " has made the view " + home + ".made"; err != nil || len(all) != 1 || all[0] != want {
			t.Errorf("%q: %q, %v", home, all, err)
		}
	}
}

// TestStrangeTextsOfATableAreKept: comments, defaults and lists of values, whatever the server's own sql_mode is.
func TestStrangeTextsOfATableAreKept(t *testing.T) {
	own := testserver.New(t, "mariadb")
	for i, mode := range modes {
		address := own.Create(t, "shop_"+string(rune('a'+i)))
		admin := open(t, address, driver.Target)
		admin.do("SET GLOBAL sql_mode='" + mode + "'")
		s := open(t, address, driver.Target)
		for n, text := range endings {
			var values []string
			if !strings.ContainsAny(text, `\`) && !strings.HasSuffix(text, " ") {
				values = []string{"a", text}
			}
			kind := s.carry(schema.Type{Kind: row.Text, Values: append(values, "z")})
			long := s.carry(schema.Type{Kind: row.Text, Length: 80})
			name := schema.Name{Schema: s.Info.Schema, Name: "t" + string(rune('a'+n))}
			s.plan(s.Dialect.CreateTable(&schema.Table{Name: name, Comment: text, Columns: []*schema.Column{
				{Name: "c", Type: kind, Comment: text}, {Name: "d", Type: long, Default: &schema.Default{Kind: schema.Literal, Text: text}},
			}}))
			found := s.inspect(name.Name)
			d := found.Columns[1].Default
			if found.Comment != text || found.Columns[0].Comment != text || d == nil || d.Text != text || !slices.Equal(found.Columns[0].Type.Values, append(values, "z")) {
				t.Errorf("%s %q: %+v %+v", mode, text, found, d)
			}
			if got := s.app().text("INSERT INTO " + name.Name + " (c) VALUES ('z') RETURNING d"); got != text {
				t.Errorf("%s %q: the default is %q", mode, text, got)
			}
		}
		if got := s.app().text("SHOW TABLES LIKE 'pwned'"); got != "" {
			t.Errorf("%s: a stranger's text was carried out", mode)
		}
	}
}

// carry is a type as a table of ours gets it.
func (s *side) carry(t schema.Type) schema.Type {
	s.t.Helper()
	carried, _ := s.Dialect.Carry(t, false)
	return carried
}
