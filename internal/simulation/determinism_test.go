package simulation

import (
	"runtime"
	"strings"
	"testing"
)

var alike = 40 // seeds whose schedules are played several times

// TestTheSameSeedIsTheSameSchedule plays schedules again, on one processor and on four: not a byte of the trace may differ.
func TestTheSameSeedIsTheSameSchedule(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	dir := shelf(t)
	for seed := *first; seed < *first+uint64(alike); seed++ {
		var was result
		for i, processors := range []int{4, 1, 4} {
			runtime.GOMAXPROCS(processors)
			is := run(t, drawn(seed), flaws{}, dir)
			if i > 0 && is.hash != was.hash {
				t.Errorf("seed %d: %s", seed, apart(was.trace, is.trace))
				break
			}
			was = is
		}
	}
}

// apart shows where two traces part.
func apart(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return "\n  " + strings.Join(x[max(i-16, 0):i], "\n  ") + "\n- " + x[i] + "\n+ " + y[i]
		}
	}
	return "one trace is the other's beginning"
}
