package bench

import (
	"fmt"
	"testing"
)

// What is out of the ordinary in a load: values of 64 MB, and a target that takes no LOAD DATA.

func init() {
	works = append(works, []struct {
		name  string
		build func(b testing.TB, g *grounds) work
	}{
		{"large/postgres-postgres", largeValues("postgres", "postgres")},
		{"large/mariadb-postgres", largeValues("mariadb", "postgres")},
		{"large/postgres-mariadb", largeValues("postgres", "mariadb")},
		{"large/mariadb-sqlite", largeValues("mariadb", "sqlite")},
		{"load/no-local-infile", loadWithoutInfile},
	}...)
}

// largest is the length of the large values in bytes, of which there are so many.
const (
	largest  = 64_000_000
	largeOne = 4
)

// largeValues moves a table with some values of 64 MB, and looks at the memory.
func largeValues(from, to string) func(b testing.TB, g *grounds) work {
	return func(b testing.TB, g *grounds) work {
		d := g.fresh(b, from, source, "large")
		switch from {
		case "postgres":
			d.each(b, "CREATE TABLE large (id int PRIMARY KEY, payload bytea NOT NULL)", fmt.Sprintf(
				"INSERT INTO large SELECT i, convert_to(repeat(chr(64 + i), %d), 'UTF8') FROM generate_series(1, %d) AS i", largest, largeOne))
		case "mariadb":
			d.do(b, "SET GLOBAL max_allowed_packet=1073741824")
			d.do(b, fmt.Sprintf("CREATE TABLE large (id int PRIMARY KEY, payload longblob NOT NULL); "+
				"INSERT INTO large SELECT seq, REPEAT(CHAR(64 + seq), %d) FROM seq_1_to_%d", largest, largeOne))
		}
		p := pair{g: g, from: d, target: to}
		return work{
			title: fmt.Sprintf("whole move of %d values of %d MB, %s", largeOne, largest/1_000_000, p.title()[len("load "):]),
			contestants: []contestant{{name: ours, run: func(b testing.TB) (outcome, error) {
				at := g.fresh(b, to, target, "large")
				if to == "mariadb" {
					at.do(b, "SET GLOBAL max_allowed_packet=1073741824")
				}
				m := g.newMove(b, d, at, "procedure: downtime-optimized\ntables: {uptime: [large]}")
				all, err := m.run(b, "", "run", "--yes")
				if err != nil {
					return outcome{}, err
				}
				o := outcome{sample: all.between(b, "", ""), note: all.steps()}
				got, err := at.answer("SELECT COUNT(*), SUM(LENGTH(payload)) FROM large")
				if want := fmt.Sprintf("%d %d", largeOne, largeOne*largest); err == nil && got != want {
					err = fmt.Errorf("rows and bytes are %s, not %s", got, want)
				}
				return o, err
			}}},
			figures: []figure{{resident, atMost, 512, ""}},
		}
	}
}

// loadWithoutInfile loads into a MariaDB that refuses LOAD DATA, by INSERTs of many rows, beside one that takes it. It is
// measured for the reader of a finding that says so; nothing must be reached.
func loadWithoutInfile(b testing.TB, g *grounds) work {
	p := newPair(b, g, "postgres", "mariadb")
	with := p.whimbrel()
	without := p.whimbrel()
	with.name = "with LOAD DATA"
	run := without.run
	without.run = func(b testing.TB) (outcome, error) {
		at := p.empty(b)
		at.do(b, "SET GLOBAL local_infile=0")
		defer at.do(b, "SET GLOBAL local_infile=1")
		return run(b)
	}
	return work{title: p.title() + " without LOAD DATA", contestants: []contestant{without, with}, figures: []figure{bulkMemory}}
}
