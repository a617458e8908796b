package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// Capture: what its triggers add to a writer's statement. Each contestant has a database of its own with the same rows, where
// its triggers are always on; nothing reads what they note. What is compared is the source server's processor time, beyond
// that of the same statements in a database without triggers, in the same round.

const (
	each  quantity = "server ms each"
	added quantity = "added ms each"
	share quantity = "added %"
	noted quantity = "bytes a change"
)

// nobody is the contestant without triggers.
const nobody = "no triggers"

// addedTo derives what triggers add from each round.
func addedTo(round map[string]sample) {
	bare, ok := round[nobody]
	if !ok {
		return
	}
	for name, s := range round {
		if name != nobody {
			s[added] = s[each] - bare[each]
			s[share] = 100 * s[added] / bare[each]
		}
	}
}

// banks are the databases of pgbench, one for each contestant, in the order they take their turns.
type banks []struct {
	name    string
	bank    database
	missing string
}

// bankTables have primary keys, each of them.
var bankTables = []string{"pgbench_accounts", "pgbench_tellers", "pgbench_branches", "pgbench_history"}

// branches is pgbench's scale: 100,000 accounts each.
func (g *grounds) branches() int { return max(int(20*g.scale), 2) }

// openBanks makes the databases and sets every contestant up. Again: the same ones.
func (g *grounds) openBanks() banks {
	if g.banks != nil {
		return g.banks
	}
	b := g.b
	b.Helper()
	first := g.fresh(b, "postgres", source, "bank")
	do(b, g.dir, fmt.Sprintf("pgbench -i -q -s %d '%s'", g.branches(), first.url))
	first.each(b, "ALTER TABLE pgbench_history ADD hid bigserial PRIMARY KEY", "VACUUM ANALYZE")
	var all banks
	add := func(name, missing string, up func(database) error) {
		d := g.cloned(b, first, source, "bank_"+strings.ReplaceAll(name, " ", "_"))
		if missing == "" {
			if err := up(d); err != nil {
				b.Logf("%s: %v", name, err)
				missing = "could not be set up"
			}
		}
		all = append(all, struct {
			name    string
			bank    database
			missing string
		}{name, d, missing})
	}
	follow := func(d database, name string) follower {
		return follower{from: d, to: g.twin(b, d, name), dir: b.TempDir(), tables: bankTables}
	}
	add(ours, "", func(d database) error { g.captured(d, bankTables...); return nil })
	add(nobody, "", func(database) error { return nil })
	add("slony", missing("slonik"), func(d database) error { return follow(d, "bank_slony").slony() })
	add("bucardo", missing("bucardo"), func(d database) error { return follow(d, "bank_bucardo").bucardo(b, g) })
	add("pgq", extension("pgq"), func(d database) error { return follower{from: d, tables: bankTables}.pgq() })
	g.banks = all
	return all
}

// captured has Whimbrel install its triggers, load and stop at the question: no process of it runs then. They stay.
func (g *grounds) captured(d database, tables ...string) {
	b := g.b
	b.Helper()
	to := g.fresh(b, d.product, target, d.name)
	m := g.newMove(b, d, to, "procedure: downtime-optimized\ntables: {uptime: ["+strings.Join(tables, ", ")+"]}\nverify: {levels: {\"*\": full-downtime}}")
	m.to(b, "confirm-downtime")
}

// still keeps the source server from doing anything by itself meanwhile.
func still(b testing.TB, d database) {
	b.Helper()
	d.each(b, "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
	b.Cleanup(func() { d.each(b, "ALTER SYSTEM RESET autovacuum", "SELECT pg_reload_conf()") })
}

// contestants are one for each bank, all with the same measurement.
func (all banks) contestants(measured func(b testing.TB, d database) (sample, error)) []contestant {
	var list []contestant
	for _, x := range all {
		list = append(list, contestant{name: x.name, missing: x.missing, run: func(b testing.TB) (outcome, error) {
			s, err := measured(b, x.bank)
			return outcome{sample: s}, err
		}})
	}
	return list
}

// writing measures so many transactions of pgbench, one after another, that do not wait for the disk.
func writing(transactions int, arguments string) func(b testing.TB, d database) (sample, error) {
	return func(b testing.TB, d database) (sample, error) {
		d.each(b, "VACUUM pgbench_branches", "VACUUM pgbench_tellers", "CHECKPOINT")
		c := shell(b.TempDir(), fmt.Sprintf("pgbench -n -M prepared -c 1 -t %d %s '%s' >/dev/null", transactions, arguments, d.url),
			"PGOPTIONS=-c synchronous_commit=off")
		k, err := measure(b, servers(d), c)
		if err != nil {
			return nil, err
		}
		return sample{each: 1000 * k[serving] / float64(transactions), foreign: k[foreign]}, nil
	}
}

func captureBulk(b testing.TB, g *grounds) work {
	all := g.openBanks()
	still(b, all[0].bank)
	script := filepath.Join(b.TempDir(), "bulk.sql")
	text := fmt.Sprintf("\\set a random(1, %d)\nUPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid BETWEEN :a AND :a + 999;\n", 100_000*g.branches()-1000)
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	w := work{
		title:       "capture, PostgreSQL, UPDATE of 1,000 rows",
		contestants: all.contestants(writing(g.times(300), "-f "+script)), derive: addedTo, times: 2,
	}
	for _, peer := range []string{"slony", "bucardo", "pgq"} { // a third of the best is a third of each
		w.figures = append(w.figures, figure{added, shareAtMost, 0.333, peer})
	}
	return w
}

func captureSingle(b testing.TB, g *grounds) work {
	all := g.openBanks()
	still(b, all[0].bank)
	return work{
		title:       "capture, PostgreSQL, TPC-B transactions",
		contestants: all.contestants(writing(g.times(5_000), "")), derive: addedTo, times: 4,
		figures: []figure{{added, shareAtMost, 1, "slony"}},
	}
}

// captureBytes is how much what is noted takes, with its indexes.
func captureBytes(b testing.TB, g *grounds) work {
	const rows = 100_000
	size := `SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname NOT IN ('public', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%'`
	number := func(d database) (n float64, err error) {
		text, err := d.answer(size)
		if err == nil {
			_, err = fmt.Sscan(text, &n)
		}
		return n, err
	}
	all := g.openBanks()
	still(b, all[0].bank)
	return work{
		title: "capture, PostgreSQL, what is noted",
		contestants: all.contestants(func(b testing.TB, d database) (sample, error) {
			before, err := number(d)
			if err != nil {
				return nil, err
			}
			d.do(b, fmt.Sprintf("UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid <= %d", rows))
			after, err := number(d)
			return sample{noted: (after - before) / rows}, err
		}),
		figures: []figure{{noted, atMost, 85, ""}},
	}
}

// times is how often something small is done: less at a scale below 1, and not so seldom that it can not be measured.
func (g *grounds) times(n int) int { return max(int(float64(n)*min(g.scale, 1)), n/5) }

func captureMariaDB(b testing.TB, g *grounds) work {
	const rows = 100_000
	events := g.times(8_000)
	sysbench := func(d database, command string) string {
		return fmt.Sprintf("sysbench oltp_write_only --db-driver=mysql --mysql-host=127.0.0.1 --mysql-port=%d --mysql-user=whimbrel --mysql-password=%s --mysql-db=%s"+
			" --tables=1 --table-size=%d --threads=4 --events=%d --time=0 --rand-type=uniform %s >sysbench.log || { tail sysbench.log >&2; exit 1; }",
			d.server.Port, testserver.Password, d.name, rows, events, command)
	}
	w := work{title: "capture, MariaDB, sysbench oltp_write_only", derive: addedTo, times: 3, figures: []figure{{share, atMost, 15, ""}}}
	gone := missing("sysbench")
	for _, name := range []string{ours, nobody} {
		d := g.fresh(b, "mariadb", source, "bench_"+strings.ReplaceAll(name, " ", "_"))
		if gone == "" {
			do(b, b.TempDir(), sysbench(d, "prepare"))
			if name == ours {
				g.captured(d, "sbtest1")
			}
		}
		w.contestants = append(w.contestants, contestant{name: name, missing: gone, run: func(b testing.TB) (outcome, error) {
			k, err := measure(b, servers(d), shell(b.TempDir(), sysbench(d, "run")))
			if err != nil {
				return outcome{}, err
			}
			return outcome{sample: sample{each: 1000 * k[serving] / float64(events), foreign: k[foreign]}}, nil
		}})
	}
	return w
}
