package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
)

// TestARecordThatGrowsTooLargeIsGivenUp lets one table change while nobody replays, until its record is larger than all may be: its
// capture is taken off and that is said, the application goes on, and a reset leaves nothing behind.
func TestARecordThatGrowsTooLargeIsGivenUp(t *testing.T) {
	for source, record := range map[string]string{
		"postgres": "SELECT SUM(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'whimbrel_source' AND c.relkind = 'r'",
		"mariadb":  "SELECT SUM(data_length) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel\\_source\\_record%'",
	} {
		t.Run(short(source), func(t *testing.T) {
			l := newLive(t, source, "sqlite", shop.Options{Seed: seed(t), Accounts: 300, Sessions: 2})
			m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: "records: {limit-mib: 1}\n"})
			before := catalogs(t, l)
			m.until("confirm-downtime")
			db := open(t, l.source)
			script(t, db, strings.Repeat("UPDATE event SET kind = 'more';\n", 30)) // 3,000 rows each
			grown := false
			for limit := time.Now().Add(time.Minute); !grown && time.Now().Before(limit); time.Sleep(200 * time.Millisecond) {
				size, err := db.Value(record)
				if err != nil {
					t.Fatal(err)
				}
				bytes, _ := strconv.ParseInt(size, 10, 64)
				grown = bytes > 2<<20
			}
			if !grown {
				t.Fatal("the record does not grow")
			}
			e := m.must(1, "run", "--yes")
			if said := e.out + e.said; !strings.Contains(said, "event: the records took") || !strings.Contains(said, "records.limit-mib") {
				t.Errorf("it is not said why: %s", tail(said))
			}
			triggers := map[string]string{
				"postgres": "SELECT COUNT(*) FROM pg_trigger WHERE tgrelid = 'event'::regclass AND tgname LIKE 'whimbrel%' AND tgname NOT LIKE 'whimbrel\\_shut%' AND NOT tgisinternal",
				"mariadb":  "SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_table = 'event' AND event_object_schema = DATABASE() AND trigger_name REGEXP '^whimbrel_(insert|update|delete)_'",
			}[source]
			if n, err := db.Value(triggers); err != nil || n != "0" {
				t.Errorf("%s triggers of the record are left: %v", n, err)
			}
			m.must(1, "run", "--yes") // it is lost for good
			m.must(0, "reset", "--yes")
			script(t, db, "UPDATE event SET kind = 'again';")
			same(t, "after the reset", before, catalogs(t, l))
		})
	}
}
