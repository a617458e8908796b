package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// Loads: both tables from a filled source into an empty target, with their keys. Whimbrel's column is everything that run
// does from its start until it asks for the downtime: the checks again, tables, capture at the source, ranges with ledger
// and durability, keys, the first catching up. Before it comes check, as in the README, and what that takes stands beside it.
// Verification is set to the downtime and so is not in it: it is a work of its own.

// uptimeMove configures a move that loads both tables in the uptime and verifies in the downtime.
const uptimeMove = "procedure: downtime-optimized\ntables: {uptime: [line, wide]}\nverify: {levels: {\"*\": full-downtime}}"

// pair is what the contestants of a load share.
type pair struct {
	g      *grounds
	from   database
	target string // the product
	check  func(from, to database) error
}

// newPair is the usual one, from the run's filled source.
func newPair(b testing.TB, g *grounds, from, to string) pair {
	b.Helper()
	return pair{g: g, from: g.filled(b, from), target: to, check: sameTables}
}

func sameTables(from, to database) error { return sameIn("", from, to) }

// sameIn is for a copy in a schema of its own.
func sameIn(schema string, from, to database) error {
	if err := same(from, to, schema, "line", "wide"); err != nil {
		return err
	}
	got, err := to.answer(map[string]string{
		"postgres": "SELECT COUNT(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE i.indisprimary AND i.indisvalid AND c.relname IN ('line', 'wide')",
		"mariadb":  "SELECT COUNT(*) FROM information_schema.table_constraints WHERE constraint_type = 'PRIMARY KEY' AND table_schema = '" + to.name + "' AND table_name IN ('line', 'wide')",
		"sqlite":   "SELECT COUNT(DISTINCT t) FROM (SELECT 'line' AS t, pk FROM pragma_table_info('line') UNION ALL SELECT 'wide', pk FROM pragma_table_info('wide')) WHERE pk > 0",
	}[to.product])
	if err == nil && got != "2" {
		err = fmt.Errorf("%s of 2 primary keys are at the target", got)
	}
	return err
}

// empty returns the target's database, empty, at rest.
func (p pair) empty(b testing.TB) database {
	b.Helper()
	d := p.g.fresh(b, p.target, target, "bench")
	d.settle(b)
	return d
}

// whimbrel is Whimbrel as a contestant.
func (p pair) whimbrel() contestant {
	return contestant{name: ours, run: func(b testing.TB) (outcome, error) {
		to := p.empty(b)
		m := p.g.newMove(b, p.from, to, uptimeMove)
		before, err := m.run(b, "", "check")
		if err != nil {
			return outcome{}, err
		}
		all, err := m.run(b, "asks confirm-downtime", "run", "--yes")
		if err != nil {
			return outcome{}, err
		}
		o := outcome{sample: all.between(b, "", "asks confirm-downtime"), note: all.steps()}
		looked := before.between(b, "", "")
		o.sample[checkWall], o.sample[checkCPU] = looked[wall], looked[cpu]
		err = p.check(p.from, to)
		m.do(b, "reset", "--yes") // the source is as it was before the others take their turn
		return o, err
	}}
}

// yardstick is the plainest pipeline: into tables that are there, keys afterwards where they come afterwards.
func (p pair) yardstick(streams int) contestant {
	return contestant{name: plain, run: func(b testing.TB) (outcome, error) {
		to := p.empty(b)
		to.tables(b)
		to.settle(b)
		args := []string{"copy", "-streams", fmt.Sprint(streams)}
		if p.target == "postgres" {
			args = append(args, "-then", lineKey, "-then", wideKey)
		}
		args = append(args, p.from.url, to.url, "line", "wide")
		k, err := measure(b, servers(p.from, to), exec.Command(p.g.yardstick, args...))
		if err == nil {
			err = p.check(p.from, to)
		}
		return outcome{sample: k}, err
	}}
}

// peer is another tool, run by a line for bash that is made for an empty target. Wants are the programs that it needs.
func (p pair) peer(name string, wants []string, line func(b testing.TB, to database) string) contestant {
	c := contestant{name: name, missing: missing(wants...)}
	c.run = func(b testing.TB) (outcome, error) {
		to := p.empty(b)
		k, err := measure(b, servers(p.from, to), shell(b.TempDir(), line(b, to)))
		if err == nil {
			err = p.check(p.from, to)
		}
		return outcome{sample: k}, err
	}
	return c
}

// missing says which of the programs is not installed; empty when all are.
func missing(programs ...string) string {
	var not []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			not = append(not, p)
		}
	}
	if len(not) == 0 {
		return ""
	}
	return "not installed (" + strings.Join(not, ", ") + ")"
}

// What check took before the run.
const (
	checkWall quantity = "check s"
	checkCPU  quantity = "check CPU s"
)

// bulkMemory is the most that the client may take while it loads, in MiB.
var bulkMemory = figure{quantity: resident, relation: atMost, bound: 128}

// title gives the work's title its words.
func (p pair) title() string {
	return "load " + called[p.from.product] + " → " + called[p.target]
}

// called are the products' names for people.
var called = map[string]string{"postgres": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite"}

// scaled stands for a peer that no package holds: it was measured beside the same yardstick elsewhere, so that its wall time is
// taken for so many times the yardstick's in each round of this run.
func (w *work) scaled(name string, times float64) {
	w.contestants = append(w.contestants, contestant{name: name})
	w.derive = func(round map[string]sample) {
		if k, ok := round[plain]; ok {
			round[name] = sample{wall: times * k[wall]}
		}
	}
}

// The peers that are scaled.
const (
	pgcopydb18 = "pgcopydb 0.18 (scaled)"
	loadData1  = "mydumper 1.0 LOAD_DATA (scaled)"
)

func loadPostgresPostgres(b testing.TB, g *grounds) work {
	p := newPair(b, g, "postgres", "postgres")
	w := work{
		title: p.title(),
		contestants: []contestant{
			p.whimbrel(), p.yardstick(2), p.pgcopydb(), p.dump(),
		},
		figures: []figure{
			{cpu, shareAtMost, 1.10, plain},
			{wall, timesAtLeast, 1.4, "pgcopydb"},
			{wall, timesAtLeast, 1.4, pgcopydb18},
			{wall, timesAtLeast, 1.4, "pg_dump+psql"},
			bulkMemory,
		},
	}
	w.scaled(pgcopydb18, 1.62) // 10.2 s beside 6.3 s
	return w
}

func (p pair) pgcopydb() contestant {
	return p.peer("pgcopydb", []string{"pgcopydb"}, func(_ testing.TB, to database) string {
		return quiet("pgcopydb", "clone --source '"+p.from.url+"' --target '"+to.url+
			"' --dir ./pgcopydb --table-jobs 2 --index-jobs 2 --no-owner --not-consistent")
	})
}

func (p pair) dump() contestant {
	return p.peer("pg_dump+psql", []string{"pg_dump"}, func(_ testing.TB, to database) string {
		return "pg_dump --no-owner '" + p.from.url + "' | psql -XqAt -v ON_ERROR_STOP=1 '" + to.url + "' >/dev/null"
	})
}

func loadMariaDBPostgres(b testing.TB, g *grounds) work {
	p := newPair(b, g, "mariadb", "postgres")
	foreignData := p.peer("mysql_fdw", nil, p.foreignData)
	foreignData.missing = extension("mysql_fdw")
	loads := p
	loads.check = func(from, to database) error { return sameIn(from.name, from, to) } // it makes a schema of that name
	return work{
		title: p.title(),
		contestants: []contestant{
			p.whimbrel(), p.yardstick(2),
			loads.peer("pgloader", []string{"pgloader"}, func(_ testing.TB, to database) string { return loader("mysql", p.from, to) }),
			foreignData,
		},
		figures: []figure{
			{cpu, shareAtMost, 0.95, plain}, {wall, timesAtLeast, 3.5, "pgloader"}, {wall, timesAtLeast, 2, "mysql_fdw"}, bulkMemory,
		},
	}
}

// foreignData has the target read the source itself, a session for each table.
func (p pair) foreignData(b testing.TB, to database) string {
	to.tables(b)
	user := p.from.server
	to.each(b, "CREATE EXTENSION mysql_fdw",
		fmt.Sprintf("CREATE SERVER s FOREIGN DATA WRAPPER mysql_fdw OPTIONS (host '127.0.0.1', port '%d', fetch_size '10000')", user.Port),
		fmt.Sprintf("CREATE USER MAPPING FOR whimbrel SERVER s OPTIONS (username 'whimbrel', password '%s')", testserver.Password),
		"CREATE SCHEMA f", "IMPORT FOREIGN SCHEMA "+p.from.name+" FROM SERVER s INTO f")
	psql := func(sql string) string { return "psql -XqAt -v ON_ERROR_STOP=1 '" + to.url + "' -c '" + sql + "'" }
	return psql("INSERT INTO line SELECT * FROM f.line") + " & one=$!; " +
		psql("INSERT INTO wide SELECT id, small, num, amount, ratio, flag::int::bool, day, ts, uid::uuid, name, note, doc::json, payload FROM f.wide") +
		" && wait $one && " + psql(lineKey) + " && " + psql(wideKey)
}

// loader runs pgloader with what its manual recommends for more than one table.
func loader(scheme string, from, to database) string {
	at := "sqlite://" + from.name
	if scheme == "mysql" {
		at = fmt.Sprintf("mysql://whimbrel:%s@127.0.0.1:%d/%s", testserver.Password, from.server.Port, from.name)
	}
	return quiet("pgloader", fmt.Sprintf("--with 'workers = 4' --with 'concurrency = 2' '%s' 'postgresql://whimbrel:%s@127.0.0.1:%d/%s'",
		at, testserver.Password, to.server.Port, to.name))
}

// quiet runs a program that says much: only a failure shows what it said.
func quiet(program, arguments string) string {
	return program + " " + arguments + " >" + program + ".log 2>&1 || { tail -n 30 " + program + ".log >&2; exit 1; }"
}

// extension says whether a server could load an extension; empty when it can.
func extension(name string) string {
	if all, _ := filepath.Glob("/usr/share/postgresql/*/extension/" + name + ".control"); len(all) > 0 {
		return ""
	}
	return "not installed (" + name + ")"
}

func loadMariaDBMariaDB(b testing.TB, g *grounds) work {
	p := newPair(b, g, "mariadb", "mariadb")
	at := func(d database) string {
		return fmt.Sprintf("-h 127.0.0.1 -P %d -u whimbrel -p %s -B %s -t 2", d.server.Port, testserver.Password, d.name)
	}
	w := work{
		title: p.title(),
		contestants: []contestant{
			p.whimbrel(), p.yardstick(1),
			p.peer("mydumper", []string{"mydumper", "myloader"}, func(_ testing.TB, to database) string {
				return quiet("mydumper", at(p.from)+" -r 200000 -o ./dump") + " && " + quiet("myloader", at(to)+" -o -d ./dump")
			}),
			p.peer("mariadb-dump", []string{"mariadb-dump"}, func(_ testing.TB, to database) string {
				return "export MYSQL_PWD=" + testserver.Password + "; mariadb-dump " + strings.Join(p.from.mariadbFlags(), " ") +
					" --quick --single-transaction --hex-blob " + p.from.name + " | mariadb " + strings.Join(to.mariadbFlags(), " ") + " " + to.name
			}),
		},
		figures: []figure{
			{cpu, shareAtMost, 1.05, plain},
			{wall, timesAtLeast, 1, "mydumper"},
			{wall, timesAtLeast, 1, loadData1},
			{wall, timesAtLeast, 2, "mariadb-dump"},
			bulkMemory,
		},
	}
	w.scaled(loadData1, 1.20) // 26.7 s beside 22.3 s
	return w
}

func loadSQLitePostgres(b testing.TB, g *grounds) work {
	p := newPair(b, g, "sqlite", "postgres")
	return work{
		title: p.title(),
		contestants: []contestant{
			p.whimbrel(), p.yardstick(1),
			p.peer("pgloader", []string{"pgloader"}, func(_ testing.TB, to database) string { return loader("sqlite", p.from, to) }),
		},
		figures: []figure{{cpu, shareAtMost, 0.75, plain}, {wall, timesAtLeast, 4, "pgloader"}, bulkMemory},
	}
}

// loadOther is a pair that no peer serves.
func loadOther(from, to string) func(b testing.TB, g *grounds) work {
	return func(b testing.TB, g *grounds) work {
		p := newPair(b, g, from, to)
		return work{
			title: p.title(), contestants: []contestant{p.whimbrel(), p.yardstick(1)},
			figures: []figure{{cpu, shareAtMost, 1.15, plain}, bulkMemory},
		}
	}
}
