package mysql

import (
	"net/url"
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

func mustURL(t *testing.T, s *side) *url.URL {
	t.Helper()
	u, err := url.Parse("mariadb://" + s.d.cfg.Addr + "/" + s.d.cfg.DBName)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
