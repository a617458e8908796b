package mysql

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/schema"
)

// TestPreparedTransactionsOutliveTheServer: one that was prepared before the triggers were there, whose client is gone, and whose
// server was killed since, is found by Settle; when it commits after all, a load that Settle let begin would have missed it. One
// that is prepared afterwards is noted when it commits, and found at the drain (HAZARDS 2, 3, 5).
func TestPreparedTransactionsOutliveTheServer(t *testing.T) {
	own := testserver.New(t, "mariadb")
	address := own.Create(t, "shop")
	s := open(t, address, driver.Source)
	s.do("CREATE TABLE g (id INT PRIMARY KEY)")
	g := s.inspect("g")
	tables := []*schema.Table{g}
	a := s.app()
	a.do("XA START 'before'", "INSERT INTO g VALUES (1)", "XA END 'before'", "XA PREPARE 'before'")
	own.Crash()
	if err := own.Restart(); err != nil {
		t.Fatal(err)
	}
	s = open(t, address, driver.Source)
	shape := s.install(g)
	if err := s.Capturer.Settle(s.ctx, tables, brief); err == nil || !strings.Contains(err.Error(), "XA") {
		t.Fatal("Settle beside a prepared transaction that outlived the server: ", err)
	}
	a = s.app()
	a.do("XA COMMIT 'before'")
	if err := s.Capturer.Settle(s.ctx, tables, brief); err != nil {
		t.Fatal(err)
	}
	same(t, "what was older than the triggers is not noted", s.taken(g, shape, 1), nil)
	a.do("XA START 'after'", "INSERT INTO g VALUES (2)", "XA END 'after'", "XA PREPARE 'after'")
	a.kill()
	if err := s.Gate.Shut(s.ctx, tables, brief); err == nil {
		t.Fatal("shut beside a prepared transaction")
	}
	if err := s.Gate.Prove(s.ctx, tables, brief); err == nil {
		t.Fatal("proven beside a prepared transaction")
	}
	same(t, "the record of what is only prepared", s.taken(g, shape, 2), nil)
	s.app().do("XA COMMIT 'after'")
	if err := s.Gate.Shut(s.ctx, tables, brief); err != nil {
		t.Fatal(err)
	}
	if err := s.Gate.Prove(s.ctx, tables, brief); err != nil {
		t.Fatal(err)
	}
	same(t, "the record when it has committed", s.taken(g, shape, 3), []string{"2"})
}

// TestAReplicaIsNoSource: what replication applies fires no trigger (HAZARDS 12).
func TestAReplicaIsNoSource(t *testing.T) {
	own := testserver.New(t, "mariadb")
	address := own.Create(t, "shop")
	s := open(t, address, driver.Source)
	told := func() bool {
		all, err := s.Inspector.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(all, func(n driver.Notice) bool { return n.Rule == "replica" && n.Level == driver.NotLive })
	}
	if told() {
		t.Fatal("a primary is called a replica")
	}
	a := s.app()
	a.do("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='nobody'")
	if !told() {
		t.Error("a replica is not told")
	}
	a.do("SET GLOBAL slave_run_triggers_for_rbr=YES")
	if told() {
		t.Error("a replica whose triggers fire is forbidden")
	}
}

// TestTablesThatAreSwappedAndPartitions: a table that an online schema change puts in the captured one's place, and every way to
// change rows of a partition without a trigger, alters the fingerprint (HAZARDS 6, 7, 13).
func TestTablesThatAreSwappedAndPartitions(t *testing.T) {
	s := source(t)
	a := s.app()
	for _, c := range []struct {
		sql  string
		want driver.Verdict
	}{
		{"RENAME TABLE f TO f_old, f_new TO f", driver.Invalid},
		{"ALTER TABLE f TRUNCATE PARTITION low", driver.Suspect},
		{"ALTER TABLE f DROP PARTITION low", driver.Invalid},
		{"ALTER TABLE f EXCHANGE PARTITION low WITH TABLE plain", driver.Suspect},
		{"ALTER TABLE f REORGANIZE PARTITION high INTO (PARTITION mid VALUES LESS THAN (1000), PARTITION high VALUES LESS THAN MAXVALUE)", driver.Invalid},
		{"ALTER TABLE f ADD COLUMN w INT DEFAULT 7", driver.Invalid},
		{"ALTER TABLE f CONVERT TO CHARACTER SET latin1", driver.Invalid},
	} {
		const columns = " (id INT PRIMARY KEY, v VARCHAR(9)) "
		const parts = "PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (100), PARTITION high VALUES LESS THAN MAXVALUE)"
		a.do("DROP TABLE IF EXISTS f, f_new, f_old, plain", "CREATE TABLE f"+columns+parts, "CREATE TABLE f_new"+columns+parts, "CREATE TABLE plain"+columns,
			"INSERT INTO f VALUES (1, 'a'), (200, 'b')", "INSERT INTO f_new SELECT * FROM f")
		f := s.inspect("f")
		s.install(f)
		before, err := s.Watcher.Fingerprint(s.ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		a.do(c.sql)
		after, err := s.Watcher.Fingerprint(s.ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		if v, why := s.Watcher.Judge(before, after); v != c.want && v != driver.Invalid {
			t.Errorf("%s: %s, %s, want %s\n%s\n%s", c.sql, v, why, c.want, before, after)
		}
		if err := s.Capturer.Remove(s.ctx, f, brief); err != nil {
			t.Fatal(err)
		}
		_ = s.Capturer.Finish(s.ctx)
	}
}

// TestTheServersDefaultsAreNotOurs: triggers keep a strict sql_mode, whatever the server's or the application's is, and each
// session reads committed rows only, and times in UTC (HAZARDS 24, 32, 70).
func TestTheServersDefaultsAreNotOurs(t *testing.T) {
	own := testserver.New(t, "mariadb", "transaction-isolation=READ-UNCOMMITTED", "sql-mode=", "default-storage-engine=Aria", "default-time-zone=+09:00")
	u, err := url.Parse(own.Create(t, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, u.String(), driver.Source)
	for _, p := range []*pool{s.d.work, s.d.control} {
		if err := p.with(t.Context(), func(ses *session) error {
			line, err := ses.row(t.Context(), "SELECT @@SESSION.tx_isolation, @@GLOBAL.tx_isolation, @@SESSION.time_zone")
			if err == nil && (line[0] != "READ-COMMITTED" || line[1] != "READ-UNCOMMITTED" || line[2] != "+00:00") {
				t.Error("isolation and time zone: ", line)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	a := s.app()
	a.do("SET sql_mode=''", "CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB",
		"CREATE TABLE g (id VARCHAR(300) PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE) ENGINE=InnoDB")
	g := s.inspect("g")
	s.install(g)
	if err := s.Gate.Shut(s.ctx, []*schema.Table{g}, brief); err != nil {
		t.Fatal(err)
	}
	if loose := a.text("SELECT trigger_name, sql_mode FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND sql_mode NOT LIKE '%STRICT_ALL_TABLES%'"); loose != "" {
		t.Error("triggers that are not strict: ", loose)
	}
	if engines := a.text("SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel%'"); engines != "InnoDB" {
		t.Error("engines of our tables: ", engines)
	}
}
