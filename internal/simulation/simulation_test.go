package simulation

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	schedules = flag.Int("schedules", 200, "how many schedules TestSchedules plays")
	first     = flag.Uint64("seed", 1, "the seed of the first of them")
	tell      = flag.Bool("tell", false, "print the trace of each schedule")
	prefers   = flag.String("trouble", "", "the kind of trouble that schedules are full of: "+string(crashing)+", "+string(setBack)+", …; empty for all kinds")
	folder    = flag.String("keep", "testdata", "where a schedule that failed is written to")
)

// shelf is where states of processes are kept meanwhile: in memory, where the system has such a place.
func shelf(t testing.TB) string {
	if dir, err := os.MkdirTemp("/dev/shm", "whimbrel-simulation"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// TestSchedules plays schedules, one after the other on each processor. One that fails is shrunk and written to a file.
func TestSchedules(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // a schedule leaves little behind
	dir, began := shelf(t), time.Now()
	var next atomic.Uint64
	var mu sync.Mutex
	var all counts
	failures, full := 0, flaws{trouble: trouble(*prefers)}
	t.Run("all", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= uint64(*schedules); n = next.Add(1) {
					seed := *first + n - 1
					r := run(t, drawn(seed), full, dir)
					mu.Lock()
					if all.add(r.counts); all.schedules%10_000 == 0 {
						t.Logf("so far %s in %.0f s, %d failed", all, time.Since(began).Seconds(), failures)
					}
					if *tell {
						t.Logf("seed %d\n%s", seed, r.trace)
					}
					if r.failed != nil {
						failures++
						if failures > 5 {
							t.Errorf("seed %d: %s", seed, r.failed)
						} else {
							t.Error(keep(t, seed, r, full, "", dir, *folder))
						}
					}
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("played %s in %.0f s, %d failed", all, time.Since(began).Seconds(), failures)
}

// String says what was played, in a line.
func (c counts) String() string {
	var kinds []string
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(c.faults)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", c.faults[kind], kind))
		total += c.faults[kind]
	}
	return fmt.Sprintf("%d schedules from seed %d: %d decisions, %d processes, %d transactions; %d faults (%s); %d ended equal, %d refused with a reason that held",
		c.schedules, *first, c.decisions, c.lives, c.transactions, total, strings.Join(kinds, ", "), c.equal, c.refused)
}

// TestRegressions plays the files of schedules that failed once.
func TestRegressions(t *testing.T) {
	dir := shelf(t)
	files, err := filepath.Glob("testdata/*.schedule")
	if err != nil || len(files) == 0 {
		t.Fatalf("no schedules are kept: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			k, err := read(file)
			if err != nil {
				t.Fatal(err)
			}
			r := run(t, played(k.Words), flaws{trouble: trouble(k.Trouble)}, dir)
			if *tell {
				t.Log(r.trace)
			}
			if r.failed != nil {
				t.Error(r.failed)
			}
		})
	}
}
