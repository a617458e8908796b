package mysql

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/schema"
)

// account makes an account without rights but on the database's name, and returns how statements name it and its URL.
func account(t *testing.T, admin *side, name string) (quoted, address string) {
	t.Helper()
	name += "_" + admin.Info.Schema
	quoted = name + "@'127.0.0.1'"
	admin.do("CREATE USER " + quoted + " IDENTIFIED BY '" + testserver.Password + "'")
	u := url.URL{Scheme: "mariadb", User: url.UserPassword(name, testserver.Password), Host: admin.d.cfg.Addr, Path: "/" + admin.Info.Schema}
	return quoted, u.String()
}

// TestEachMissingRightIsNamed: of each right that a side needs, its absence is seen, alone, and mended by the statement that is
// named with it.
func TestEachMissingRightIsNamed(t *testing.T) {
	own := testserver.New(t, "mariadb") // a setting of the whole server is one of them
	for _, part := range []driver.Side{driver.Source, driver.Target} {
		t.Run(string(part), func(t *testing.T) {
			admin := open(t, own.Create(t, "shop_"+string(part)), part)
			admin.do("CREATE TABLE `or``der` (id INT PRIMARY KEY)", "SET GLOBAL log_bin_trust_function_creators = 0")
			quoted, address := account(t, admin, "mover")
			admin.do("GRANT CREATE VIEW ON `shop\\_" + string(part) + "`.* TO " + quoted) // lets it connect to the database, and is not asked for
			poor := open(t, address, part)
			a := &schema.Table{Name: schema.Name{Schema: admin.Info.Schema, Name: "or`der"}, Number: 7}
			builder, enters := account(t, admin, "builder")
			shadow := driver.Shadow{Place: admin.Info.Schema + "_shadow", Account: strings.ReplaceAll(builder, "'", "")}
			scope := driver.Scope{Schemas: []string{admin.Info.Schema}, Tables: []*schema.Table{a}, Live: []*schema.Table{a}, Shadows: []driver.Shadow{shadow}}
			needed := func() []driver.Right {
				all, err := poor.Rights.Needed(t.Context(), scope)
				if err != nil {
					t.Fatal(err)
				}
				return all
			}
			for _, r := range needed() {
				if !r.Lacks && r.Rule != "right-build" { // which it is not known to have, without the right to look
					t.Errorf("the account has %s before it was granted", r.Rule)
				}
				admin.do(r.Grant)
			}
			for _, r := range needed() {
				if r.Lacks {
					t.Errorf("%s is granted and lacks: %s", r.Rule, r.Grant)
				}
			}
			for _, r := range needed() {
				if !strings.HasPrefix(r.Grant, "GRANT ") {
					continue
				}
				rights, rest, _ := strings.Cut(strings.TrimPrefix(r.Grant, "GRANT "), " ON ")
				each := strings.Split(rights, ", ")
				if strings.Contains(rights, "(") {
					each = []string{rights} // on columns
				}
				for _, one := range each {
					if one == "SELECT" && r.Rule == "right-own-table" {
						continue // it has that on the whole database
					}
					revoke := "REVOKE " + one + " ON " + strings.Replace(rest, " TO ", " FROM ", 1)
					admin.do(revoke)
					for _, now := range needed() {
						if now.Lacks != (now.Grant == r.Grant) {
							t.Errorf("after %s: %s lacks %t", revoke, now.Rule, now.Lacks)
						}
					}
					admin.do(r.Grant)
				}
			}
			builds(t, open(t, address, part), enters, shadow)
			for _, column := range []string{"authentication_string", "plugin"} {
				sql := "DO (SELECT COUNT(" + column + ") FROM mysql.user)"
				if err := poor.Executor.Execute(t.Context(), driver.Statement{SQL: sql}); poor.Dialect.Classify(err) != driver.Refused {
					t.Errorf("%s: %v", sql, err)
				}
			}
			place := quote(exactly(shadow.Place)) + ".*" // an account that may pass on what it has there lets in who builds
			admin.do("REVOKE ALL PRIVILEGES ON "+place+" FROM "+builder, "GRANT GRANT OPTION ON "+place+" TO "+quoted)
			for _, r := range needed() {
				if r.Lacks {
					t.Errorf("%s lacks where the account may grant it: %s", r.Rule, r.Grant)
				}
			}
			lets(t, &site{open(t, address, part), shadow, nil}, admin)
			if part == driver.Source {
				writes(t, open(t, address, part), admin) // what a session may in its database, it knows from its beginning on
			}
		})
	}
}

// builds fails the test if the rights do not do for a shadow: made, filled, built in, and adopted at the target.
func builds(t *testing.T, poor *side, enters string, shadow driver.Shadow) {
	t.Helper()
	u, err := url.Parse(enters)
	if err != nil {
		t.Fatal(err)
	}
	b := &site{poor, shadow, u}
	if part := b.d.options.Side; part == driver.Target {
		b.must(b.Ledger.Prepare(b.ctx, "test"))
	}
	b.must(b.Shadows.Make(b.ctx, shadow))
	tables := []*schema.Table{b.inspect("or`der")}
	if found, err := b.Shadows.Outside(b.ctx, shadow, tables); err != nil || found != nil {
		t.Errorf("the account reaches %q, %v", found, err)
	}
	if b.d.options.Side == driver.Source {
		b.must(b.Shadows.Clone(b.ctx, shadow, tables))
	} else {
		b.must(b.Shadows.Lend(b.ctx, shadow, tables))
	}
	b.script(shadow.Place, "INSERT INTO `or``der` VALUES (5); CREATE VIEW shown AS SELECT * FROM `or``der`; CREATE FUNCTION f() RETURNS INT NO SQL RETURN 1; "+
		"CREATE PROCEDURE p() SELECT 1; CREATE TRIGGER tr BEFORE INSERT ON `or``der` FOR EACH ROW SET @a = 1; CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO CALL p()")
	if b.d.options.Side == driver.Target {
		b.must(b.Shadows.Adopt(b.ctx, shadow, ""))
		list, err := b.Relics.List(b.ctx, "")
		if b.must(err); len(list) != 6 {
			t.Errorf("adopted: %q", list)
		}
	}
	b.must(b.Shadows.Drop(b.ctx, shadow))
}

// lets fails the test if an account that may pass on what it has in a shadow does not let in who builds there, or does not take it back.
func lets(t *testing.T, poor *site, admin *side) {
	t.Helper()
	user, _ := userOf(poor.shadow.Account)
	grants := "SELECT COUNT(*) FROM mysql.db WHERE User = " + quoteText(user)
	poor.must(poor.Shadows.Make(t.Context(), poor.shadow))
	if got := admin.app().text(grants); got != "1" {
		t.Errorf("the account that builds has %s grants", got)
	}
	poor.must(poor.Shadows.Drop(t.Context(), poor.shadow))
	if got := admin.app().text(grants); got != "0" {
		t.Errorf("the account that built keeps %s grants", got)
	}
}

// writes fails the test if the account of a source can change the application's rows.
func writes(t *testing.T, poor, admin *side) {
	t.Helper()
	for _, sql := range []string{"INSERT INTO `or``der` VALUES (1)", "DELETE FROM `or``der`", "UPDATE `or``der` SET id = 2", "DROP TABLE `or``der`", "CREATE TABLE another (id INT)"} {
		if err := poor.Executor.Execute(t.Context(), driver.Statement{SQL: sql}); poor.Dialect.Classify(err) != driver.Refused {
			t.Errorf("%s: %v", sql, err)
		}
	}
	quoted, address := account(t, admin, "shop")
	admin.do("GRANT INSERT, UPDATE ON `or``der` TO "+quoted, "GRANT SELECT ON `or``der` TO "+quoted)
	table := admin.inspect("or`der")
	table.Number = 7
	if err := poor.Capturer.Install(t.Context(), table, shapeOf(table), driver.Wait{}); err != nil {
		t.Fatal(err)
	}
	shop := open(t, address, driver.Source).app()
	shop.do("INSERT INTO `or``der` VALUES (1)", "UPDATE `or``der` SET id = 2")
	if got := admin.app().text("SELECT k1 FROM whimbrel_source_record_7 ORDER BY k1"); got != "1\n1\n2" && got != "1\n2" {
		t.Errorf("noted %q", got)
	}
}

// TestSurplusRightsAreNoted: of an account that may do everything, and none of one that may do what a move needs.
func TestSurplusRightsAreNoted(t *testing.T) {
	s := source(t)
	notes, err := s.Rights.Surplus(s.ctx)
	if err != nil || len(notes) != 1 || notes[0].Level != driver.Note || !strings.Contains(notes[0].Message, "SUPER, FILE") {
		t.Errorf("%+v, %v", notes, err)
	}
	quoted, address := account(t, s, "plain")
	s.do("GRANT SELECT ON "+quote(s.Info.Schema)+".* TO "+quoted, "GRANT PROCESS ON *.* TO "+quoted)
	if notes, err = open(t, address, driver.Source).Rights.Surplus(s.ctx); err != nil || len(notes) != 0 {
		t.Errorf("%+v, %v", notes, err)
	}
}

func TestGrantsAreRead(t *testing.T) {
	g := granted{tables: map[string][]string{}}
	for _, line := range []string{
		"GRANT USAGE ON *.* TO `m`@`%` IDENTIFIED BY PASSWORD '*0'",
		"GRANT PROCESS, REPLICA MONITOR ON *.* TO `m`@`%` WITH GRANT OPTION",
		"GRANT SELECT, CREATE TEMPORARY TABLES ON `shop\\_1`.* TO `m`@`%`",
		"GRANT ALL PRIVILEGES ON `a%`.* TO `m`@`%`",
		"GRANT SELECT (`a, ON b`, `c``)`), INSERT ON `x`.`t``. ON y` TO `m`@`%`",
		"GRANT EXECUTE ON PROCEDURE `x`.`p` TO `m`@`%`",
		"GRANT `reader` TO `m`@`%`", "SET DEFAULT ROLE `reader` FOR `m`@`%`", "GRANT", "GRANT SELECT ON `x", "GRANT SELECT ON `x`", "GRANT ON x",
	} {
		g.add(line)
	}
	for _, c := range []struct {
		want bool
		got  bool
	}{
		{true, g.global("PROCESS")},
		{true, g.global("REPLICA MONITOR")},
		{true, g.global("GRANT OPTION")},
		{false, g.global("SELECT")},
		{true, g.on("shop_1", "SELECT")},
		{false, g.on("shopX1", "SELECT")},
		{false, g.on("shop_1", "INSERT")},
		{true, g.on("abc", "DROP")},
		{false, g.on("abc", "GRANT OPTION") && !g.global("GRANT OPTION")},
		{true, g.onTable("x", "t`. ON y", "INSERT")},
		{false, g.onTable("x", "t`. ON y", "SELECT")},
		{false, g.onTable("x", "p", "EXECUTE")},
		{true, g.on("x", "PROCESS")},
	} {
		if c.got != c.want {
			t.Errorf("%+v in %+v", c, g)
		}
	}
}

// FuzzGrants: no line makes the reader fail, or gives a right that does not stand in it.
func FuzzGrants(f *testing.F) {
	for _, line := range []string{"GRANT SELECT ON *.* TO `a`@`b`", "GRANT ALL PRIVILEGES ON `a\\_%`.* TO x WITH GRANT OPTION", "GRANT A (`b`), C ON `d`.`e` TO f"} {
		f.Add(line, "a_b")
	}
	f.Fuzz(func(t *testing.T, line, name string) {
		if len(line) > 200 || len(name) > 64 || strings.Count(line, "%") > 6 {
			return // a pattern of many signs of percent takes its time, and an administrator wrote it
		}
		g := granted{tables: map[string][]string{}}
		g.add(line)
		for _, right := range slices.Concat(readRights, ownRights, fillRights) {
			if g.onTable(name, name, right) && !strings.Contains(line, right) && !strings.Contains(line, "ALL") {
				t.Errorf("%q gives %s", line, right)
			}
		}
	})
}

// TestOurNamesAreKnown: every table that this package names as one of ours is left out of an inspection, and the account has rights on
// it; a new one must be put into both lists.
func TestOurNamesAreKnown(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	word, known := regexp.MustCompile(`own\("([a-z_]+)"`), regexp.MustCompile(ourTables)
	s := source(t)
	table := &schema.Table{Name: schema.Name{Schema: s.Info.Schema, Name: "a"}, Number: 7, Foreign: []*schema.ForeignKey{{OnDelete: schema.Cascade}}}
	needed, err := s.Rights.Needed(s.ctx, driver.Scope{Tables: []*schema.Table{table}, Live: []*schema.Table{table}, Shadows: []driver.Shadow{{Place: "place"}}})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range word.FindAllStringSubmatch(string(text), -1) {
			what := m[1]
			if strings.HasSuffix(what, "_") {
				what += "7"
			}
			found++
			if !known.MatchString("whimbrel_source_"+what) && !known.MatchString("whimbrel_target_"+what) {
				t.Errorf("%s: %s is not among ourTables", file, what)
			}
			if known.MatchString("whimbrel_source_"+what) && !slices.ContainsFunc(needed, func(r driver.Right) bool { return strings.Contains(r.Grant, "`whimbrel_source_"+what+"`") }) {
				t.Errorf("%s: no right on %s", file, what)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d names were found", found)
	}
}
