package bench

import (
	"bytes"
	"strings"
	"testing"
)

// The benchmark's own rules: what is a median, when a figure holds, what a missing contestant means, what counts as the same.

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.list); got != c.want {
			t.Errorf("median of %v is %v, not %v", c.list, got, c.want)
		}
	}
}

func TestMediansAreOfEachQuantity(t *testing.T) {
	got := medians(map[string][]sample{ours: {{wall: 1, cpu: 9}, {wall: 2, cpu: 8}, {wall: 3, cpu: 1}}})
	if got[ours][wall] != 2 || got[ours][cpu] != 8 {
		t.Errorf("medians are %v", got)
	}
}

func TestFiguresHoldAtTheirBound(t *testing.T) {
	all := map[string]sample{ours: {wall: 10, cpu: 11, resident: 128}, plain: {wall: 9, cpu: 10}, "peer": {wall: 14, cpu: 1}}
	for _, c := range []struct {
		figure
		holds bool
	}{
		{figure{cpu, shareAtMost, 1.10, plain}, true},
		{figure{cpu, shareAtMost, 1.09, plain}, false},
		{figure{wall, timesAtLeast, 1.4, "peer"}, true},
		{figure{wall, timesAtLeast, 1.41, "peer"}, false},
		{figure{cpu, timesAtLeast, 0.8, plain}, true},
		{figure{resident, atMost, 128, ""}, true},
		{figure{resident, atMost, 127, ""}, false},
	} {
		if j := c.judge(all, nil); j.holds != c.holds || j.absent != "" {
			t.Errorf("%v: %v, absent %q", c.figure, j.holds, j.absent)
		}
	}
}

func TestVerdicts(t *testing.T) {
	short, long := sample{wall: 1}, sample{wall: 2}
	bound := figure{wall, timesAtLeast, 1.5, "peer"}
	for _, c := range []struct {
		name    string
		samples map[string][]sample
		peer    contestant
		want    string
	}{
		{"faster", map[string][]sample{ours: {short}, "peer": {long}}, contestant{name: "peer"}, "holds"},
		{"slower", map[string][]sample{ours: {long}, "peer": {short}}, contestant{name: "peer"}, "**falls short**"},
		{"the peer is not there", map[string][]sample{ours: {short}}, contestant{name: "peer", missing: "not installed (peer)"}, "no figure"},
		{"we failed", map[string][]sample{"peer": {long}}, contestant{name: "peer"}, "**not measured**"},
	} {
		r := row{work: work{name: "work", contestants: []contestant{{name: ours}, c.peer}, figures: []figure{bound}}, samples: c.samples}
		var out bytes.Buffer
		printTable(&out, []row{r}, 1, 1)
		if !strings.Contains(out.String(), "| "+c.want) {
			t.Errorf("%s: want %q in\n%s", c.name, c.want, out.String())
		}
		if c.peer.missing != "" && !strings.Contains(out.String(), c.peer.missing) {
			t.Errorf("%s: the table does not say %q:\n%s", c.name, c.peer.missing, out.String())
		}
	}
}

// A contestant that fails once is out, and its failure is in the results; the others go on.
func TestWhoFailsIsOut(t *testing.T) {
	runs := map[string]int{}
	one := func(name string, broken error) contestant {
		return contestant{name: name, run: func(testing.TB) (outcome, error) {
			runs[name]++
			return outcome{sample: sample{wall: 1}}, broken
		}}
	}
	w := work{name: "work", contestants: []contestant{one(ours, nil), one("peer", bytes.ErrTooLarge)}}
	var lines, progress bytes.Buffer
	got := w.measure(t, 3, newResults(&lines, &progress, "1"))
	if runs[ours] != 3 || runs["peer"] != 1 || len(got[ours]) != 3 || len(got["peer"]) != 0 {
		t.Errorf("runs %v, samples %v", runs, got)
	}
	if n := strings.Count(lines.String(), "\n"); n != 4 || strings.Count(lines.String(), `"error"`) != 1 {
		t.Errorf("results:\n%s", lines.String())
	}
	if w.contestants[1].missing != "failed" {
		t.Errorf("the peer is said to be %q", w.contestants[1].missing)
	}
}

func TestCompareSeparatesRuns(t *testing.T) {
	text := `{"run":"a","scale":"1","work":"w","contestant":"whimbrel","round":1,"wall_s":2,"cpu_s":3}
{"run":"a","scale":"1","work":"w","contestant":"yardstick","round":1,"wall_s":2,"cpu_s":2}
{"run":"b","scale":"1","work":"w","contestant":"whimbrel","round":1,"wall_s":1,"cpu_s":2}
{"run":"b","scale":"1","work":"w","contestant":"yardstick","round":1,"wall_s":1,"cpu_s":2}
{"run":"b","scale":"1","work":"w","contestant":"peer","round":1,"wall_s":4,"cpu_s":2}
{"run":"b","scale":"1","work":"w","contestant":"late","round":1,"error":"it failed"}
`
	var out bytes.Buffer
	if err := compare(&out, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| w | 1 | a | 1 | 2.00 | 3.00 | 0 | 1.50 |  |", "| w | 1 | b | 1 | 1.00 | 2.00 | 0 | 1.00 | peer 4.00 |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// The rows of a table are the same in every form that a product loads.
func TestRowsAreTheSameInEveryForm(t *testing.T) {
	var text, sql bytes.Buffer
	for _, w := range []struct {
		to *bytes.Buffer
		l  format
		w  format
	}{{&text, loadData, loadData}, {&sql, lineSQL, wideSQL}} {
		if err := lines(w.to, 50, w.l); err != nil {
			t.Fatal(err)
		}
		if err := wides(w.to, 500, w.w); err != nil {
			t.Fatal(err)
		}
	}
	plainRows := strings.NewReplacer("INSERT INTO line VALUES(", "", "INSERT INTO wide VALUES(", "", ");\n", "\n", "NULL", `\N`, "X'", "'").Replace(sql.String())
	plainRows = strings.ReplaceAll(plainRows, "\tqu\"o''te\\ \n end", "AWKWARD")
	other := strings.ReplaceAll(text.String(), `\tqu"o'te\\ \n end`, "AWKWARD")
	if strings.Count(other, "AWKWARD") == 0 {
		t.Error("no row has a text that must be escaped")
	}
	simple := strings.NewReplacer("'", "", ",", "", "\t", "") // neither form's own marks
	if got, want := simple.Replace(plainRows), simple.Replace(other); got != want {
		t.Error("the forms hold different rows")
	}
}

// sums must see what a broken copy loses.
func TestSumsSeeDamage(t *testing.T) {
	g := &grounds{b: t, dir: t.TempDir(), scale: 0.0005}
	from := g.fresh(t, "sqlite", source, "sums")
	from.tables(t)
	g.fill(t, from, "line", "wide")
	var to database
	copied := func() {
		to = g.fresh(t, "sqlite", target, "sums")
		from.do(t, "VACUUM INTO '"+to.name+"'")
	}
	copied()
	if err := same(from, to, "", "line", "wide"); err != nil {
		t.Fatalf("an exact copy is said to differ: %v", err)
	}
	for _, damage := range []string{
		"DELETE FROM line WHERE l_orderkey = 7 AND l_linenumber = 2",
		"UPDATE line SET l_comment = l_comment || 'x' WHERE l_orderkey = 7 AND l_linenumber = 2",
		"UPDATE line SET l_tax = l_tax + 0.01 WHERE l_orderkey = 7 AND l_linenumber = 2",
		"UPDATE wide SET note = NULL WHERE id = (SELECT MAX(id) FROM wide WHERE note IS NOT NULL)",
		"UPDATE wide SET payload = X'00' WHERE id = (SELECT MAX(id) FROM wide WHERE payload IS NOT NULL)",
		"UPDATE wide SET flag = 1 - flag WHERE id = 3",
	} {
		copied()
		to.do(t, damage)
		if err := same(from, to, "", "line", "wide"); err == nil {
			t.Errorf("not seen: %s", damage)
		}
	}
}
