package bench

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"
)

// The tail of a load: that no session waits long for the last ranges of one large table whose keys and rows are skewed.

func init() {
	works = append(works, struct {
		name  string
		build func(b testing.TB, g *grounds) work
	}{"growth/tail", tailOfLoad})
}

const idle quantity = "idle" // the part of the sessions' time in which they did not load

// A table nine tenths of whose keys are in a thousandth of their range, and whose first rows are sixty times as long as the
// others.
const (
	skewedTable = `CREATE TABLE skewed (id bigint PRIMARY KEY, note text NOT NULL)`
	skewedRows  = `INSERT INTO skewed SELECT CASE WHEN n %% 10 = 0 THEN n::bigint * 1000 ELSE n END,
 repeat(md5(n::text), CASE WHEN n < %[1]d / 50 THEN 120 ELSE 2 END) FROM generate_series(1, %[1]d) AS n`
)

func tailOfLoad(b testing.TB, g *grounds) work {
	d := g.fresh(b, "postgres", source, "skewed")
	n := int(2_000_000 * g.scale)
	d.each(b, skewedTable, fmt.Sprintf(skewedRows, n), "VACUUM ANALYZE skewed")
	d.settle(b)
	p := pair{g: g, from: d, target: "postgres"}
	return work{
		title: "load of one skewed table by two sessions",
		contestants: []contestant{{name: ours, run: func(b testing.TB) (outcome, error) {
			to := p.empty(b)
			m := g.newMove(b, d, to, "procedure: downtime-optimized\ntables: {uptime: [skewed]}\nverify: {levels: {\"*\": full-downtime}}",
				"sessions: {source: 2, target: 2}")
			all, err := m.run(b, "asks confirm-downtime", "run", "--yes")
			if err != nil {
				return outcome{}, err
			}
			o := outcome{sample: all.between(b, "started load-uptime", "done load-uptime"), note: all.steps()}
			loaded, err := m.loaded(b)
			o.sample[idle] = 1 - loaded/(2*o.sample[wall])
			if rows := to.ask(b, "SELECT count(*) FROM skewed"); err == nil && rows != fmt.Sprint(n) {
				err = fmt.Errorf("%s rows arrived, not %d", rows, n)
			}
			m.do(b, "reset", "--yes")
			return o, err
		}}},
		figures: []figure{{idle, atMost, 0.05, ""}},
	}
}

// loaded is how many seconds the sessions have spent on ranges, all together.
func (m *move) loaded(b testing.TB) (float64, error) {
	b.Helper()
	var r struct {
		Tables []struct {
			LoadSeconds float64 `json:"load_seconds"`
		}
	}
	c := exec.Command(m.program, "report", "--json")
	c.Dir = m.dir
	out, err := c.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	sum := 0.0
	for _, t := range r.Tables {
		sum += t.LoadSeconds
	}
	return sum, err
}
