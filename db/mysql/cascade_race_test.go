package mysql

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// remake makes every helper anew with its body changed.
func (m *mirror) remake(change func(body string) string) {
	m.src.t.Helper()
	a := m.src.app()
	lines, err := a.rows(m.src.ctx, "SELECT trigger_name, action_timing, event_manipulation, event_object_table, action_statement FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name LIKE '"+capturing+"%'")
	if err != nil || len(lines) == 0 {
		m.src.t.Fatal(lines, err)
	}
	for _, l := range lines {
		body := change(l[4])
		a.do("DROP TRIGGER " + l[0])
		if body != "" {
			a.do("CREATE TRIGGER " + l[0] + " " + l[1] + " " + l[2] + " ON " + quote(l[3]) + " FOR EACH ROW " + body)
		}
	}
}

// waits returns when a session waits for a lock that another one has.
func (a *app) waits(id string) {
	a.t.Helper()
	eventually(a.t, "session "+id+" waits", func() bool {
		time.Sleep(staleness) // who asks sooner hears what was heard before
		return a.text("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = "+id) != "0"
	})
}

// raceSchema has a parent, its child, and the captured grandchild. Child 11 can be locked, so that a cascade waits before it
// has come to child 12.
var raceSchema = []string{
	"CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
	"CREATE TABLE g (id INT PRIMARY KEY, c INT, v INT, FOREIGN KEY (c) REFERENCES c (id) ON DELETE CASCADE ON UPDATE CASCADE)",
	"INSERT INTO p VALUES (1), (2)", "INSERT INTO c VALUES (11, 1), (12, 1), (21, 2)", "INSERT INTO g VALUES (111, 11, 0), (121, 12, 0), (211, 21, 0)",
}

// race deletes the parent; when the helper has looked for the rows below and the cascade has begun and waits, another transaction
// puts a row below and commits; a batch is replayed; then the deletion goes on. It returns how the two sides differ.
func (m *mirror) race(isolation, late string) string {
	m.src.t.Helper()
	holder, deleter, other := m.src.app(), m.src.app(), m.src.app()
	holder.do("BEGIN", "SELECT * FROM c WHERE id = 11 LOCK IN SHARE MODE")
	deleter.do("SET SESSION TRANSACTION ISOLATION LEVEL " + isolation)
	id := deleter.text("SELECT CONNECTION_ID()")
	ended := make(chan error, 1)
	go func() { ended <- deleter.run(context.Background(), "DELETE FROM p WHERE id = 1") }()
	holder.waits(id)
	other.do(late)
	for m.batch(0) > 0 { // what waits for the deletion is not read again and again
	}
	holder.do("COMMIT")
	if err := <-ended; err != nil {
		m.src.t.Fatal(err)
	}
	return m.difference()
}

// TestARowThatComesBelowWhileItsParentGoes: each way to put a row below what is being deleted.
func TestARowThatComesBelowWhileItsParentGoes(t *testing.T) {
	for _, late := range []string{"INSERT INTO g VALUES (999, 12, 1)", "UPDATE g SET c = 12, v = 2 WHERE id = 211"} {
		m := follow(t, []string{"g"}, raceSchema...)
		if d := m.race("READ COMMITTED", late); d != "" {
			t.Errorf("%s: %s", late, d)
		}
	}
}

// moved deletes what is two above; when the helper has looked for the rows below, another transaction moves a row that is not
// captured below it, with one below that that is.
func (m *mirror) moved() string {
	m.src.t.Helper()
	deleter, other := m.src.app(), m.src.app()
	other.do("BEGIN", "SELECT * FROM p WHERE id = 1 LOCK IN SHARE MODE")
	deleter.do("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
	id := deleter.text("SELECT CONNECTION_ID()")
	ended := make(chan error, 1)
	go func() { ended <- deleter.run(context.Background(), "DELETE FROM o") }()
	other.waits(id)
	other.do("UPDATE c SET p = 1 WHERE id = 21", "COMMIT")
	if err := <-ended; err != nil {
		m.src.t.Fatal(err)
	}
	return m.difference()
}

// TestARowThatIsMovedBelowTakesItsOwnAlong: nobody captures the row, and what is below it is noted when it is moved.
func TestARowThatIsMovedBelowTakesItsOwnAlong(t *testing.T) {
	deeper := append([]string{
		"CREATE TABLE o (id INT PRIMARY KEY)", "INSERT INTO o VALUES (7)",
		"CREATE TABLE p (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES o (id) ON DELETE CASCADE)",
	}, raceSchema[1:]...)
	for i, s := range deeper {
		deeper[i] = strings.Replace(s, "INTO p VALUES (1), (2)", "INTO p VALUES (1, 7), (2, NULL)", 1)
	}
	m := follow(t, []string{"g"}, deeper...)
	if d := m.moved(); d != "" {
		t.Error(d)
	}
	m = follow(t, []string{"g"}, deeper...)
	m.remake(func(body string) string {
		if strings.Contains(body, "= NEW.") {
			return ""
		}
		return body
	})
	if m.moved() == "" {
		t.Error("without the helper that looks at rows that are moved nothing is lost")
	}
}

// TestWithoutHelpersRowsAreLost takes the parts of the helpers away, one by one, and must see what they are for.
func TestWithoutHelpersRowsAreLost(t *testing.T) {
	insert := "INSERT INTO g VALUES (999, 12, 1)"
	m := follow(t, []string{"g"}, raceSchema...)
	m.remake(func(string) string { return "" })
	m.src.app().do("DELETE FROM p WHERE id = 1")
	if m.difference() == "" {
		t.Error("without helpers a cascade is seen")
	}
	m = follow(t, []string{"g"}, raceSchema...)
	m.remake(func(body string) string {
		return strings.ReplaceAll(body, "INSERT INTO "+m.src.d.walk(m.tables[0])+" () VALUES (); ", "")
	})
	if m.race("READ COMMITTED", insert) == "" {
		t.Error("without marks a late row is seen")
	}
	m = follow(t, []string{"g"}, raceSchema...)
	m.remake(func(body string) string { return strings.ReplaceAll(body, " LOCK IN SHARE MODE", "") })
	if m.behind() == "" {
		t.Error("without a lock a helper sees what was committed after its transaction's snapshot")
	}
	m = follow(t, []string{"g"}, raceSchema...)
	if d := m.behind(); d != "" {
		t.Error(d)
	}
}

// behind deletes a parent in a transaction whose snapshot is older than one of the rows below. The server reads an INSERT that
// selects with locks at REPEATABLE READ, but no cursor.
func (m *mirror) behind() string {
	a := m.src.app()
	a.do("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN")
	a.text("SELECT COUNT(*) FROM g")
	m.src.app().do("INSERT INTO g VALUES (500, 11, 1)")
	m.difference()
	a.do("DELETE FROM p WHERE id = 1", "COMMIT")
	return m.difference()
}

// TestHelpersLetTheApplicationBe: statements that name the child beside the parent, and rows that others hold locked.
func TestHelpersLetTheApplicationBe(t *testing.T) {
	m := follow(t, []string{"g"}, raceSchema...)
	a, other := m.src.app(), m.src.app()
	other.do("BEGIN", "UPDATE g SET v = 5 WHERE id = 211")
	a.do("SET innodb_lock_wait_timeout = 1", "DELETE p, c FROM p JOIN c ON c.p = p.id JOIN g ON g.c = c.id WHERE g.id = 111")
	if got := a.text("SELECT ROW_COUNT()"); got != "-1" && got != "2" && got != "3" {
		t.Error("rows deleted: ", got)
	}
	other.do("COMMIT")
	a.do("UPDATE p JOIN c ON c.p = p.id SET p.id = 5")
	if d := m.difference(); d != "" {
		t.Error(d)
	}
	m.remake(func(body string) string { return strings.ReplaceAll(body, "LOCK IN SHARE MODE", "FOR UPDATE") })
	if err := a.run(t.Context(), "DELETE p FROM p JOIN c ON c.p = p.id WHERE p.id = 5"); number(err) != 1442 {
		t.Errorf("with FOR UPDATE the server is said to refuse this: %v", err)
	}
}

// TestTheGateHoldsBackCascadesFromOutside: while tables are shut, a table outside may be written to, but not so that it changes
// their rows, however far above them it is.
func TestTheGateHoldsBackCascadesFromOutside(t *testing.T) {
	s := source(t)
	a := s.app()
	other := strings.ToLower("whimbrel_test_" + t.Name())
	a.do("CREATE DATABASE "+other, "CREATE TABLE "+other+".a (id INT PRIMARY KEY, v INT)",
		"CREATE TABLE b (id INT PRIMARY KEY, a INT, v INT, FOREIGN KEY (a) REFERENCES "+other+".a (id) ON DELETE CASCADE ON UPDATE SET NULL)",
		"CREATE TABLE m (id INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES b (id) ON DELETE SET NULL ON UPDATE CASCADE)",
		"CREATE TABLE n (id INT PRIMARY KEY, m INT, FOREIGN KEY (m) REFERENCES m (id) ON DELETE CASCADE)",
		"INSERT INTO "+other+".a VALUES (1, 0), (2, 0), (3, 0)", "INSERT INTO b VALUES (10, 1, 0), (20, 2, 0), (30, 3, 0)", "INSERT INTO m VALUES (100, 10), (300, 30)", "INSERT INTO n VALUES (1000, 100)")
	defer a.do("SET foreign_key_checks=0", "DROP DATABASE "+other)
	tables := []*schema.Table{s.inspect("m"), s.inspect("n")}
	tables[1].Number = 2
	look := "SELECT * FROM m UNION ALL SELECT * FROM n ORDER BY 1"
	before := a.text(look)
	for range 2 {
		if err := s.Gate.Shut(s.ctx, tables, brief); err != nil {
			t.Fatal(err)
		}
		if err := s.Gate.Prove(s.ctx, tables, brief); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{
		"DELETE FROM b WHERE id = 10", "UPDATE b SET id = 11 WHERE id = 10", "DELETE FROM " + other + ".a WHERE id = 1", "UPDATE b SET a = 2 WHERE id = 10",
		"DELETE FROM " + other + ".a", "REPLACE INTO b VALUES (10, 1, 1)", "INSERT INTO b VALUES (10, 1, 0) ON DUPLICATE KEY UPDATE id = 12",
	} {
		if err := a.run(t.Context(), sql); number(err) != 1644 {
			t.Errorf("%s: %v", sql, err)
		}
	}
	a.do("UPDATE "+other+".a SET v = v + 1", "UPDATE b SET v = 1", "DELETE FROM b WHERE id = 20", "DELETE FROM "+other+".a WHERE id = 2", "INSERT INTO "+other+".a VALUES (4, 0)", "INSERT INTO b VALUES (40, 4, 0)", "UPDATE b SET id = 41 WHERE id = 40")
	if after := a.text(look); after != before {
		t.Fatalf("rows that are shut:\n%s\nthen\n%s", before, after)
	}
	helpers, err := a.rows(t.Context(), "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name LIKE '"+shutting+"delete%'")
	if err != nil || len(helpers) != 1 {
		t.Fatal(helpers, err)
	}
	a.do("DROP TRIGGER " + helpers[0][0])
	if err := s.Gate.Prove(s.ctx, tables, brief); err == nil || !strings.Contains(err.Error(), helpers[0][0]) {
		t.Fatal("a barrier is gone, and the gate proves: ", err)
	}
	a.do("DELETE FROM b WHERE id = 30") // the twin: without it the rows change
	if after := a.text(look); after == before {
		t.Fatal("without the barrier nothing changes")
	}
	for range 2 {
		if err := s.Gate.Reopen(s.ctx, tables); err != nil {
			t.Fatal(err)
		}
	}
	a.do("DELETE FROM " + other + ".a WHERE id = 1")
	if err := s.Capturer.Finish(s.ctx); err != nil {
		t.Fatal(err)
	}
	if left := a.text("SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema IN (DATABASE(), '" + other + "') AND trigger_name LIKE 'whimbrel%' UNION ALL SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel%'"); left != "" {
		t.Fatal("left behind: ", left)
	}
}

// TestFingerprintsSeeWhatIsAbove judges what happens to the tables above a captured one.
func TestFingerprintsSeeWhatIsAbove(t *testing.T) {
	m := follow(t, []string{"g"}, append(raceSchema, "CREATE TABLE z (id INT PRIMARY KEY)", "CREATE TRIGGER early BEFORE UPDATE ON c FOR EACH ROW SET @x = 1")...)
	g := m.tables[0]
	a := m.src.app()
	helper := a.text("SELECT trigger_name FROM information_schema.triggers WHERE event_object_table = 'p' AND trigger_name LIKE '" + capturing + "delete%' AND trigger_schema = DATABASE()")
	for _, c := range []struct {
		sql, back string
		want      driver.Verdict
	}{
		{"ALTER TABLE p COMMENT 'x'", "DO 1", driver.Harmless},
		{"CREATE TRIGGER late AFTER UPDATE ON c FOR EACH ROW SET @x = 1", "DROP TRIGGER late", driver.Harmless},
		{"CREATE TRIGGER late BEFORE UPDATE ON c FOR EACH ROW SET NEW.id = NEW.id + 1", "DROP TRIGGER late", driver.Invalid},
		{"ALTER TABLE p ADD COLUMN z INT, ADD FOREIGN KEY above (z) REFERENCES z (id) ON DELETE CASCADE", "ALTER TABLE p DROP FOREIGN KEY above", driver.Invalid},
		{"CREATE OR REPLACE TRIGGER " + helper + " BEFORE DELETE ON p FOR EACH ROW SET @x = 1", "DO 1", driver.Suspect},
		{"DROP TRIGGER " + helper, "DO 1", driver.Invalid},
	} {
		before, err := m.src.Watcher.Fingerprint(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		a.do(c.sql)
		after, err := m.src.Watcher.Fingerprint(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		if v, why := m.src.Watcher.Judge(before, after); v != c.want {
			t.Errorf("%s: %s, %s, not %s\n%s\n%s", c.sql, v, why, c.want, before, after)
		}
		a.do(c.back)
	}
	m = follow(t, []string{"f"}, "CREATE TABLE f (id INT PRIMARY KEY, p INT)", "CREATE TABLE p (id INT PRIMARY KEY)")
	before, _ := m.src.Watcher.Fingerprint(t.Context(), m.tables[0])
	m.src.app().do("SET foreign_key_checks=0", "ALTER TABLE f ADD FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE")
	after, err := m.src.Watcher.Fingerprint(t.Context(), m.tables[0])
	if err != nil {
		t.Fatal(err)
	}
	if v, why := m.src.Watcher.Judge(before, after); v != driver.Invalid {
		t.Error("a foreign key that cascades is put on a captured table: ", v, why)
	}
}

// TestRightsOnWhatIsAboveAreNamed: an account that may do nothing in a parent's database is told so, and with what it is told to
// be granted it captures and shuts what the foreign key changes.
func TestRightsOnWhatIsAboveAreNamed(t *testing.T) {
	admin := source(t)
	other := "whimbrel_test_" + strings.ToLower(t.Name())
	a := admin.app()
	a.do("CREATE DATABASE "+other, "CREATE TABLE "+other+".p (id INT PRIMARY KEY)", "INSERT INTO "+other+".p VALUES (1), (2)",
		"CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES "+other+".p (id) ON DELETE CASCADE)", "INSERT INTO c VALUES (10, 1), (20, 2)")
	defer a.do("SET foreign_key_checks=0", "DROP DATABASE "+other)
	c := admin.inspect("c")
	quoted, address := account(t, admin, "m")
	admin.do("GRANT PROCESS ON *.* TO "+quoted, "GRANT CREATE VIEW ON "+quote(strings.ReplaceAll(admin.Info.Schema, "_", `\_`))+".* TO "+quoted)
	scope := driver.Scope{Schemas: []string{admin.Info.Schema}, Tables: []*schema.Table{c}, Live: []*schema.Table{c}}
	rules := ""
	all, err := open(t, address, driver.Source).Rights.Needed(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Lacks {
			rules += r.Rule + " "
			admin.do(r.Grant)
		}
	}
	if !strings.Contains(rules, "right-above") {
		t.Fatal(rules)
	}
	mover := open(t, address, driver.Source)
	if err := mover.Capturer.Install(t.Context(), c, shapeOf(c), brief); err != nil {
		t.Fatal(err)
	}
	a.do("DELETE FROM " + other + ".p WHERE id = 1")
	if got := a.text("SELECT k1 FROM whimbrel_source_record_1"); got != "10" {
		t.Errorf("noted %q", got)
	}
	if err := mover.Gate.Shut(t.Context(), []*schema.Table{c}, brief); err != nil {
		t.Fatal(err)
	}
	if err := a.run(t.Context(), "DELETE FROM "+other+".p WHERE id = 2"); number(err) != 1644 {
		t.Error(err)
	}
	if err := mover.Gate.Reopen(t.Context(), []*schema.Table{c}); err != nil {
		t.Fatal(err)
	}
	if err := mover.Capturer.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
}
