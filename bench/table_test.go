package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// work is one row of the table: contestants that do the same, Whimbrel first, and the figures that it must reach.
type work struct {
	name        string
	title       string
	contestants []contestant
	figures     []figure
	// derive, where it is not nil, adds quantities that come from several contestants' samples of one round.
	derive func(round map[string]sample)
	// times says that so many turns are a round: what is short needs more of them. 0 is 1.
	times int
}

// contestant does the work once, from its own preparation, which is not counted, to the check of what it did.
type contestant struct {
	name    string
	missing string                              // why it can not take part; empty when it can
	run     func(b testing.TB) (outcome, error) // nil for one whose samples are derived
}

// outcome is what one run took, and what a reader of the results may want to know beside the figures.
type outcome struct {
	sample
	note string
}

// The names of the contestants that figures speak of most.
const (
	ours  = "whimbrel"
	plain = "yardstick"
)

// figure is one thing that Whimbrel must reach, of the medians of a quantity.
type figure struct {
	quantity quantity
	relation relation
	bound    float64
	against  string // a contestant; nobody for an absolute one
}

// relation says what of two medians is compared with the bound.
type relation int

const (
	atMost       relation = iota // Whimbrel's own is at most the bound
	shareAtMost                  // Whimbrel's, divided by the other's, is at most the bound
	timesAtLeast                 // the other's, divided by Whimbrel's, is at least the bound: so many times as fast
)

// judged is a figure with what came of it.
type judged struct {
	figure
	value  float64
	holds  bool
	absent string // why there is no value
}

// judge compares.
func (f figure) judge(medians map[string]sample, absent map[string]string) judged {
	j := judged{figure: f}
	mine, ok := medians[ours][f.quantity]
	if !ok {
		j.absent = ours + ": " + cmpOr(absent[ours], "not measured")
		return j
	}
	if f.relation == atMost {
		j.value, j.holds = mine, mine <= f.bound
		return j
	}
	other, ok := medians[f.against][f.quantity]
	if !ok {
		j.absent = f.against + ": " + cmpOr(absent[f.against], "not measured")
		return j
	}
	if f.relation == shareAtMost {
		j.value = mine / other
		j.holds = j.value <= f.bound
		return j
	}
	j.value = other / mine
	j.holds = j.value >= f.bound
	return j
}

func cmpOr(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (j judged) String() string {
	verdict := "holds"
	switch {
	case j.absent != "":
		return j.absent
	case !j.holds:
		verdict = "**short**"
	}
	unit := map[quantity]string{wall: "wall", cpu: "CPU", resident: "memory MiB"}[j.quantity]
	unit = cmpOr(unit, string(j.quantity))
	switch j.relation {
	case atMost:
		return fmt.Sprintf("%s %.3g (≤ %g: %s)", unit, j.value, j.bound, verdict)
	case shareAtMost:
		return fmt.Sprintf("%s %.2f of %s (≤ %.2f: %s)", unit, j.value, j.against, j.bound, verdict)
	}
	return fmt.Sprintf("%s %.2f times %s (≥ %g: %s)", unit, j.value, j.against, j.bound, verdict)
}

// measure lets the contestants run in turn, so many rounds, and returns their samples by name. A contestant that fails is
// left out from then on, with the reason in the results.
func (w *work) measure(b testing.TB, rounds int, log *results) map[string][]sample {
	b.Helper()
	samples := map[string][]sample{}
	for round := range rounds * max(w.times, 1) {
		these := map[string]sample{}
		for i := range w.contestants {
			c := &w.contestants[i]
			if c.missing != "" || c.run == nil {
				continue
			}
			o, err := c.run(b)
			if err != nil {
				c.missing = "failed"
			} else {
				these[c.name] = o.sample
			}
			log.add(w.name, c.name, round+1, o, err)
			if err != nil && (c.name == ours || c.name == plain) {
				b.Errorf("%s, %s: %v", w.name, c.name, err)
			}
		}
		if w.derive != nil {
			w.derive(these)
		}
		for name, s := range these {
			samples[name] = append(samples[name], s)
		}
	}
	return samples
}

// median is the middle of some numbers, the mean of both middle ones of an even count.
func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	if n == 0 {
		return 0
	}
	return (list[(n-1)/2] + list[n/2]) / 2
}

// medians takes the median of each quantity.
func medians(samples map[string][]sample) map[string]sample {
	all := map[string]sample{}
	for name, list := range samples {
		values := map[quantity][]float64{}
		for _, s := range list {
			for q, v := range s {
				values[q] = append(values[q], v)
			}
		}
		all[name] = sample{}
		for q, v := range values {
			all[name][q] = median(v)
		}
	}
	return all
}

// row is a work with what was measured of it.
type row struct {
	work
	samples map[string][]sample
	failed  string // why nothing was measured
}

// verdict is of all figures that could be judged: those against a contestant that is not there are not.
func (r row) verdict(figures []judged) string {
	if r.failed != "" || len(r.samples[ours]) == 0 {
		return "**not measured** " + r.failed
	}
	text := "no figure"
	for _, j := range figures {
		switch {
		case j.absent != "":
		case !j.holds:
			return "**falls short**"
		default:
			text = "holds"
		}
	}
	return text
}

// printTable prints the table, as it can stand in a document.
func printTable(to io.Writer, rows []row, scale float64, rounds int) {
	fmt.Fprintf(to, "\nMedians of %d rounds in turn, scale %g; wall s, CPU s (client + servers), client MiB. Ratios: CPU to the yardstick, wall to the others.\n\n", rounds, scale)
	fmt.Fprintln(to, "| work | whimbrel | yardstick | others | figures | verdict |\n|---|---|---|---|---|---|")
	for _, r := range rows {
		all, absent := medians(r.samples), map[string]string{}
		var others []string
		for _, c := range r.contestants {
			absent[c.name] = c.missing
			if c.name == ours || c.name == plain {
				continue
			}
			others = append(others, c.name+": "+show(all[c.name], c.missing))
		}
		var figures []judged
		var texts []string
		for _, f := range r.figures {
			j := f.judge(all, absent)
			figures, texts = append(figures, j), append(texts, j.String())
		}
		fmt.Fprintf(to, "| %s | %s | %s | %s | %s | %s |\n", cmpOr(r.title, r.name), show(all[ours], absent[ours]), show(all[plain], absent[plain]),
			strings.Join(others, "; "), strings.Join(texts, "; "), r.verdict(figures))
	}
	fmt.Fprintln(to, "\n(scaled): not run here; measured elsewhere beside the same yardstick, whose wall time of each round is multiplied accordingly.")
}

// show writes a contestant's cell.
func show(s sample, missing string) string {
	if missing != "" {
		return missing
	}
	if len(s) == 0 {
		return "–"
	}
	var parts []string
	if v, ok := s[wall]; ok {
		parts = append(parts, fmt.Sprintf("%.2f", v))
	}
	if v, ok := s[cpu]; ok {
		parts = append(parts, fmt.Sprintf("%.2f (%.2f + %.2f)", v, s[client], s[serving]))
	}
	if v, ok := s[resident]; ok && v > 0 {
		parts = append(parts, fmt.Sprintf("%.0f", v))
	}
	for _, q := range slices.Sorted(maps.Keys(s)) {
		if !slices.Contains([]quantity{wall, cpu, client, serving, resident, foreign}, q) {
			parts = append(parts, fmt.Sprintf("%s %.4g", q, s[q]))
		}
	}
	return strings.Join(parts, ", ")
}

// results are the lines of all runs, for comparing runs of the benchmark with each other.
type results struct {
	to, progress io.Writer
	run, scale   string
}

func newResults(to, progress io.Writer, scale string) *results {
	return &results{to: to, progress: progress, run: time.Now().UTC().Format(time.RFC3339), scale: scale}
}

// add writes one run of one contestant as a line of JSON, and a line for who watches.
func (r *results) add(work, contestant string, round int, o outcome, err error) {
	line := map[string]any{"run": r.run, "scale": r.scale, "work": work, "contestant": contestant, "round": round}
	for q, v := range o.sample {
		line[string(q)] = v
	}
	if o.note != "" {
		line["note"] = o.note
	}
	if err != nil {
		line["error"] = err.Error()
	}
	text, broken := json.Marshal(line)
	if broken == nil {
		_, broken = r.to.Write(append(text, '\n'))
	}
	if broken != nil {
		fmt.Fprintln(r.progress, "write results:", broken)
	}
	if err != nil {
		fmt.Fprintf(r.progress, "%s %s, round %d, failed: %v\n", work, contestant, round, err)
		return
	}
	fmt.Fprintf(r.progress, "%s %s, round %d: %s\n", work, contestant, round, show(o.sample, ""))
}
