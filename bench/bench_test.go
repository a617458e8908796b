// Package bench measures Whimbrel beside the plainest pipelines (bench/yardstick) and beside other tools that do the same work,
// on private servers, all in turn, and prints one table with a verdict for each work item: make bench. From the environment:
//
//	BENCH_CASES    which works, as patterns apart by blanks (load/* replay/wide); without it all
//	BENCH_ONLY     the contestants that take part, as patterns too; without it all
//	BENCH_ROUNDS   how often each contestant runs, in turn (5)
//	BENCH_SCALE    of the data (1: 2,000,000 rows of line and 300,000 of wide; 0.1 for a try)
//	BENCH_RESULTS  the file to which each run's figures are added as a line of JSON (bench/results/results.jsonl);
//	               make bench-compare prints what each run of the benchmark in it came to
//	BENCH_MOVE     a line of configuration for every move, such as sessions: {source: 2, target: 2}
//	BENCH_PROGRAM  another whimbrel than bin/whimbrel
//	BENCH_BESIDE   more whimbrels, which take turns with it under their paths: what one change has brought
//
// table_test.go says how figures are judged, measure_test.go what is measured, database_test.go which servers there are,
// program_test.go how the program is watched. Each other file has the works of one kind, beginning with what they are.
//
// Every run is checked: a copy counts only when both sides hold the same rows, as far as counts and sums tell.
package bench

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// works are the rows of the table in the order of the table. A work is built when its turn comes; building it may start
// servers and fill them.
var works = []struct {
	name  string
	build func(b testing.TB, g *grounds) work
}{
	{"load/postgres-postgres", loadPostgresPostgres},
	{"load/mariadb-postgres", loadMariaDBPostgres},
	{"load/mariadb-mariadb", loadMariaDBMariaDB},
	{"load/sqlite-postgres", loadSQLitePostgres},
	{"load/postgres-mariadb", loadOther("postgres", "mariadb")},
	{"load/sqlite-sqlite", loadOther("sqlite", "sqlite")},
	{"load/postgres-sqlite", loadOther("postgres", "sqlite")},
	{"load/mariadb-sqlite", loadOther("mariadb", "sqlite")},
	{"small/sakila", small("sakila", "postgres", "sakila/postgres-sakila-schema.sql", "sakila/postgres-sakila-insert-data-using-copy.sql")},
	{"small/chinook", small("chinook", "postgres", "chinook/Chinook_PostgreSql.sql")},
	{"small/chinook-mariadb", small("chinook", "mariadb", "chinook/Chinook_MySql.sql")},
	{"capture/bulk", captureBulk},
	{"capture/single", captureSingle},
	{"capture/bytes", captureBytes},
	{"capture/mariadb", captureMariaDB},
	{"replay/postgres-postgres", replayWide("postgres", "postgres")},
	{"replay/mariadb-postgres", replayWide("mariadb", "postgres")},
	{"replay/mariadb-mariadb", replayWide("mariadb", "mariadb")},
	{"replay/unique", replayUnique},
	{"verify/postgres-postgres", verify("postgres", "postgres")},
	{"verify/mariadb-postgres", verify("mariadb", "postgres")},
	{"verify/mariadb-mariadb", verify("mariadb", "mariadb")},
	{"verify/sqlite-postgres", verify("sqlite", "postgres")},
}

// BenchmarkTable measures and prints.
func BenchmarkTable(b *testing.B) {
	rounds := int(setting(b, "BENCH_ROUNDS", 5))
	g := newGrounds(b, setting(b, "BENCH_SCALE", 1))
	log := openResults(b, g)
	var rows []row
	defer func() { printTable(os.Stdout, rows, g.scale, rounds) }()
	for _, w := range works {
		if !wanted("BENCH_CASES", w.name) {
			continue
		}
		b.Run(w.name, func(b *testing.B) {
			rows = append(rows, row{work: work{name: w.name}, failed: "it could not be prepared"})
			last := &rows[len(rows)-1]
			built := w.build(b, g)
			built.contestants = append(built.contestants, g.beside(built.contestants)...)
			built.contestants = slices.DeleteFunc(built.contestants, func(c contestant) bool { return !wanted("BENCH_ONLY", c.name) })
			built.name, last.work = w.name, built
			last.failed = ""
			last.samples = built.measure(b, rounds, log)
		})
	}
	if len(rows) == 0 {
		b.Fatalf("no work is named by BENCH_CASES=%s", os.Getenv("BENCH_CASES"))
	}
}

// beside is what Whimbrel does, done by the other programs of BENCH_BESIDE.
func (g *grounds) beside(contestants []contestant) (more []contestant) {
	for _, program := range strings.Fields(os.Getenv("BENCH_BESIDE")) {
		for _, c := range contestants {
			if c.name != ours {
				continue
			}
			// By its whole path: a program before the change has our own name as a rule.
			more = append(more, contestant{name: program, run: func(b testing.TB) (outcome, error) {
				usual := g.program
				defer func() { g.program = usual }()
				g.program = program
				return c.run(b)
			}})
		}
	}
	return more
}

// wanted says whether the patterns of a setting name this, or there are none.
func wanted(setting, name string) bool {
	patterns := strings.Fields(os.Getenv(setting))
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok || p == name {
			return true
		}
	}
	return len(patterns) == 0
}

// setting is a number from the environment.
func setting(b testing.TB, name string, usual float64) float64 {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n <= 0 {
		b.Fatalf("%s=%s is not a number above 0", name, text)
	}
	return n
}

// resultsFile is where the figures of all runs are.
func resultsFile() string {
	return cmp.Or(os.Getenv("BENCH_RESULTS"), filepath.Join("results", "results.jsonl"))
}

// openResults opens the file of the run's figures.
func openResults(b testing.TB, g *grounds) *results {
	b.Helper()
	name := resultsFile()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return newResults(f, os.Stderr, fmt.Sprint(g.scale))
}
