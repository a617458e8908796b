package mysql

import (
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/schema"
)

// site is a side with a shadow and an account that builds in it.
type site struct {
	*side
	shadow  driver.Shadow
	address *url.URL // of the account
}

func build(t *testing.T, s *side) *site {
	t.Helper()
	_, address := account(t, s, "builder")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &site{s, driver.Shadow{Place: s.Info.Schema + "_shadow", Account: u.User.Username()}, u}
}

func (b *site) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// pool is what scripts get.
func (b *site) pool(place string) *sql.DB {
	b.t.Helper()
	p, err := b.Scripts.Pool(b.ctx, b.address, place)
	b.must(err)
	b.t.Cleanup(func() { _ = p.Close() })
	return p
}

func (b *site) script(place, text string) {
	b.t.Helper()
	if _, err := b.pool(place).ExecContext(b.ctx, text); err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
}

// there is what the server says is in a database, ours included.
func (b *site) there(home string) string {
	return b.app().text("SELECT CONCAT(table_type, ' ', table_name) FROM information_schema.tables WHERE table_schema = '" + home + "'" +
		" UNION ALL SELECT CONCAT('trigger ', trigger_name) FROM information_schema.triggers WHERE trigger_schema = '" + home + "'" +
		" UNION ALL SELECT CONCAT(routine_type, ' ', routine_name) FROM information_schema.routines WHERE routine_schema = '" + home + "'" +
		" UNION ALL SELECT CONCAT('event ', event_name) FROM information_schema.events WHERE event_schema = '" + home + "' ORDER BY 1")
}

// TestShadowIsMadeAndDropped: twice each, by one run only, and what somebody else has made is neither taken nor dropped.
func TestShadowIsMadeAndDropped(t *testing.T) {
	b := build(t, source(t))
	app := b.app()
	app.do("ALTER DATABASE " + quote(b.Info.Schema) + " CHARACTER SET latin1 COLLATE latin1_german2_ci")
	grants := "SELECT Db FROM mysql.db WHERE User = '" + b.shadow.Account + "'"
	for range 2 {
		for range 2 {
			b.must(b.Shadows.Make(b.ctx, b.shadow))
		}
		if got := app.text("SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = '" + b.shadow.Place + "'"); got != "latin1_german2_ci" {
			t.Errorf("collation %s", got)
		}
		if got := app.text(grants); got != exactly(b.shadow.Place) {
			t.Errorf("granted on %q", got)
		}
		other, err := Driver.Open(b.ctx, &url.URL{Scheme: "mariadb", User: url.UserPassword("whimbrel", testserver.Password), Host: b.d.cfg.Addr, Path: "/" + b.Info.Schema},
			driver.Options{Side: driver.Source, Run: "another"})
		b.must(err)
		b.class(other.Shadows.Make(b.ctx, b.shadow), driver.Exists)
		b.must(other.Shadows.Drop(b.ctx, b.shadow))
		b.must(other.Close())
		b.script(b.shadow.Place, "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1); CREATE VIEW v AS SELECT * FROM a")
		for range 2 {
			b.must(b.Shadows.Drop(b.ctx, b.shadow))
		}
		if got := app.text(grants); got != "" {
			t.Errorf("left a grant on %q", got)
		}
		if got := b.there(b.Info.Schema); got != "" {
			t.Errorf("left %s", got)
		}
	}
	app.do("CREATE DATABASE " + quote(b.shadow.Place))
	b.class(b.Shadows.Make(b.ctx, b.shadow), driver.Exists)
	b.must(b.Shadows.Drop(b.ctx, b.shadow))
	app.do("USE " + quote(b.shadow.Place))
	b.class(b.Shadows.Make(b.ctx, driver.Shadow{Place: b.Info.Schema + "_x", Account: "nobody"}), driver.Missing)
	b.must(b.Shadows.Drop(b.ctx, driver.Shadow{Place: b.Info.Schema + "_x"}))
	if got := app.text("SELECT User FROM mysql.user WHERE User = 'nobody'"); got != "" {
		t.Error("an account was made")
	}
}

var cloned = []string{
	"CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3",
	"CREATE TABLE par`ent (id INT AUTO_INCREMENT PRIMARY KEY, `a``b` VARCHAR(20) CHARACTER SET latin1 DEFAULT 'x' COMMENT 'c', n INT CHECK (n > 0), " +
		"g INT AS (n * 2) STORED, f FLOAT, d DECIMAL(20,5), bits BIT(9), day DATE, at TIMESTAMP(3) NULL, e ENUM('it''s', 'b'), s SET('a', 'b'), j JSON, u UUID, " +
		"x VARBINARY(10), y YEAR, p POINT, secret INT INVISIBLE, KEY k (`a``b`), UNIQUE KEY un (n)) COMMENT 'tt'",
	"CREATE TABLE child (id BIGINT DEFAULT NEXTVAL(numbers) PRIMARY KEY, parent INT NOT NULL, CONSTRAINT fk FOREIGN KEY (parent) REFERENCES par`ent (id) ON DELETE CASCADE)",
	"CREATE TABLE outsider (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES par`ent (id))",
	"INSERT INTO par`ent (`a``b`, n, f, d, bits, day, at, e, s, j, u, x, y, p, secret) VALUES ('ä', 1, 0.1, 1.00001, b'101', '0000-00-00', '2020-01-01 00:00:00.123', 'it''s', 'a,b', '{\"a\": 1}', " +
		"'123e4567-e89b-12d3-a456-426655440000', x'00ff', 1999, POINT(1, 2), 7), (NULL, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
	"INSERT INTO child (parent) VALUES (1), (2)", "DELETE FROM par`ent WHERE id = 2", "INSERT INTO outsider VALUES (1)",
}

func (b *site) prepareCloned() []*schema.Table {
	b.t.Helper()
	for _, sql := range cloned {
		b.do(strings.ReplaceAll(sql, "par`ent", "`par``ent`"))
	}
	return []*schema.Table{b.inspect("child"), b.inspect("par`ent"), b.inspect("outsider")}[:2]
}

// TestClone: structure, rows, counters and foreign keys are there, without waiting for the application's locks, and nothing changes
// at home.
func TestClone(t *testing.T) {
	b := build(t, source(t))
	tables := b.prepareCloned()
	b.class(b.Shadows.Clone(b.ctx, b.shadow, tables), driver.Missing)
	b.must(b.Shadows.Make(b.ctx, b.shadow))
	holder := b.app()
	holder.do("START TRANSACTION", "UPDATE `par``ent` SET n = 100", "DELETE FROM child")
	for range 2 {
		b.must(b.Shadows.Clone(b.ctx, b.shadow, tables))
	}
	holder.do("ROLLBACK")
	app := b.app()
	home, place := quote(b.Info.Schema), quote(b.shadow.Place)
	const columns = "id, `a``b`, n, g, f, d, bits, day, at, e, s, j, u, x, y, p, secret"
	rows := func(of string) string {
		return app.text("SELECT "+columns+" FROM "+of+".`par``ent` ORDER BY id") + app.text("SELECT * FROM "+of+".child")
	}
	if got, want := rows(place), rows(home); got != want || strings.Count(want, "\n") == 0 && want == "" {
		t.Errorf("rows\n%s\nnot\n%s", got, want)
	}
	shown := func(of, table string) string {
		line := strings.Split(app.text("SHOW CREATE TABLE "+of+"."+table), "\n")
		return strings.Join(line[1:], "\n")
	}
	for _, table := range []string{"`par``ent`", "child"} {
		want := strings.ReplaceAll(shown(home, table), home, place)
		if got := shown(place, table); got != want {
			t.Errorf("%s\nnot\n%s", got, want)
		}
	}
	b.script(b.shadow.Place, "INSERT INTO `par``ent` (n) VALUES (50); INSERT INTO child (parent) VALUES (3); INSERT INTO child (id, parent) VALUES (1000, 1); ALTER TABLE child ADD more INT; DELETE FROM `par``ent` WHERE id = 1")
	if got := app.text("SELECT id FROM " + place + ".child"); got != "3005" { // the first that is not in the cache of the one at home
		t.Errorf("the children of the shadow are %q", got)
	}
	if got := app.text("SELECT COUNT(*) FROM " + home + ".child"); got != "1" {
		t.Errorf("%s children at home", got)
	}
	if got := b.there(b.shadow.Place); got != "BASE TABLE child\nBASE TABLE par`ent\nSEQUENCE numbers" {
		t.Errorf("there are %s", got)
	}
	app.do("INSERT INTO child (parent) VALUES (1)")
	if got := app.text("SELECT MAX(id) FROM child"); got != "11" {
		t.Errorf("the sequence at home went on at %s", got)
	}
	two := &schema.Table{Name: schema.Name{Schema: "other", Name: "child"}}
	b.class(b.Shadows.Clone(b.ctx, b.shadow, append(tables, two)), driver.Exists)
}

// TestCloneIsOneMoment: of rows that are written to two tables in one transaction, a clone has both or neither, whichever is cloned first.
func TestCloneIsOneMoment(t *testing.T) {
	b := build(t, source(t))
	b.do("CREATE TABLE a (id INT PRIMARY KEY)", "CREATE TABLE b (id INT PRIMARY KEY)")
	b.must(b.Shadows.Make(b.ctx, b.shadow))
	tables := []*schema.Table{b.inspect("a"), b.inspect("b")}
	stop, done := make(chan struct{}), make(chan int)
	writer, app := b.app(), b.app()
	writer.do("START TRANSACTION", "INSERT INTO a VALUES (0)", "INSERT INTO b VALUES (0)", "COMMIT")
	go func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				done <- i
				return
			default:
				for _, sql := range []string{"START TRANSACTION", "INSERT INTO a VALUES (%d)", "INSERT INTO b VALUES (%d)", "COMMIT"} {
					if strings.Contains(sql, "%") {
						sql = fmt.Sprintf(sql, i)
					}
					if err := writer.run(b.ctx, sql); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}()
	last := ""
	for n := range 10 {
		b.must(b.Shadows.Clone(b.ctx, b.shadow, tables))
		last = app.text("SELECT COUNT(*) FROM " + quote(b.shadow.Place) + ".a")
		if other := app.text("SELECT COUNT(*) FROM " + quote(b.shadow.Place) + ".b"); other != last {
			t.Errorf("clone %d has %s rows of a and %s of b", n, last, other)
		}
	}
	close(stop)
	if wrote := <-done; wrote < 10 || last == "1" {
		t.Errorf("nothing was written meanwhile: %d, %s", wrote, last)
	}
}

// TestTheBuildReachesOnlyTheShadow: an account without other rights can do nothing elsewhere, and each way out is named before.
func TestTheBuildReachesOnlyTheShadow(t *testing.T) {
	b := build(t, source(t))
	tables := b.prepareCloned()
	b.must(b.Shadows.Make(b.ctx, b.shadow))
	outside := func() []string {
		t.Helper()
		all, err := b.Shadows.Outside(b.ctx, b.shadow, tables)
		b.must(err)
		return all
	}
	if all := outside(); all != nil {
		t.Errorf("an account without rights reaches %q", all)
	}
	pool := b.pool(b.shadow.Place)
	home := quote(b.Info.Schema)
	for _, sql := range []string{
		"SELECT * FROM " + home + ".child", "INSERT INTO " + home + ".outsider VALUES (9)", "DROP TABLE " + home + ".child", "CREATE TABLE " + home + ".t (a INT)",
		"CREATE TABLE c (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES " + home + ".child (id))", "CREATE VIEW v AS SELECT * FROM " + home + ".child", "USE " + home,
		"CREATE DATABASE " + quote(b.shadow.Place+"2"), "SET GLOBAL read_only=1",
	} {
		if _, err := pool.ExecContext(b.ctx, sql); b.Dialect.Classify(err) != driver.Refused {
			t.Errorf("%s: %v", sql, err)
		}
	}
	app := b.app()
	who := quoteText(b.shadow.Account) + "@'127.0.0.1'"
	role, far, other := "r_"+b.Info.Schema, "f_"+b.Info.Schema, b.Info.Schema+"_other"
	tables = append(tables, &schema.Table{Name: schema.Name{Schema: other, Name: "abroad"}})
	app.do("CREATE ROLE "+role, "CREATE ROLE "+far, "CREATE PROCEDURE p() SELECT 1", "CREATE DATABASE "+other, "CREATE USER ''@'127.0.0.1'")
	t.Cleanup(func() { app.do("DROP DATABASE "+other, "DROP USER ''@'127.0.0.1'") })
	ways := []struct{ open, closed, named string }{
		{"GRANT SELECT ON *.* TO " + who, "REVOKE SELECT ON *.* FROM " + who, "SELECT on the whole server"},
		{"GRANT FILE ON *.* TO " + who, "REVOKE FILE ON *.* FROM " + who, "FILE on the whole server"},
		{"GRANT INSERT ON " + home + ".* TO " + who, "REVOKE INSERT ON " + home + ".* FROM " + who, "INSERT on the database " + b.Info.Schema},
		{"GRANT SELECT ON `t%`.* TO " + who, "REVOKE SELECT ON `t%`.* FROM " + who, "SELECT on the database t%"},
		{"GRANT DELETE ON " + home + ".child TO " + who, "REVOKE DELETE ON " + home + ".child FROM " + who, "Delete on the table " + b.Info.Schema + ".child"},
		{"GRANT SELECT (id) ON " + home + ".child TO " + who, "REVOKE SELECT (id) ON " + home + ".child FROM " + who, "Select on the table " + b.Info.Schema + ".child"},
		{"GRANT EXECUTE ON PROCEDURE " + home + ".p TO " + who, "REVOKE EXECUTE ON PROCEDURE " + home + ".p FROM " + who, "Execute on the routine " + b.Info.Schema + ".p"},
		{"GRANT SELECT ON " + home + ".* TO " + role, "SELECT 1", ""},
		{"GRANT " + role + " TO " + who, "REVOKE " + role + " FROM " + who, "by the role " + role + ", has SELECT on the database " + b.Info.Schema},
		{"REVOKE SELECT ON " + home + ".* FROM " + role, "GRANT " + far + " TO " + role, ""},
		{"GRANT SELECT ON " + home + ".* TO " + far, "GRANT " + far + " TO " + role, ""},
		{"GRANT " + role + " TO " + who, "REVOKE " + role + " FROM " + who, "by the role " + far + ", has SELECT on the database " + b.Info.Schema},
		{"GRANT SELECT ON `" + b.Info.Schema + "%`.* TO PUBLIC", "REVOKE SELECT ON `" + b.Info.Schema + "%`.* FROM PUBLIC", "everybody has SELECT on the database " + b.Info.Schema + "%"},
		{"GRANT SELECT ON " + other + ".* TO PUBLIC", "REVOKE SELECT ON " + other + ".* FROM PUBLIC", "everybody has SELECT on the database " + other},
		{"GRANT SELECT ON " + home + ".* TO ''@'127.0.0.1'", "REVOKE SELECT ON " + home + ".* FROM ''@'127.0.0.1'", "everybody has SELECT on the database " + b.Info.Schema},
		{"GRANT SELECT ON " + home + ".* TO PUBLIC", "REVOKE SELECT ON " + home + ".* FROM PUBLIC", "everybody has SELECT on the database " + b.Info.Schema},
		{"CREATE DEFINER=" + who + " VIEW made AS SELECT 1", "DROP VIEW made", "has made the view " + b.Info.Schema + ".made"},
		{"CREATE DEFINER=" + who + " PROCEDURE made() SELECT 1", "DROP PROCEDURE made", "has made the procedure " + b.Info.Schema + ".made"},
		{"CREATE DEFINER=" + who + " TRIGGER made BEFORE INSERT ON child FOR EACH ROW SET @a = 1", "DROP TRIGGER made", "has made the trigger " + b.Info.Schema + ".made"},
		{"CREATE DEFINER=" + who + " EVENT made ON SCHEDULE EVERY 1 YEAR DO SELECT 1", "DROP EVENT made", "has made the event " + b.Info.Schema + ".made"},
		{"CREATE DEFINER=" + who + " VIEW " + other + ".made AS SELECT 1", "DROP VIEW " + other + ".made", "has made the view " + other + ".made"},
		{"GRANT USAGE ON *.* TO " + who + " WITH GRANT OPTION", "REVOKE GRANT OPTION ON *.* FROM " + who, "GRANT on the whole server"},
	}
	for _, right := range []string{
		"INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "LOCK TABLES", "EXECUTE", "CREATE VIEW", "SHOW VIEW",
		"CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER", "SUPER", "CREATE USER", "REPLICATION SLAVE",
	} {
		ways = append(ways, struct{ open, closed, named string }{"GRANT " + right + " ON *.* TO " + who, "REVOKE " + right + " ON *.* FROM " + who, right + " on the whole server"})
	}
	for _, way := range ways {
		app.do(way.open)
		all := outside()
		if way.named == "" {
			app.do(way.closed)
			continue
		}
		if len(all) != 1 || !strings.HasSuffix(all[0], way.named) {
			t.Errorf("%s: named %q", way.open, all)
		}
		app.do(way.closed)
	}
	if all := outside(); all != nil {
		t.Errorf("afterwards %q", all)
	}
	app.do("DROP ROLE "+role, "DROP ROLE "+far)
}

// TestRelics: what scripts have made is taken away, and what was there stays.
func TestRelics(t *testing.T) {
	b := build(t, target(t))
	b.do("CREATE TABLE kept (id INT PRIMARY KEY)", "CREATE VIEW shown AS SELECT * FROM kept", "CREATE SEQUENCE numbers", "INSERT INTO kept VALUES (1)")
	table := b.inspect("kept")
	b.must(b.Guard.Shut(b.ctx, table, b.takeOver()))
	keep, err := b.Relics.List(b.ctx, "")
	b.must(err)
	if !slices.Equal(keep, []string{"sequence numbers", "table kept", "view shown"}) {
		t.Errorf("there are %q", keep)
	}
	before := b.there(b.Info.Schema)
	b.do("CREATE TABLE a (id INT PRIMARY KEY)", "CREATE TABLE b (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES a (id))", "ALTER TABLE kept ADD FOREIGN KEY (id) REFERENCES a (id)",
		"CREATE VIEW v AS SELECT * FROM a", "CREATE VIEW w AS SELECT * FROM v", "CREATE FUNCTION f() RETURNS INT NO SQL RETURN 1", "CREATE PROCEDURE p() SELECT 1",
		"CREATE TRIGGER tr BEFORE INSERT ON kept FOR EACH ROW SET @a = f()", "CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO SELECT 1", "CREATE SEQUENCE more")
	for range 2 {
		b.must(b.Relics.Remove(b.ctx, "", keep))
		if got := b.there(b.Info.Schema); got != before {
			t.Errorf("left\n%s\nnot\n%s", got, before)
		}
	}
}

// TestAddressOfAPlace: the account's URL with another database, as our own driver reads it too.
func TestAddressOfAPlace(t *testing.T) {
	s := source(t)
	u, _ := url.Parse("mysql://bu%40ilder:s%3Aecret@db.example:3307/elsewhere?tls=skip-verify")
	for place, want := range map[string]string{"new/place": "mysql://bu%40ilder:s%3Aecret@db.example:3307/new%2Fplace?tls=skip-verify", "place": "mysql://bu%40ilder:s%3Aecret@db.example:3307/place?tls=skip-verify", "": "mysql://bu%40ilder:s%3Aecret@db.example:3307/" + s.Info.Schema + "?tls=skip-verify"} {
		got, err := s.Scripts.Address(u, place)
		if got != want || err != nil {
			t.Errorf("%q: %s, %v", place, got, err)
		}
	}
	if s.Scripts.Dialect() != "mysql" {
		t.Error(s.Scripts.Dialect())
	}
}
