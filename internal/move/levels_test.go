package move

import (
	"fmt"
	"testing"

	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/schema"
)

// What the downtime compares in full is bounded, however large the uptime tables are and however many there are.
func TestTheDowntimesProofDoesNotGrowWithTheUptimeTables(t *testing.T) {
	for _, c := range []struct {
		name          string
		sizes         []int64 // in MiB
		full, changed int
	}{
		{"small", []int64{1, 1, 1}, 3, 0},
		{"one large", []int64{1, 4000}, 1, 1},
		{"one larger", []int64{1, 40_000}, 1, 1},
		{"many that are not large", []int64{50, 50, 50, 50, 50, 50, 50, 50, 50, 50}, 2, 8},
		{"nobody knows", []int64{-1, -1}, 2, 0},
	} {
		m := &Move{config: &Config{}}
		e, tables := &examination{}, []*schema.Table{}
		var choices []chosen
		for i, size := range c.sizes {
			bytes := size << 20
			if size < 0 {
				bytes = -1
			}
			table := &schema.Table{Name: schema.Name{Schema: "s", Name: fmt.Sprint("t", i)}, Bytes: bytes, Rows: -1}
			tables = append(tables, table)
			choices = append(choices, chosen{Table: table.Name, Class: plan.Uptime})
		}
		rest := &schema.Table{Name: schema.Name{Schema: "s", Name: "rest"}, Bytes: 1 << 40, Rows: -1}
		e.choose(append(choices, chosen{Table: rest.Name, Class: plan.Downtime}))
		full, changed, bytes := 0, 0, int64(0)
		for name, level := range m.levels(e, append(tables, rest)) {
			switch {
			case name == rest.Name && level != FullDowntime:
				t.Errorf("%s: a downtime table is proven by %s", c.name, level)
			case name == rest.Name:
			case level == FullDowntime:
				full++
				for _, table := range tables {
					if table.Name == name {
						bytes += plan.Size(table)
					}
				}
			case level == FullUptimeChanged:
				changed++
			}
		}
		if full != c.full || changed != c.changed || bytes > proofBytes {
			t.Errorf("%s: %d tables with %d bytes in the downtime, %d in the uptime", c.name, full, bytes, changed)
		}
	}
}

func TestAConfiguredLevelCounts(t *testing.T) {
	m := &Move{config: &Config{Verify: Verify{Levels: map[string]Level{"*": Sample, "t1": FullDowntime, "s.t2*": FullUptimeChanged}}}}
	e := &examination{}
	var tables []*schema.Table
	for i := range 3 {
		tables = append(tables, &schema.Table{Name: schema.Name{Schema: "s", Name: fmt.Sprint("t", i)}, Bytes: 1 << 40})
	}
	levels := m.levels(e, tables)
	for i, want := range []Level{Sample, FullDowntime, FullUptimeChanged} {
		if got := levels[tables[i].Name]; got != want {
			t.Errorf("table %d is proven by %s, not %s", i, got, want)
		}
	}
}
