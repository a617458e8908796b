package mysql

import (
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// TestTheGateRefusesEveryWrite also opens it again, and leaves no trigger.
func TestTheGateRefusesEveryWrite(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE g (id INT PRIMARY KEY, v INT)", "CREATE TABLE m (id INT PRIMARY KEY, v INT) ENGINE=MyISAM", "INSERT INTO g VALUES (1,1)", "INSERT INTO m VALUES (1,1)")
	g, m := s.inspect("g"), s.inspect("m")
	m.Number = 2
	tables := []*schema.Table{g, m}
	for range 2 {
		if err := s.Gate.Shut(s.ctx, tables, brief); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Gate.Prove(s.ctx, tables, brief); err != nil {
		t.Fatal(err)
	}
	a := s.app()
	for _, name := range []string{"g", "m"} {
		for _, sql := range []string{
			"INSERT INTO % VALUES (2,2)", "INSERT IGNORE INTO % VALUES (2,2)", "REPLACE INTO % VALUES (1,2)", "UPDATE % SET v=2", "UPDATE IGNORE % SET v=2",
			"DELETE FROM %", "INSERT INTO % VALUES (1,1) ON DUPLICATE KEY UPDATE v=9", "DELETE % FROM % JOIN (SELECT 1 id) x USING (id)",
		} {
			err := a.run(t.Context(), strings.ReplaceAll(sql, "%", name))
			s.class(err, driver.Refused)
			if !strings.Contains(err.Error(), "Whimbrel") {
				t.Fatal(err)
			}
		}
		if a.text("SELECT * FROM "+name) != "1 1" {
			t.Fatal("a row was changed")
		}
	}
	for range 2 {
		if err := s.Gate.Reopen(s.ctx, tables); err != nil {
			t.Fatal(err)
		}
	}
	a.do("INSERT INTO g VALUES (2,2)", "INSERT INTO m VALUES (2,2)")
	if err := s.Gate.Prove(s.ctx, tables, brief); err == nil {
		t.Fatal("an open gate was proven shut")
	}
	if left := a.text(`SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()`); left != "" {
		t.Fatal(left)
	}
}

// TestAWriterInFlightKeepsTheGateOpen: Shut fails and names it, and Writers shows it.
func TestAWriterInFlightKeepsTheGateOpen(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE g (id INT PRIMARY KEY)")
	g := s.inspect("g")
	a := s.app()
	a.do("BEGIN", "INSERT INTO g VALUES (1)")
	s.class(s.Gate.Shut(s.ctx, []*schema.Table{g}, brief), driver.Transient)
	all, err := s.Gate.Writers(s.ctx)
	if err != nil || len(all) != 1 || !strings.Contains(all[0].State, "1 rows changed") {
		t.Fatal(all, err)
	}
	a.do("COMMIT")
	if err := s.Gate.Shut(s.ctx, []*schema.Table{g}, brief); err != nil {
		t.Fatal(err)
	}
}

// TestAPreparedTransactionIsSeen: one whose session has gone is found by Settle, Shut and Prove (HAZARDS 2, 86).
func TestAPreparedTransactionIsSeen(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE g (id INT PRIMARY KEY)")
	g := s.inspect("g")
	tables := []*schema.Table{g}
	if err := s.Gate.Shut(s.ctx, tables, brief); err != nil {
		t.Fatal(err)
	}
	if err := s.Gate.Reopen(s.ctx, tables); err != nil {
		t.Fatal(err)
	}
	a := s.app()
	a.do("XA START 'lost'", "INSERT INTO g VALUES (1)", "XA END 'lost'", "XA PREPARE 'lost'")
	a.kill()
	s.class(s.Capturer.Settle(s.ctx, tables, brief), driver.Transient)
	if err := s.Gate.Shut(s.ctx, tables, brief); err == nil || !strings.Contains(err.Error(), "XA") {
		t.Fatal(err)
	}
	s.class(s.Gate.Prove(s.ctx, tables, brief), driver.Transient)
	s.app().do("XA ROLLBACK 'lost'")
	if err := s.Gate.Prove(s.ctx, tables, brief); err != nil {
		t.Fatal(err)
	}
}

// TestTheGuardLetsOnlyUsWrite at a target: into a table that was empty when it was shut, one that held rows, and one that keeps
// its history.
func TestTheGuardLetsOnlyUsWrite(t *testing.T) {
	for _, c := range []struct{ name, options, before, insert string }{
		{"empty", "", "", "CONSTRAINT `whimbrel_guard_1: opens when the move has ended` failed"},
		{"with rows", "", "INSERT INTO g VALUES (7, 'x', 0)", "Whimbrel fills this table"},
		{"versioned", " WITH SYSTEM VERSIONING", "", "Whimbrel fills this table"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := target(t)
			s.do("CREATE TABLE g (id INT PRIMARY KEY, u VARCHAR(9) UNIQUE, n INT CHECK (n < 10))" + c.options)
			if c.before != "" {
				s.do(c.before)
			}
			g, epoch := s.inspect("g"), s.takeOver()
			for range 2 {
				if err := s.Guard.Shut(s.ctx, g, epoch); err != nil {
					t.Fatal(err)
				}
			}
			if seen := s.inspect("g"); len(seen.Checks) != len(g.Checks) {
				t.Errorf("the guard is shown as the table's own: %d checks, not %d", len(seen.Checks), len(g.Checks))
			}
			if err := s.load(s.takeOver(), g, shapeOf(g), 1, batch(3, []string{"5", "a", "5"}, []string{"6", "b", "60"})); err != nil {
				t.Fatal(err)
			}
			a := s.app()
			held := s.read(driver.Query{Table: g, Shape: shapeOf(g), Order: driver.KeyOrder})
			for _, sql := range []string{
				"INSERT INTO g VALUES (1,'c',1)", "REPLACE INTO g VALUES (5,'a',1)", "INSERT INTO g VALUES (5,'a',1) ON DUPLICATE KEY UPDATE n = 2",
				"INSERT INTO g SELECT 8, 'd', 1", "UPDATE g SET n = 1", "UPDATE g JOIN (SELECT 5 AS id) o USING (id) SET n = 1",
			} {
				if err := a.run(t.Context(), sql); err == nil || !strings.Contains(err.Error(), c.insert) {
					t.Errorf("%s: %v", sql, err)
				}
			}
			for _, sql := range []string{"INSERT IGNORE INTO g VALUES (1,'c',1)", "UPDATE IGNORE g SET n = 1"} {
				_ = a.run(t.Context(), sql) // a CHECK leaves the row out, with a warning
			}
			for _, sql := range []string{"DELETE FROM g", "DELETE g FROM g JOIN (SELECT 5 AS id) o USING (id)"} {
				s.class(a.run(t.Context(), sql), driver.Refused)
			}
			same(t, "rows", s.read(driver.Query{Table: g, Shape: shapeOf(g), Order: driver.KeyOrder}), held)
			for range 2 {
				if err := s.Guard.Open(s.ctx, g); err != nil {
					t.Fatal(err)
				}
			}
			a.do("INSERT INTO g VALUES (1,'c',1)", "UPDATE g SET n = 3 WHERE id = 5", "DELETE FROM g WHERE id = 5")
			if err := a.run(t.Context(), "INSERT INTO g VALUES (2,'d',11)"); number(err) != 4025 {
				t.Fatal(err)
			}
			if made := a.text("SELECT COUNT(*) FROM information_schema.check_constraints WHERE constraint_schema = DATABASE()"); made != "1" {
				t.Fatalf("%s checks", made)
			}
		})
	}
}

// TestFingerprintsTellWhatHappened judges each kind of DDL.
func TestFingerprintsTellWhatHappened(t *testing.T) {
	s := source(t)
	for _, c := range []struct {
		sql  string
		want driver.Verdict
	}{
		{"SELECT 1", driver.Harmless},
		{"INSERT INTO f VALUES (9,9)", driver.Harmless},
		{"ANALYZE TABLE f", driver.Harmless},
		{"CREATE TRIGGER app AFTER INSERT ON f FOR EACH ROW SET @x = 1", driver.Harmless},
		{"ALTER TABLE f COMMENT 'c'", driver.Harmless},
		{"TRUNCATE TABLE f", driver.Suspect},
		{"OPTIMIZE TABLE f", driver.Suspect},
		{"ALTER TABLE f ADD COLUMN w INT", driver.Invalid},
		{"ALTER TABLE f MODIFY v BIGINT", driver.Invalid},
		{"DROP TRIGGER whimbrel_update_1", driver.Invalid},
		{"ALTER TABLE f ENGINE=Aria", driver.Invalid},
		{"DROP TABLE f", driver.Invalid},
		{"ALTER TABLE f PARTITION BY HASH (id) PARTITIONS 2", driver.Invalid},
		{"CREATE OR REPLACE TRIGGER whimbrel_delete_1 AFTER DELETE ON f FOR EACH ROW DELETE FROM nothing", driver.Suspect},
	} {
		s.do("DROP TABLE IF EXISTS f, nothing", "CREATE TABLE f (id INT PRIMARY KEY, v INT)", "INSERT INTO f VALUES (1,1)")
		f := s.inspect("f")
		s.install(f)
		before, err := s.Watcher.Fingerprint(s.ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		s.app().text(c.sql)
		after, err := s.Watcher.Fingerprint(s.ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		if v, why := s.Watcher.Judge(before, after); v != c.want {
			t.Errorf("%s: %s, %s, want %s\n%s\n%s", c.sql, v, why, c.want, before, after)
		}
		if err := s.Capturer.Remove(s.ctx, f, brief); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Capturer.Finish(s.ctx); err != nil {
		t.Fatal(err)
	}
	if left := s.app().text(`SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel%'`); left != "" {
		t.Fatal(left)
	}
}

// TestGapsForbidWhatTriggersCanNotSee.
func TestGapsForbidWhatTriggersCanNotSee(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE parent (id INT PRIMARY KEY)", "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE SET NULL)",
		"CREATE TABLE restricted (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))",
		"CREATE TABLE wild (id INT PRIMARY KEY, a INT, b INT, FOREIGN KEY (a) REFERENCES wild (id) ON DELETE CASCADE, FOREIGN KEY (b) REFERENCES wild (id) ON DELETE CASCADE)",
		"CREATE TABLE isam (id INT PRIMARY KEY) ENGINE=MyISAM", "CREATE TABLE floating (id FLOAT PRIMARY KEY)", "CREATE TABLE keyless (id INT NULL UNIQUE)")
	for name, rule := range map[string]string{"parent": "", "child": "", "wild": "cascade", "restricted": "", "isam": "engine", "floating": "float-key", "keyless": "no-key"} {
		tb := s.inspect(name)
		all, err := s.Capturer.Gaps(s.ctx, tb, shapeOf(tb))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, n := range all {
			if n.Level == driver.NotLive {
				got += n.Rule
			} else if n.Rule == "cascade" && (name != "child" || !strings.Contains(n.Message, s.Info.Schema+".parent")) {
				t.Error(n)
			}
		}
		if got != rule {
			t.Errorf("%s: %q, want %q", name, got, rule)
		}
	}
}

// TestGeneratorsOnlyMoveForward.
func TestGeneratorsOnlyMoveForward(t *testing.T) {
	s := target(t)
	s.do("CREATE TABLE n (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT)", "CREATE SEQUENCE q START WITH 5", "INSERT INTO n VALUES (41)")
	s.app().text("SELECT NEXTVAL(q)")
	found, err := s.Inspector.Inspect(s.ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.Sequencer.Next(s.ctx, found)
	if err != nil || len(all) != 2 || all[0].Next != "42" || len(found.Sequences) != 1 {
		t.Fatal(all, err)
	}
	for i, next := range []string{"100", "50", "100"} {
		for _, g := range all {
			g.Next = next
			if g.Sequence.Name == "q" && i == 0 {
				g.Next = "5000"
			}
			if err := s.Sequencer.Set(s.ctx, g); err != nil {
				t.Fatal(err)
			}
		}
	}
	a := s.app()
	a.do("INSERT INTO n VALUES ()")
	if got := a.text("SELECT MAX(id) FROM n") + " " + a.text("SELECT NEXTVAL(q)"); got != "100 5000" {
		t.Fatal(got)
	}
}

// TestSurveyFindsWhatOthersCanNotHold.
func TestSurveyFindsWhatOthersCanNotHold(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE v (id INT PRIMARY KEY, d DATE, dt DATETIME, t TEXT, e ENUM('a'), h TIME, b BLOB, l VARCHAR(9) CHARACTER SET latin1)")
	a := s.app()
	a.do("SET sql_mode=''", "INSERT INTO v VALUES (1,'0000-00-00','2024-00-00','a\\0b','nope','25:00:00','12345','ü'), (2,'2024-01-01','0000-05-05 00:00:00','x','a','01:00:00','',''), (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL)")
	table := s.inspect("v")
	facts, err := s.Surveyor.Survey(s.ctx, table, drivertest.Everything(table))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]driver.Fact{}
	for _, f := range facts {
		got[f.Column+" "+string(f.What)] = f
	}
	for name, want := range map[string]int64{"d zero-date": 1, "dt zero-date": 1, "dt before-1": 1, "t nul-in-text": 1, "e bad-enum": 1, "h beyond-hours": 1, "t longest": 3, "b longest": 5, "l longest": 2} {
		f := got[name]
		if f.Count != want && f.Value != want || f.Sample == "" && f.What != driver.Longest {
			t.Errorf("%s: %+v", name, f)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Error(got)
	}
}

// TestAValueOf64MiB goes in and comes out.
func TestAValueOf64MiB(t *testing.T) {
	s := target(t)
	s.do("CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)")
	tb := s.inspect("big")
	value := make([]byte, 64<<20)
	for i := range value {
		value[i] = byte(i * 7)
	}
	b := row.NewBatch(2)
	b.AppendString("1")
	b.Append(value)
	if err := s.load(s.takeOver(), tb, shapeOf(tb), 1, b); err != nil {
		t.Fatal(err)
	}
	c, err := s.Reader.Read(s.ctx, driver.Query{Table: tb, Shape: shapeOf(tb)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := row.NewBatch(2)
	for got.Len() == 0 {
		if err := c.Fill(s.ctx, got); err != nil && got.Len() == 0 {
			t.Fatal(err)
		}
	}
	if string(got.Row(0)) != string(b.Row(0)) {
		t.Fatal("another value came back")
	}
}

// TestASessionThatIsCutIsLost: the next call has a new one.
func TestASessionThatIsCutIsLost(t *testing.T) {
	s := target(t)
	s.do("CREATE TABLE c (id INT PRIMARY KEY)")
	tb := s.inspect("c")
	epoch := s.takeOver()
	l, err := s.Loader.Load(s.ctx, driver.Intake{Table: tb, Shape: shapeOf(tb), Range: row.Range{Number: 1}, Epoch: epoch})
	if err != nil {
		t.Fatal(err)
	}
	a := s.app()
	a.do("KILL " + a.text("SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_rows_modified > 0 OR trx_rows_locked > 0 LIMIT 1"))
	s.class(l.Write(s.ctx, batch(1, []string{"1"})), driver.Lost)
	_ = l.Close()
	if err := s.load(epoch, tb, shapeOf(tb), 1, batch(1, []string{"1"})); err != nil {
		t.Fatal(err)
	}
}
