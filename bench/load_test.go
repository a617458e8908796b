package bench

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Loads: both tables from a filled source into an empty target, with their keys. Whimbrel's column is everything that the command
// does from its start until it asks for the downtime: check and survey, tables, capture at the source, ranges with ledger
// and durability, keys, the first catching up. Verification is set to the downtime and so is not in it: it is a work of its own.

// uptimeMove configures a move that loads both tables in the uptime and verifies in the downtime.
const uptimeMove = "procedure: downtime-optimized\ntables: {uptime: [line, wide]}\nverify: {levels: {\"*\": full-downtime}}"

// pair is what the contestants of a load share.
type pair struct {
	g      *grounds
	from   database
	target string // the product
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
		all, err := m.run(b, "asks confirm-downtime", "run", "--yes")
		if err != nil {
			return outcome{}, err
		}
		o := outcome{sample: all.between(b, "", "asks confirm-downtime"), note: all.steps()}
		err = same(p.from, to, "", "line", "wide")
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
			err = same(p.from, to, "", "line", "wide")
		}
		return outcome{sample: k}, err
	}}
}

// peer is another tool, run by a line for bash that is made for an empty target. Wants are the programs that it needs.
func (p pair) peer(name string, wants []string, within string, line func(b testing.TB, to database) string) contestant {
	c := contestant{name: name, missing: missing(wants...)}
	c.run = func(b testing.TB) (outcome, error) {
		to := p.empty(b)
		k, err := measure(b, servers(p.from, to), shell(b.TempDir(), line(b, to)))
		if err == nil {
			err = same(p.from, to, within, "line", "wide")
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

// bulkMemory is the most that the client may take while it loads, in MiB.
var bulkMemory = figure{quantity: resident, relation: atMost, bound: 128}

func loadPostgresPostgres(b testing.TB, g *grounds) work {
	p := pair{g: g, from: g.filled(b, "postgres"), target: "postgres"}
	return work{
		title: "load PostgreSQL → PostgreSQL",
		contestants: []contestant{
			p.whimbrel(), p.yardstick(2),
			p.peer("pgcopydb", []string{"pgcopydb"}, "", func(b testing.TB, to database) string {
				return "pgcopydb clone --source '" + p.from.url + "' --target '" + to.url +
					"' --dir ./pgcopydb --table-jobs 2 --index-jobs 2 --no-owner --not-consistent >pgcopydb.log 2>&1 || { tail -n 20 pgcopydb.log >&2; exit 1; }"
			}),
			p.peer("pg_dump+psql", []string{"pg_dump"}, "", func(b testing.TB, to database) string {
				return "pg_dump --no-owner '" + p.from.url + "' | psql -XqAt -v ON_ERROR_STOP=1 '" + to.url + "' >/dev/null"
			}),
		},
		figures: []figure{
			{cpu, shareAtMost, 1.10, plain},
			{wall, timesAtLeast, 1.4, "pgcopydb"},
			{wall, timesAtLeast, 1.4, "pg_dump+psql"},
			bulkMemory,
		},
	}
}

func loadMariaDBPostgres(b testing.TB, g *grounds) work {
	p := pair{g: g, from: g.filled(b, "mariadb"), target: "postgres"}
	return work{
		title:       "load MariaDB → PostgreSQL",
		contestants: []contestant{p.whimbrel(), p.yardstick(2)},
		figures: []figure{
			{cpu, shareAtMost, 0.95, plain},
			{wall, timesAtLeast, 3.5, "pgloader"},
			{wall, timesAtLeast, 2, "mysql_fdw"},
			bulkMemory,
		},
	}
}
