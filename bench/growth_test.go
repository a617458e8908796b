package bench

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Growth: that a load takes sixteen times as long for sixteen times the rows, that two sessions gain what two streams of the
// yardstick gain, and what ten thousand tables of one row cost.

func init() {
	works = append(works, []struct {
		name  string
		build func(b testing.TB, g *grounds) work
	}{
		{"growth/rows", growthOfRows},
		{"growth/sessions", growthOfSessions},
		{"growth/tables-postgres-postgres", growthOfTables("postgres", "postgres", 10_000, figure{wall, atMost, 60, ""})},
		{"growth/tables-mariadb-postgres", growthOfTables("mariadb", "postgres", 1000)},
		{"growth/tables-sqlite-postgres", growthOfTables("sqlite", "postgres", 1000)},
		{"growth/tables-postgres-mariadb", growthOfTables("postgres", "mariadb", 1000)},
	}...)
}

const (
	perRow  quantity = "cpu_us_a_row" // CPU microseconds of client and servers for a row's load, its part of the indexes included
	remains quantity = "time_left"    // with two of one's sessions, as a part of the time with one
)

// sixteenth is the part of the usual rows that growthOfRows begins with: a million and a half lines are sixteen times as many.
const sixteenth = 0.05

// growthOfRows loads 1, 4 and 16 times the same rows, PostgreSQL → PostgreSQL, and compares what a row costs.
func growthOfRows(_ testing.TB, g *grounds) work {
	names := map[int]string{16: ours, 4: "a quarter of it", 1: "a sixteenth of it"}
	w := work{
		title:   "load PostgreSQL → PostgreSQL of 16 times the rows",
		figures: []figure{{perRow, shareAtMost, 1.10, names[1]}, {perRow, shareAtMost, 1.10, names[4]}, bulkMemory},
	}
	for _, times := range []int{16, 4, 1} {
		w.contestants = append(w.contestants, contestant{name: names[times], run: func(b testing.TB) (outcome, error) {
			part := g.part(sixteenth * float64(times))
			p := pair{g: part, from: part.copied(b, fmt.Sprintf("rows%d", times)), target: "postgres", check: sameTables}
			o, err := p.load(b, uptimeMove)
			if err == nil {
				o.sample[perRow] = o.sample[cpu] * 1e6 / float64(part.rows("line")+part.rows("wide"))
			}
			return o, err
		}})
	}
	return w
}

// growthOfSessions compares what a second session gains with what a second stream gains the yardstick.
func growthOfSessions(b testing.TB, g *grounds) work {
	one, oneStream := "whimbrel, one session", "yardstick, one stream"
	p := newPair(b, g, "postgres", "postgres")
	stream := p.yardstick(1)
	stream.name = oneStream
	return work{
		title: "load PostgreSQL → PostgreSQL by two sessions",
		contestants: []contestant{
			{name: ours, run: func(b testing.TB) (outcome, error) { return p.load(b, uptimeMove, "sessions: {source: 2, target: 2}") }},
			{name: one, run: func(b testing.TB) (outcome, error) { return p.load(b, uptimeMove, "sessions: {source: 1, target: 1}") }},
			p.yardstick(2), stream,
		},
		derive: func(round map[string]sample) {
			for two, single := range map[string]string{ours: one, plain: oneStream} {
				if round[two] != nil && round[single] != nil {
					round[two][remains] = round[two][wall] / round[single][wall]
				}
			}
		},
		figures: []figure{{remains, shareAtMost, 1 / 0.95, plain}},
	}
}

// load moves the pair's tables up to the downtime and measures the load with its indexes.
func (p pair) load(b testing.TB, lines ...string) (outcome, error) {
	to := p.empty(b)
	m := p.g.newMove(b, p.from, to, lines...)
	all, err := m.run(b, "asks confirm-downtime", "run", "--yes")
	if err != nil {
		return outcome{}, err
	}
	o := outcome{sample: all.between(b, "started load-uptime", "done build-indexes"), note: all.steps()}
	err = p.check(p.from, to)
	m.do(b, "reset", "--yes")
	return o, err
}

// part is the grounds with so many times the usual rows.
func (g *grounds) part(times float64) *grounds {
	part := *g
	part.scale *= times
	return &part
}

// copied returns a PostgreSQL source of its own with both tables, filled. Again: the same one.
func (g *grounds) copied(b testing.TB, name string) database {
	b.Helper()
	if d, ok := g.sources[name]; ok {
		return d
	}
	d := g.fresh(b, "postgres", source, name)
	d.tables(b)
	g.fill(b, d, "line", "wide")
	d.each(b, lineKey, wideKey, "VACUUM ANALYZE", "CHECKPOINT")
	g.sources[name] = d
	return d
}

// growthOfTables moves many tables of one row, whole, from the command's start to its end.
func growthOfTables(from, to string, tables int, figures ...figure) func(b testing.TB, g *grounds) work {
	return func(b testing.TB, g *grounds) work {
		n := max(int(float64(tables)*min(g.scale, 1)), 10)
		d := g.many(b, from, n)
		p := pair{g: g, from: d, target: to}
		w := work{
			title:   strings.Replace(p.title(), "load", fmt.Sprintf("whole move of %d tables,", n), 1),
			figures: append(figures, figure{resident, atMost, 512, ""}),
		}
		w.contestants = []contestant{{name: ours, run: func(b testing.TB) (outcome, error) {
			at := p.empty(b)
			all, err := g.newMove(b, d, at, "procedure: standard").run(b, "", "run", "--yes")
			if err != nil {
				return outcome{}, err
			}
			return outcome{sample: all.between(b, "", ""), note: all.steps()}, manyThere(at, n)
		}}}
		if from == to && from == "postgres" {
			w.contestants = append(w.contestants, contestant{name: "pg_dump+psql", run: func(b testing.TB) (outcome, error) {
				at := p.empty(b)
				line := "pg_dump --no-owner '" + d.url + "' | psql -XqAt -v ON_ERROR_STOP=1 '" + at.url + "' >/dev/null"
				k, err := measure(b, servers(d, at), shell(b.TempDir(), line))
				if err == nil {
					err = manyThere(at, n)
				}
				return outcome{sample: k}, err
			}})
		}
		return w
	}
}

// many returns a source with n tables of one row.
func (g *grounds) many(b testing.TB, product string, n int) database {
	b.Helper()
	d := g.fresh(b, product, source, "many")
	var script strings.Builder
	for i := range n {
		fmt.Fprintf(&script, "CREATE TABLE t%d (id int PRIMARY KEY, name varchar(100), noted timestamp);\nINSERT INTO t%d VALUES (%d, 'x', '2024-02-29 12:00:00');\n", i, i, i)
	}
	c := d.client("")
	switch product {
	case "postgres":
		c = exec.Command("psql", "-Xq", "-v", "ON_ERROR_STOP=1", d.url)
	case "mariadb":
		c.Args = append(c.Args[:len(c.Args)-3], d.name)
	case "sqlite":
		c = exec.Command("sqlite3", "-batch", "-bail", d.name)
		script.WriteString("COMMIT;\n")
	}
	before := map[string]string{"sqlite": "PRAGMA journal_mode=wal; BEGIN;\n", "mariadb": "SET sql_log_bin=0;\n"}[product]
	c.Stdin = strings.NewReader(before + script.String())
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("make %d tables: %v\n%s", n, err, tail(string(out)))
	}
	if product == "postgres" {
		d.each(b, "VACUUM ANALYZE", "CHECKPOINT")
	}
	return d
}

// manyThere returns an error unless all of the tables are there, and the last one's row.
func manyThere(d database, n int) error {
	schema := map[string]string{"postgres": "'public'", "mariadb": "DATABASE()"}[d.product]
	got, err := d.answer(fmt.Sprintf("SELECT COUNT(*), (SELECT MAX(id) FROM t%d) FROM information_schema.tables WHERE table_name LIKE 't%%' AND table_schema = %s", n-1, schema))
	if want := fmt.Sprintf("%d %d", n, n-1); err == nil && got != want {
		err = fmt.Errorf("tables and last row are %s, not %s", got, want)
	}
	return err
}
