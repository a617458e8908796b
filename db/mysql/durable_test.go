package mysql

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
)

// TestDurableFlushesTheLog writes log that nobody flushes, and finds it on disk after durable: at once where the user may
// flush it, when the server does it by itself where he may not.
func TestDurableFlushesTheLog(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(2000))")
	writer := s.app()
	poor, address := "poor"+s.Info.Schema, mustURL(t, s)
	s.do("CREATE USER "+poor+"@'127.0.0.1' IDENTIFIED BY '"+testserver.Password+"'", "GRANT ALL ON "+quote(s.Info.Schema)+".* TO "+poor+"@'127.0.0.1'")
	t.Cleanup(func() { writer.do("DROP USER " + poor + "@'127.0.0.1'") })
	address.User = url.UserPassword(poor, testserver.Password)
	for _, as := range []struct {
		side *side
		most time.Duration
	}{{s, 900 * time.Millisecond}, {open(t, address.String(), driver.Source), 5 * time.Second}} {
		for range 3 {
			writer.do("BEGIN", "INSERT INTO t SELECT seq, REPEAT('x', 2000) FROM seq_1_to_500")
			err := as.side.d.work.with(s.ctx, func(ses *session) error {
				end, _, err := as.side.d.logEnds(s.ctx, ses)
				if err != nil {
					return err
				}
				began := time.Now()
				if err := as.side.d.durable(s.ctx, ses); err != nil {
					return err
				}
				took := time.Since(began)
				_, flushed, err := as.side.d.logEnds(s.ctx, ses)
				if err == nil && (flushed < end || took > as.most) {
					t.Errorf("the log is on disk up to %d, not %d, after %v", flushed, end, took)
				}
				return err
			})
			writer.do("ROLLBACK")
			if err != nil {
				t.Fatal(err)
			}
		}
		needed, err := as.side.Rights.Needed(s.ctx, driver.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for _, n := range needed {
			said = said || n.Rule == "reload" && n.Lacks
		}
		if said != (as.side != s) || as.side.d.unflushing.Load() != said {
			t.Errorf("reload is noted: %t", said)
		}
	}
}

// TestAPromiseIsOnDisk: where the server's commits do not wait for the disk, a receipt's Durable does, for what was read and for the
// promise.
func TestAPromiseIsOnDisk(t *testing.T) {
	server := testserver.New(t, "mariadb", "innodb_flush_log_at_trx_commit=0", "innodb_flush_log_at_timeout=2700", "skip-log-bin")
	s := open(t, server.Create(t, "shop"), driver.Source)
	s.do("CREATE TABLE d (id INT PRIMARY KEY)")
	d, a := s.inspect("d"), s.app()
	shape := s.install(d)
	a.do("INSERT INTO d VALUES (1)")
	r, err := s.Recorder.Take(s.ctx, driver.Want{Table: d, Shape: shape, Lanes: 1, Most: 10}, row.NewBatch(1), row.NewBatch(1))
	if err != nil || r.Entries() != 1 {
		t.Fatal(r, err)
	}
	// The server flushes its log every 45 minutes: it is made to.
	if err := r.Durable(s.ctx, 1); err != nil {
		t.Fatal(err)
	}
	a.do("INSERT INTO d VALUES (2)")
	same(t, "rows", s.read(driver.Query{Table: d, Shape: shape, Order: driver.KeyOrder}), []string{"1", "2"})
	server.Kill()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	there := open(t, server.URL("shop"), driver.Source)
	n, err := there.Recorder.Numbers(s.ctx, d, 0)
	if rows := there.app().text("SELECT COUNT(*) FROM d"); err != nil || rows != "2" || n.Promised != 1 {
		t.Errorf("after the crash %s rows are there, and the numbers are %+v, %v", rows, n, err)
	}
}

// The server is made to flush its log without a trace: a backup's snapshot goes on reading our tables, who reads them is not waited for, and
// replicas hear nothing of it.
func TestTheLogIsFlushedWithoutATrace(t *testing.T) {
	server := testserver.New(t, "mariadb", "innodb_flush_log_at_trx_commit=2", "innodb_flush_log_at_timeout=2700", "log-bin=log", "server-id=1")
	s := open(t, server.Create(t, "shop"), driver.Source)
	s.do("CREATE TABLE d (id INT PRIMARY KEY)")
	s.install(s.inspect("d"))
	a, backup := s.app(), s.app()
	backup.do("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT * FROM whimbrel_source_flush")
	ours := strings.Fields(a.text("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel%'"))
	table := a.text("SHOW CREATE TABLE whimbrel_source_flush")
	for i := range 5 {
		a.do("INSERT INTO d VALUES (" + strconv.Itoa(i) + ")")
		written := a.text("SHOW MASTER STATUS")
		err := s.d.work.with(s.ctx, func(ses *session) error {
			if end, flushed, err := s.d.logEnds(s.ctx, ses); err != nil || flushed >= end {
				t.Errorf("nothing is proven: the log is on disk (%v)", err)
			}
			return s.d.durable(s.ctx, ses)
		})
		if err != nil {
			t.Fatal(err)
		}
		if now := a.text("SHOW MASTER STATUS"); now != written {
			t.Errorf("the binary log was at %q and is at %q", written, now)
		}
	}
	for _, name := range ours {
		if _, err := backup.rows(s.ctx, "SELECT * FROM "+name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now := a.text("SHOW CREATE TABLE whimbrel_source_flush"); now != table || len(ours) < 5 {
		t.Errorf("of %q the table is %s", ours, now)
	}
}

func mustURL(t *testing.T, s *side) *url.URL {
	t.Helper()
	u, err := url.Parse("mariadb://" + s.d.cfg.Addr + "/" + s.d.cfg.DBName)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
