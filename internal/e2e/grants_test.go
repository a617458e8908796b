package e2e

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
	"github.com/whimbrel/whimbrel/internal/e2e/shop"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// accounts are those of a database in which nobody is an administrator: who owns the application's tables, the application
// itself, which may read and write rows and nothing else, and the move's.
type accounts struct{ owner, shop, mover string }

// as is a database's URL with another account.
func as(t *testing.T, at, account string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(account, testserver.Password)
	return u.String()
}

// people makes the accounts of a database. The move's has no right but to connect.
func people(t *testing.T, at string) accounts {
	t.Helper()
	d := open(t, at)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	a := accounts{"own_" + name, "shop_" + name, "move_" + name}
	password := "'" + testserver.Password + "'"
	sql := ""
	for _, account := range []string{a.owner, a.shop, a.mover} {
		if d.Product == "postgres" {
			sql += "CREATE ROLE " + account + " LOGIN PASSWORD " + password + ";\n"
		} else {
			sql += "CREATE USER " + account + "@'127.0.0.1' IDENTIFIED BY " + password + ";\n"
		}
	}
	if d.Product == "postgres" {
		sql += "ALTER DATABASE " + name + " OWNER TO " + a.owner + ";\nREVOKE ALL ON DATABASE " + name + " FROM PUBLIC;\n" +
			"GRANT CONNECT ON DATABASE " + name + " TO " + a.shop + ", " + a.mover + ";\n" +
			"REVOKE ALL ON SCHEMA public FROM PUBLIC;\nGRANT ALL ON SCHEMA public TO " + a.owner + ";\nGRANT USAGE ON SCHEMA public TO " + a.shop + ";\n" +
			"ALTER DEFAULT PRIVILEGES FOR ROLE " + a.owner + " GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO " + a.shop + ";\n" +
			"ALTER DEFAULT PRIVILEGES FOR ROLE " + a.owner + " GRANT USAGE ON SEQUENCES TO " + a.shop + ";\n"
	} else {
		sql += "GRANT ALL ON `" + name + "`.* TO " + a.owner + "@'127.0.0.1';\n" +
			"GRANT SELECT, INSERT, UPDATE, DELETE ON `" + name + "`.* TO " + a.shop + "@'127.0.0.1';\n"
	}
	script(t, d, sql)
	t.Cleanup(func() {
		drop := ""
		for _, account := range []string{a.owner, a.shop, a.mover} {
			if d.Product == "postgres" {
				drop += "DROP OWNED BY " + account + " CASCADE;\nDROP ROLE IF EXISTS " + account + ";\n"
			} else {
				drop += "DROP USER " + account + "@'127.0.0.1';\n"
			}
		}
		if d.Product == "postgres" {
			drop = "ALTER DATABASE " + name + " OWNER TO whimbrel;\n" + drop
		}
		if err := d.Script(drop); err != nil {
			t.Error(err)
		}
	})
	return a
}

func script(t *testing.T, d *oracle.Database, sql string) {
	t.Helper()
	if err := d.Script(sql); err != nil {
		t.Fatal(err)
	}
}

// poor is a move whose accounts have exactly the rights that check --account prints.
func poor(t *testing.T, source, target string) (*live, *move) {
	t.Helper()
	l := &live{t: t, source: fresh(t, source), target: fresh(t, target)}
	from, to := people(t, l.source), people(t, l.target)
	options := shop.Options{Seed: seed(t), Accounts: 200, Sessions: 3, Pause: 5 * time.Millisecond}
	s, err := shop.Open(as(t, l.source, from.owner), "", options)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if l.shop, err = shop.Open(as(t, l.source, from.shop), "", options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.shop.Close() })
	host := map[string]string{"mariadb": "@127.0.0.1"}
	admin := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime()})
	counter := another(t, l.source)
	rights := printed(t, admin, "source", from.mover+host[source])
	if counter != "" && !strings.Contains(rights, "GRANT \""+counter+"\" TO ") {
		t.Errorf("nobody asks for what the owner of a sequence may do:\n%s", rights)
	}
	script(t, open(t, l.source), rights)
	script(t, open(t, l.target), printed(t, admin, "target", to.mover+host[target]))
	return l, newMove(t, plan{source: as(t, l.source, from.mover), target: as(t, l.target, to.mover), uptime: l.shop.Uptime(), extra: levels})
}

// another makes a sequence that belongs to an account of its own; empty where a product has none such.
func another(t *testing.T, at string) (account string) {
	t.Helper()
	d := open(t, at)
	if d.Product != "postgres" {
		return ""
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	account = "count_" + strings.TrimPrefix(u.Path, "/")
	script(t, d, "CREATE ROLE "+account+";\nCREATE SEQUENCE counted;\nALTER SEQUENCE counted OWNER TO "+account+";\n")
	t.Cleanup(func() { script(t, d, "DROP OWNED BY "+account+" CASCADE;\nDROP ROLE "+account+";\n") })
	return account
}

// printed returns the statements that check prints for a side.
func printed(t *testing.T, m *move, side, account string) string {
	t.Helper()
	text := m.must(0, "check", "--account", account).out
	start := strings.Index(text, "-- the "+side+",")
	if start < 0 {
		t.Fatalf("nothing is printed for the %s:\n%s", side, text)
	}
	text = text[start:]
	if end := strings.Index(text[3:], "\n-- the "); end >= 0 {
		text = text[:3+end+1]
	}
	if !strings.Contains(text, "GRANT ") {
		t.Fatalf("no right is printed for the %s:\n%s", side, text)
	}
	return text
}

// TestGrants moves with accounts that have what check prints and nothing else, while the application has rights on its rows only.
func TestGrants(t *testing.T) {
	for _, pair := range [][2]string{{"postgres", "mariadb"}, {"mariadb", "postgres"}} {
		t.Run(short(pair[0])+"/"+short(pair[1]), func(t *testing.T) {
			l, m := poor(t, pair[0], pair[1])
			before := catalogs(t, l)
			e := m.must(0, "check")
			for line := range strings.Lines(e.out) {
				if strings.Contains(line, "GRANT ") || strings.Contains(line, "no move needs") {
					t.Errorf("check with the rights that it printed: %s", line)
				}
			}
			l.open()
			m.until("confirm-downtime")
			m.must(0, "reset", "--yes")
			same(t, "after a reset", before, catalogs(t, l))
			m.until("confirm-downtime")
			m.must(0, "run", "--yes")
			l.refused()
			l.moved(m, l.shop.Uptime())
		})
	}
}

// TestGrantsTurned turns the move into the procedure without uptime tables at the last question before the downtime.
func TestGrantsTurned(t *testing.T) {
	l, m := poor(t, "mariadb", "mariadb")
	l.open()
	m.until("confirm-downtime")
	m.must(0, "answer", "confirm-downtime", "standard")
	m.must(0, "run", "--yes")
	l.refused()
	l.equal()
	l.leftovers()
}

// TestGrantsOfHostileNames: what check prints for an administrator gives the rights that it should and says nothing else, however the
// account, schemas and owners are called.
func TestGrantsOfHostileNames(t *testing.T) {
	for _, product := range []string{"postgres", "mariadb"} {
		t.Run(short(product), func(t *testing.T) {
			u, err := url.Parse(fresh(t, product))
			if err != nil {
				t.Fatal(err)
			}
			admin := dial(t, u.String())
			call := func(what string) string {
				return what + "_\"`'\nDROP TABLE precious; -- " + strings.TrimPrefix(u.Path, "/")
			}
			space, owner, mover, said := call("space"), admin.quote(call("own")), admin.quote(call("who")), call("who")
			source, has := *u, ""
			if product == "postgres" {
				admin.do("%s", "CREATE TABLE precious (id integer); CREATE ROLE "+owner+"; CREATE ROLE "+mover+"; CREATE SCHEMA "+admin.quote(space)+
					"; CREATE TABLE "+admin.quote(space)+".a (id integer PRIMARY KEY); ALTER TABLE "+admin.quote(space)+".a OWNER TO "+owner)
				t.Cleanup(func() {
					script(t, open(t, u.String()), "DROP SCHEMA "+admin.quote(space)+" CASCADE;\nDROP OWNED BY "+owner+", "+mover+";\nDROP ROLE "+owner+", "+mover+";\n")
				})
				has = "SELECT has_schema_privilege(r.oid, n.oid, 'USAGE')::integer + pg_has_role(r.oid, o.oid, 'USAGE')::integer FROM pg_roles r, pg_namespace n, pg_roles o " +
					"WHERE r.rolname LIKE 'who\\_%' AND n.nspname LIKE 'space\\_%' AND o.rolname LIKE 'own\\_%'"
			} else {
				mover, said = mover+"@'127.0.0.1'", said+"@127.0.0.1"
				source.Path = "/" + space
				admin.do("CREATE DATABASE %s", admin.quote(space))
				t.Cleanup(func() {
					script(t, open(t, u.String()), "DROP DATABASE "+admin.quote(space)+";\nDROP USER "+mover+";\n")
				})
				admin.do("CREATE USER %s", mover)
				admin.do("CREATE TABLE %s.precious (id integer PRIMARY KEY)", admin.quote(space))
				has = "SELECT count(*) + 1 FROM mysql.db WHERE User LIKE 'who\\_%' AND Select_priv = 'Y' AND Trigger_priv = 'Y'"
			}
			m := newMove(t, plan{source: source.String(), target: fresh(t, "sqlite")})
			if product == "postgres" {
				m.file("whimbrel.yaml", strings.Replace(read(t, m, "whimbrel.yaml"), "source: {", "source: {schemas: ["+quoted(space)+"], ", 1))
			}
			text := printed(t, m, "source", said)
			script(t, open(t, source.String()), text)
			if left := ask(t, source.String(), "SELECT count(*) FROM precious"); left != "0" {
				t.Errorf("what stands there: %s", left)
			}
			if got := ask(t, source.String(), has); got != "2" {
				t.Errorf("the account has %s of two rights by\n%s", got, text)
			}
		})
	}
}
