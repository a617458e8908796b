package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// BenchmarkCompare measures nothing: it prints what the runs of BenchmarkTable that are in the file of results came to, so that a
// ratio of one run can be seen beside the same ratio of others.
func BenchmarkCompare(b *testing.B) {
	f, err := os.Open(resultsFile())
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := compare(os.Stdout, f); err != nil {
		b.Fatal(err)
	}
}

// line is what results.add writes, as far as it is compared.
type line struct {
	Run, Scale, Work, Contestant, Error string
	Wall                                float64 `json:"wall_s"`
	CPU                                 float64 `json:"cpu_s"`
	Added                               float64 `json:"added ms each"`
	Resident                            float64 `json:"rss_mib"`
}

// compare prints a line for each work and run, the works in the order they were first measured.
func compare(to io.Writer, from io.Reader) error {
	samples := map[string]map[string][]sample{}
	var heads []string
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("read results: %w", err)
		}
		head := fmt.Sprintf("%s | %s | %s", l.Work, l.Scale, l.Run)
		if samples[head] == nil {
			samples[head], heads = map[string][]sample{}, append(heads, head)
		}
		if l.Error == "" && l.Wall > 0 {
			samples[head][l.Contestant] = append(samples[head][l.Contestant], sample{wall: l.Wall, cpu: l.CPU, resident: l.Resident})
		}
	}
	slices.SortStableFunc(heads, func(a, b string) int {
		work := func(head string) int {
			name, _, _ := strings.Cut(head, " | ")
			return slices.IndexFunc(heads, func(h string) bool { return strings.HasPrefix(h, name+" | ") })
		}
		return work(a) - work(b)
	})
	fmt.Fprintln(to, "| work | scale | run | rounds | wall s | CPU s | MiB | CPU of the yardstick's | times as fast by wall |\n|---|---|---|---|---|---|---|---|---|")
	for _, head := range heads {
		compareOne(to, head, samples[head])
	}
	return lines.Err()
}

func compareOne(to io.Writer, head string, samples map[string][]sample) {
	all := medians(samples)
	mine, ok := all[ours]
	if !ok {
		return
	}
	share := "–"
	if k, ok := all[plain]; ok {
		share = fmt.Sprintf("%.2f", mine[cpu]/k[cpu])
	}
	var times []string
	for name, k := range all {
		if name != ours && name != plain {
			times = append(times, fmt.Sprintf("%s %.2f", name, k[wall]/mine[wall]))
		}
	}
	slices.Sort(times)
	fmt.Fprintf(to, "| %s | %d | %.2f | %.2f | %.0f | %s | %s |\n", head, len(samples[ours]), mine[wall], mine[cpu], mine[resident], share, strings.Join(times, ", "))
}
