package mysql

import (
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Each test here takes a rule away and demands the damage: where it can not be seen, nothing shows that the rule is needed, or
// that the test of the rule would notice (docs/hazards.md, the column "twin").

// prepared leaves a prepared transaction that nobody holds, which has inserted a row.
func (s *side) prepared(insert string) {
	s.t.Helper()
	a := s.app()
	a.do("XA START 'late'", insert, "XA END 'late'", "XA PREPARE 'late'")
	a.kill()
}

// C6: a transaction that began before capture and was not waited for is neither loaded nor noted.
func TestWithoutSettleAPreparedRowIsNeitherLoadedNorNoted(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE p (id INT PRIMARY KEY)", "INSERT INTO p VALUES (1)")
	s.prepared("INSERT INTO p VALUES (2)")
	p := s.inspect("p")
	shape := s.install(p)
	s.class(s.Capturer.Settle(s.ctx, []*schema.Table{p}, brief), driver.Transient)
	loaded := s.read(driver.Query{Table: p, Shape: shape})
	a := s.app()
	a.do("XA COMMIT 'late'")
	noted := s.taken(p, shape, 1)
	if there := a.text("SELECT COUNT(*) FROM p"); len(loaded) != 1 || len(noted) != 0 || there != "2" {
		t.Errorf("%v was loaded, %v noted, %s rows are there: nobody need be waited for", loaded, noted, there)
	}
}

// C7: what was read and is not on disk may never have been.
func TestWithoutDurableARowThatWasReadMayNeverHaveBeen(t *testing.T) {
	server := testserver.New(t, "mariadb", "innodb_flush_log_at_trx_commit=0", "innodb_flush_log_at_timeout=2700", "skip-log-bin")
	address := server.Create(t, "shop")
	for _, safe := range []string{"0", "1"} {
		s := open(t, address, driver.Source)
		s.do("DROP TABLE IF EXISTS d", "CREATE TABLE d (id INT PRIMARY KEY)")
		d := s.inspect("d")
		s.do("FLUSH LOCAL ENGINE LOGS")
		s.app().do("INSERT INTO d VALUES (1)")
		c, err := s.Reader.Read(s.ctx, driver.Query{Table: d, Shape: shapeOf(d)})
		if err != nil {
			t.Fatal(err)
		}
		b := row.NewBatch(1)
		_ = c.Fill(s.ctx, b)
		if safe == "1" {
			s.app().do("SET GLOBAL innodb_flush_log_at_timeout=1")
			if err := c.Durable(s.ctx); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Close()
		server.Kill()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		if got := open(t, address, driver.Source).app().text("SELECT COUNT(*) FROM d"); b.Len() != 1 || got != safe {
			t.Errorf("%d rows were read, %s are there after the crash, want %s", b.Len(), got, safe)
		}
	}
}

// C9: an upsert that may touch any row changes another one without an error.
func TestAnUpsertThatMayTouchAnyRowChangesTheWrongOne(t *testing.T) {
	s := target(t)
	epoch := s.takeOver()
	s.do("CREATE TABLE u (id INT PRIMARY KEY, u INT UNIQUE)", "INSERT INTO u VALUES (1, 10), (2, 20)")
	a := s.app()
	a.do("BEGIN", "INSERT INTO u VALUES (3, 10) ON DUPLICATE KEY UPDATE u = VALUES(u)")
	if got := a.text("SELECT GROUP_CONCAT(id) FROM u"); got != "1,2" {
		t.Errorf("rows %s after the upsert: it can be used", got)
	}
	a.do("ROLLBACK")
	u := s.inspect("u")
	keys, images := batch(1, []string{"3"}), batch(2, []string{"3", "10"})
	if err := s.Applier.Apply(s.ctx, driver.Delta{Table: u, Shape: shapeOf(u), Epoch: epoch, Number: 1, Keys: keys, Images: images}); err != nil {
		t.Fatal(err)
	}
	if got := a.text("SELECT GROUP_CONCAT(id ORDER BY id) FROM u"); got != "2,3" {
		t.Errorf("rows %s after Apply", got)
	}
}

// C10: who looks a key up by the column's own equality finds another key's row.
func TestWithoutComparingBytesAKeyFindsAnothersRow(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE k (k VARCHAR(10) PRIMARY KEY) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "INSERT INTO k VALUES ('abc')")
	k := s.inspect("k")
	shape := s.install(k)
	a := s.app()
	a.do("UPDATE k SET k = 'ABC'")
	if naive := a.text("SELECT k FROM k WHERE k = 'abc'"); naive != "ABC" {
		t.Errorf("the old key finds %q: bytes need not be compared", naive)
	}
	keys, images := row.NewBatch(1), row.NewBatch(1)
	r, err := s.Recorder.Take(s.ctx, driver.Want{Table: k, Shape: shape, Lanes: 1, Most: 10}, keys, images)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	same(t, "keys", show(keys), []string{"abc", "ABC"})
	same(t, "rows", show(images), []string{"ABC"})
}

// C13: a table that was emptied leaves no trace but in the catalog.
func TestWithoutTheFingerprintNobodySeesThatATableWasEmptied(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE e (id INT PRIMARY KEY)", "INSERT INTO e VALUES (1)")
	e := s.inspect("e")
	shape := s.install(e)
	before, err := s.Watcher.Fingerprint(s.ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	s.app().do("TRUNCATE TABLE e")
	if noted := s.taken(e, shape, 1); len(noted) != 0 {
		t.Errorf("%v was noted: a fingerprint would not be needed", noted)
	}
	after, err := s.Watcher.Fingerprint(s.ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := s.Watcher.Judge(before, after); v == driver.Harmless {
		t.Error("the fingerprint does not show it")
	}
}

// C14: the record looks empty and nobody is connected, and a prepared transaction commits behind the drain.
func TestWithoutProveAPreparedRowComesBehindTheDrain(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE g (id INT PRIMARY KEY)")
	g := s.inspect("g")
	shape := s.install(g)
	s.prepared("INSERT INTO g VALUES (1)")
	tables := []*schema.Table{g}
	if err := s.Gate.Shut(s.ctx, tables, brief); err == nil {
		t.Error("the gate is shut while a prepared transaction could commit")
	}
	s.class(s.Gate.Prove(s.ctx, tables, brief), driver.Transient)
	drained := s.taken(g, shape, 1)
	s.app().do("XA COMMIT 'late'")
	if behind := s.taken(g, shape, 2); len(drained) != 0 || len(behind) != 1 {
		t.Errorf("%v was noted before the commit and %v after: nothing need be proven", drained, behind)
	}
	if err := s.Gate.Prove(s.ctx, tables, brief); err != nil {
		t.Error(err)
	}
}

// C17: a trigger with the application's rights can not write the record, and the application's write fails.
func TestWithoutItsOwnRightsTheRecordDisturbsTheApplication(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE w (id INT PRIMARY KEY AUTO_INCREMENT, v INT) AUTO_INCREMENT=1000")
	clerk := "c" + s.Info.Schema
	w := s.inspect("w")
	s.install(w)
	a := s.app()
	a.do("CREATE USER "+clerk+"@'127.0.0.1'", "GRANT SELECT, INSERT ON w TO "+clerk+"@'127.0.0.1'", "INSERT INTO w (v) VALUES (1)")
	t.Cleanup(func() { a.do("DROP USER " + clerk + "@'127.0.0.1'") })
	if got := a.text("SELECT LAST_INSERT_ID()"); got != "1000" {
		t.Errorf("LAST_INSERT_ID is %s", got)
	}
	a.do("DROP TRIGGER whimbrel_insert_1", "CREATE DEFINER="+clerk+"@'127.0.0.1' TRIGGER whimbrel_insert_1 AFTER INSERT ON w FOR EACH ROW INSERT INTO "+
		s.d.record(w)+" (k1) VALUES (NEW.id)")
	if err := a.run(s.ctx, "INSERT INTO w (v) VALUES (2)"); s.Dialect.Classify(err) != driver.Refused {
		t.Errorf("the application's write with other rights: %v", err)
	}
}
