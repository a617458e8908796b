package bench

import (
	"fmt"
	"strconv"
	"testing"
)

// What a record costs that has grown: that a million keys which wait are drained at the rate of a fifth of them, and that a key
// which was changed a million times is read once a batch.

func init() {
	works = append(works, []struct {
		name  string
		build func(b testing.TB, g *grounds) work
	}{
		{"growth/pending-postgres", growthOfPending("postgres")},
		{"growth/pending-mariadb", growthOfPending("mariadb")},
		{"growth/hot-postgres", hotKey("postgres")},
		{"growth/hot-mariadb", hotKey("mariadb")},
	}...)
}

// millionChanged is the part of the usual rows of wide of which two thirds are a million.
const millionChanged = 5

// perKey is the CPU microseconds of client and servers for a key's replay.
const perKey quantity = "cpu_us_a_key"

// growthOfPending drains a million keys and a fifth of them, and compares what one costs.
func growthOfPending(product string) func(b testing.TB, g *grounds) work {
	return func(b testing.TB, g *grounds) work {
		drain := func(name string, r *replaying) contestant {
			return contestant{name: name, run: func(b testing.TB) (outcome, error) {
				r.open(b) // each time: the bases of both have the same names
				o, err := r.whimbrel().run(b)
				if err == nil {
					o.sample[perKey] = o.sample[cpu] * 1e6 / float64(r.changes())
				}
				return o, err
			}}
		}
		million := &replaying{g: g.part(millionChanged), from: product, to: "postgres"}
		fifth := &replaying{g: g, from: product, to: "postgres"}
		return work{
			title:       fmt.Sprintf("drain of %d pending keys, %s → PostgreSQL", million.changes(), called[product]),
			contestants: []contestant{drain(ours, million), drain("a fifth of them", fifth)},
			figures:     []figure{{perKey, shareAtMost, 1.10, "a fifth of them"}, bulkMemory},
		}
	}
}

const (
	reads      quantity = "row_reads" // of the changed table's rows at the source while its record is drained
	readsBatch quantity = "row_reads_a_batch"
)

// batch is how many entries a batch takes at the most.
const batch = 10_000

// hotKey changes one row of a thousand a million times while nothing replays, and drains that.
func hotKey(product string) func(b testing.TB, g *grounds) work {
	return func(b testing.TB, g *grounds) work {
		times := max(int(1_000_000*min(g.scale, 1)), 200_000)
		return work{
			title: fmt.Sprintf("drain of one key changed %d times, %s → PostgreSQL", times, called[product]),
			contestants: []contestant{{name: ours, run: func(b testing.TB) (outcome, error) {
				from, to := g.fresh(b, product, source, "hot"), g.fresh(b, "postgres", target, "hot")
				from.each(b, hotTable[product]...)
				m := g.newMove(b, from, to, "procedure: downtime-optimized\ntables: {uptime: [hot]}\nverify: {levels: {\"*\": full-downtime}}")
				m.to(b, "confirm-downtime")
				from.do(b, fmt.Sprintf(hotChanges[product], times))
				from.settle(b)
				m.do(b, "answer", "confirm-downtime", "yes")
				before := hotReads(b, from)
				all, err := m.run(b, "done drain", "run")
				if err != nil {
					return outcome{}, err
				}
				o := outcome{sample: all.between(b, "", "done drain"), note: all.steps()}
				o.sample[rate] = float64(times) / o.sample[wall]
				o.sample[reads] = hotReads(b, from) - before
				o.sample[readsBatch] = o.sample[reads] / float64((times+batch-1)/batch)
				const question = "SELECT n FROM hot WHERE id = 500"
				if want, got := from.ask(b, question), to.ask(b, question); want != got || want != fmt.Sprint(times) {
					return o, fmt.Errorf("the row is %s at the source and %s at the target, after %d changes", want, got, times)
				}
				return o, nil
			}}},
			figures: []figure{{readsBatch, atMost, 1.2, ""}, bulkMemory},
		}
	}
}

// The table with the hot key; MariaDB counts reads of a table where userstat is on.
var (
	hotTable = map[string][]string{
		"postgres": {"CREATE TABLE hot (id int PRIMARY KEY, n bigint NOT NULL)", "INSERT INTO hot SELECT i, 0 FROM generate_series(1, 1000) AS i"},
		"mariadb":  {"SET GLOBAL userstat=1", "CREATE TABLE hot (id int PRIMARY KEY, n bigint NOT NULL)", "INSERT INTO hot SELECT seq, 0 FROM seq_1_to_1000"},
	}
	hotChanges = map[string]string{
		// Within one transaction each change would pass all versions before it.
		"postgres": "DO 'BEGIN FOR i IN 1..%d LOOP UPDATE hot SET n = n + 1 WHERE id = 500; IF i %% 200 = 0 THEN COMMIT; END IF; END LOOP; END'",
		"mariadb": "DELIMITER $$\nBEGIN NOT ATOMIC SET sql_log_bin=0; START TRANSACTION; FOR i IN 1..%d DO " +
			"UPDATE hot SET n = n + 1 WHERE id = 500; END FOR; COMMIT; END$$",
	}
)

// hotReads is how many rows of the table hot the server has read so far, by its index or in scans, once the sessions that read
// have gone: until then PostgreSQL may not have counted them.
func hotReads(b testing.TB, d database) float64 {
	b.Helper()
	question := "SELECT COALESCE(SUM(rows_read), 0) FROM information_schema.table_statistics WHERE table_schema = '" + d.name + "' AND table_name = 'hot'"
	if d.product == "postgres" {
		do(b, b.TempDir(), until("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = $$client backend$$", "0", d))
		question = "SELECT COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'hot'"
	}
	n, err := strconv.ParseFloat(d.ask(b, question), 64)
	if err != nil {
		b.Fatalf("rows read of the table hot: %v", err)
	}
	return n
}
