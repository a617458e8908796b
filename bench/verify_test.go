package bench

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

// Verification: every row of both tables at both sides. Whimbrel's column is the step verify-downtime, done again and again on a
// move that waits at confirm-open; the yardstick reads the rows of both sides once, at the same time, into a hash.

// atOnce configures a move that copies and compares both tables in the downtime.
const atOnce = "procedure: standard\nverify: {levels: {\"*\": full-downtime}}"

// to goes on until this question is open, answering those before it.
func (m *move) to(b testing.TB, question string) {
	b.Helper()
	for range 5 {
		if _, err := m.run(b, "", "run"); err != nil {
			b.Fatal(err)
		}
		step := m.step(b)
		if step == question {
			return
		}
		m.do(b, "answer", step, "yes")
	}
	b.Fatalf("the move never asked %s", question)
}

// step is where the move stands.
func (m *move) step(b testing.TB) string {
	b.Helper()
	c := exec.Command(m.program, "status", "--json")
	c.Dir = m.dir
	out, err := c.Output()
	var s struct{ Step string }
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		b.Fatal(err)
	}
	return s.Step
}

func verify(from, to string) func(b testing.TB, g *grounds) work {
	return func(b testing.TB, g *grounds) work {
		p := newPair(b, g, from, to)
		there := g.fresh(b, to, target, "verified")
		m := g.newMove(b, p.from, there, atOnce)
		m.to(b, "confirm-open")
		b.Cleanup(func() { m.do(b, "reset", "--yes") })
		w := work{
			title: "verify" + p.title()[len("load"):] + ", both sides",
			contestants: []contestant{
				{name: ours, run: func(b testing.TB) (outcome, error) {
					all, err := m.run(b, "", "repeat", "verify-downtime")
					if err != nil {
						return outcome{}, err
					}
					return outcome{sample: all.between(b, "started verify-downtime", "done verify-downtime")}, nil
				}},
				{name: plain, run: func(b testing.TB) (outcome, error) {
					k, err := measure(b, m.servers, exec.Command(g.yardstick, "read", p.from.url, there.url, "line", "wide"))
					return outcome{sample: k}, err
				}},
			},
			figures: []figure{{cpu, shareAtMost, 1.2, plain}, bulkMemory},
		}
		if from == "mariadb" && to == "mariadb" {
			w.contestants = append(w.contestants, checksums(p.from, there, m.servers))
			w.figures = slices.Insert(w.figures, 1, figure{wall, timesAtLeast, 1, "pt-table-checksum"})
		}
		return w
	}
}

// checksums is pt-table-checksum at both sides at the same time, which is what Whimbrel does too.
func checksums(from, to database, servers []*testserver.Server) contestant {
	one := func(d database) string {
		return fmt.Sprintf("pt-table-checksum --no-check-binlog-format --no-check-replication-filters --recursion-method=none --no-check-slave-tables"+
			" --databases %s --tables line,wide h=127.0.0.1,P=%d,u=whimbrel,p=%s >%s.log 2>&1", d.name, d.server.Port, testserver.Password, d.name)
	}
	return contestant{name: "pt-table-checksum", missing: missing("pt-table-checksum"), run: func(b testing.TB) (outcome, error) {
		line := one(from) + " & one=$!; " + one(to) + "; other=$?; wait $one && [ $other = 0 ] || { cat *.log >&2; exit 1; }"
		k, err := measure(b, servers, shell(b.TempDir(), line))
		return outcome{sample: k}, err
	}}
}
