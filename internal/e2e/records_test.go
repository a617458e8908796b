package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/oracle"
	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

const postgresRecord = "SELECT SUM(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'whimbrel_source' AND c.relkind = 'r'"

// TestARecordThatGrowsTooLargeIsGivenUp lets one table change while nobody replays, until its record is larger than all may be: its
// capture is taken off and that is said, the application goes on, and a reset leaves nothing behind.
func TestARecordThatGrowsTooLargeIsGivenUp(t *testing.T) {
	for source, record := range map[string]string{
		"postgres": postgresRecord,
		"mariadb":  "SELECT SUM(data_length) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel\\_source\\_record%'",
	} {
		t.Run(short(source), func(t *testing.T) {
			l := newLive(t, source, "sqlite", shop.Options{Seed: seed(t), Accounts: 300, Sessions: 2})
			m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: "records: {limit-mib: 1}\n"})
			before := catalogs(t, l)
			m.until("confirm-downtime")
			db := grown(t, l, 30, record, 2<<20)
			e := m.must(1, "run", "--yes")
			if said := e.out + e.said; !strings.Contains(said, "event: the records took") || !strings.Contains(said, "records.limit-mib") {
				t.Errorf("it is not said why: %s", tail(said))
			}
			triggers := map[string]string{
				"postgres": "SELECT COUNT(*) FROM pg_trigger WHERE tgrelid = 'event'::regclass AND tgname LIKE 'whimbrel%' AND tgname NOT LIKE 'whimbrel\\_shut%' AND NOT tgisinternal",
				"mariadb":  "SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_table = 'event' AND event_object_schema = DATABASE() AND trigger_name REGEXP '^whimbrel_(insert|update|delete)_'",
			}[source]
			if n, err := db.Value(triggers); err != nil || n != "0" {
				t.Errorf("%s triggers of the record are left: %v; it was said: %s", n, err, tail(e.said))
			}
			m.must(1, "run", "--yes") // it is lost for good
			m.must(0, "reset", "--yes")
			script(t, db, "UPDATE event SET kind = 'again';")
			same(t, "after the reset", before, catalogs(t, l))
		})
	}
}

// grown changes each row of one table so many times while nobody replays, and returns when its record takes so many bytes.
func grown(t *testing.T, l *live, times int, record string, bytes int64) *oracle.Database {
	t.Helper()
	db := open(t, l.source)
	script(t, db, strings.Repeat("UPDATE event SET kind = 'more';\n", times)) // 3,000 rows each
	for limit := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		size, err := db.Value(record)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := strconv.ParseInt(size, 10, 64); n > bytes {
			return db
		}
		if time.Now().After(limit) {
			t.Fatalf("the record does not grow: it has %s", size)
		}
	}
}

// TestARecordIsGivenUpBeforeTheDiskIsFull has little room left on the disk of the source, as the operator's command says, and a record that
// has its part in that.
func TestARecordIsGivenUpBeforeTheDiskIsFull(t *testing.T) {
	l := newLive(t, "postgres", "sqlite", shop.Options{Seed: seed(t), Accounts: 300, Sessions: 2})
	m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: "records: {least-free-mib: 16, free: \"cat free\"}\n"})
	before := catalogs(t, l)
	m.file("free", "10\n")
	m.until("confirm-downtime") // the record has no part in it yet
	db := grown(t, l, 30, postgresRecord, 3<<20)
	if e := m.must(1, "run", "--yes"); !strings.Contains(e.out+e.said, "event: 10 MiB are free on the source's disk") {
		t.Errorf("it is not said why: %s", e.said)
	}
	m.must(0, "reset", "--yes")
	script(t, db, "UPDATE event SET kind = 'again';")
	same(t, "after the reset", before, catalogs(t, l))
}

// TestARecordThatHoldsTheApplicationUpIsGivenUp takes the library of the triggers' language away under the server, as an upgrade of its
// packages does: what the application writes to captured tables fails, until the run sees it and takes capture off.
func TestARecordThatHoldsTheApplicationUpIsGivenUp(t *testing.T) {
	l := newLive(t, "postgres", "sqlite", shop.Options{Seed: seed(t), Accounts: 300, Sessions: 2})
	m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime()})
	before := catalogs(t, l)
	m.until("confirm-downtime")
	p := m.start("", "run", "--wait")
	m.asked(p, "confirm-downtime")
	db := open(t, l.source)
	script(t, db, "UPDATE pg_proc SET probin = '$libdir/taken_away' WHERE proname IN ('plpgsql_call_handler', 'plpgsql_inline_handler', 'plpgsql_validator');")
	const write = "UPDATE event SET kind = 'again';"
	err := db.Script(write)
	if err == nil {
		t.Fatal("the application can write: nothing is proven")
	}
	for limit := time.Now().Add(time.Minute); err != nil && time.Now().Before(limit); err = db.Script(write) {
		<-time.After(200 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("the application can still not write: %v", err)
	}
	m.must(0, "answer", "confirm-downtime", "yes")
	const why = "event: sessions of the application could not write to it any more (the server can not load PL/pgSQL: "
	if e := m.finish(p); e.code != 1 || !strings.Contains(e.said, "step confirm-downtime: ") || !strings.Contains(e.said, why) {
		t.Errorf("it ended with %d, and it is not said why: %s", e.code, tail(e.out+e.said))
	}
	m.must(0, "reset", "--yes")
	same(t, "after the reset", before, catalogs(t, l))
}

// TestARecordOfManyDeletions removes most rows of a table while nobody replays: that they are gone is looked at twice, which needs a
// session more, with the fewest sessions that a move can have (HAZARDS 54).
func TestARecordOfManyDeletions(t *testing.T) {
	for _, source := range products() {
		t.Run(short(source), func(t *testing.T) {
			l := newLive(t, source, "sqlite", shop.Options{Seed: seed(t), Accounts: 100, Sessions: 1})
			m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: "sessions: {source: 1, target: 1}\n"})
			m.until("confirm-downtime")
			script(t, open(t, l.source), "DELETE FROM event WHERE id % 100 <> 0;")
			m.must(0, "run", "--yes")
			if rows := l.equal(); rows["event"] == 0 {
				t.Error("no event is left: nothing is proven")
			}
		})
	}
}
