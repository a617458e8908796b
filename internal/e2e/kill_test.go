package e2e

import (
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	procedures "github.com/whimbrel/whimbrel/internal/move"
)

// killPair is a pair of products for a kill test.
type killPair struct{ source, target string }

func (pair killPair) String() string { return short(pair.source) + "/" + short(pair.target) }

// killPairs are MariaDB to PostgreSQL, always, and n others by the seed.
func killPairs(t *testing.T, n int) []killPair {
	first := killPair{"mariadb", "postgres"}
	var others []killPair
	for _, source := range products() {
		for _, target := range products() {
			if p := (killPair{source, target}); p != first {
				others = append(others, p)
			}
		}
	}
	rng := rand.New(rand.NewPCG(seed(t), 3))
	rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return append([]killPair{first}, others[:n]...)
}

// points are all failpoints of a move without a release: both edges of every step, and those between.
func points() []string {
	var list []string
	for _, s := range procedures.DowntimeOptimized().Steps() {
		list = append(list, string(failpoint.Begin)+":"+s.Name, string(failpoint.Done)+":"+s.Name)
	}
	return append(list, failpoint.OfEveryMove()...)
}

// TestKillSteps kills the program at every failpoint of a whole move, twice at each: every process of it dies at the first
// point it comes to that has not been died at twice, and the same command is given again. In the end the move is as if
// nothing had happened.
func TestKillSteps(t *testing.T) {
	for _, pair := range killPairs(t, 2) {
		t.Run(pair.String(), func(t *testing.T) {
			all := slices.DeleteFunc(points(), func(p string) bool {
				return pair.target == "sqlite" && p == "constraint.add.after" // they stand in its tables from the beginning
			})
			died := pair.killAt(t, all)
			// Steps that run together can end between two deaths of others: what was passed by is died at in a move of its own.
			missed := slices.DeleteFunc(all, func(p string) bool { return died[p] > 0 })
			if len(missed) == 0 {
				return
			}
			again := pair.killAt(t, missed)
			for _, p := range missed {
				if again[p] == 0 {
					t.Errorf("no process came to %s", p)
				}
			}
		})
	}
}

// killAt makes one whole move whose processes die twice at each of these points, and returns how often they did.
func (pair killPair) killAt(t *testing.T, points []string) map[string]int {
	t.Helper()
	l := newLive(t, pair.source, pair.target, shop.Options{Seed: seed(t), Accounts: 150, Sessions: 3, Pause: 10 * time.Millisecond})
	m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: levels})
	l.open()
	died, deaths := map[string]int{}, 0
	for m.life(points, died) {
		deaths++
	}
	l.refused()
	l.equal()
	l.checkKilled(m)
	t.Logf("killed %d times at %d points in %s", deaths, len(died), time.Since(l.began).Round(time.Millisecond))
	return died
}

// life runs the program once, to die at the first of these points that has not been died at twice. It returns false when
// the move has ended.
func (m *move) life(points []string, died map[string]int) bool {
	m.t.Helper()
	left := slices.DeleteFunc(slices.Clone(points), func(p string) bool { return died[p] >= 2 })
	e := m.finish(m.start(strings.Join(left, ","), "run", "--yes"))
	switch {
	case e.killed && e.point != "":
		died[e.point]++
		return true
	case e.code == 0:
		return false
	}
	m.t.Fatalf("a process ended with %d after deaths at %v:\n%s\n%s", e.code, died, tail(e.out), tail(e.said))
	return false
}

// checkKilled holds the end of a move whose processes were killed against what must be true of it.
func (l *live) checkKilled(m *move) {
	l.t.Helper()
	r := m.report()
	for _, x := range r.Tables {
		if x.Verdict != "equal" {
			l.t.Errorf("%s is %q", x.Name, x.Verdict)
		}
	}
	if m.largest > mebibytes<<20 {
		l.t.Errorf("a process had %d MiB resident", m.largest>>20)
	}
	l.leftovers()
	l.goOn()
}

// moment is a stretch of a move in which a random kill is to fall.
type moment struct {
	name string
	in   func(status) bool
	run  []string // the command that leads there, and no further than it must
}

var moments = []moment{
	{"load", func(s status) bool { return s.on("load-uptime") == "under way" }, []string{"run"}},
	{"replay", func(s status) bool { return s.on("replay") == "under way" || s.on("replay") == "settled" }, []string{"run"}},
	{"drain", func(s status) bool { return s.on("drain") == "under way" || s.on("load-rest") == "under way" }, []string{"run", "--yes"}},
}

// TestKillRandom kills the program at random moments of the load, the replay and the drain, several times each.
func TestKillRandom(t *testing.T) {
	for i, pair := range killPairs(t, 2) {
		t.Run(pair.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed(t), uint64(i)))
			l := newLive(t, pair.source, pair.target, shop.Options{Seed: seed(t), Accounts: 1000, Sessions: 3, Pause: 5 * time.Millisecond})
			m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: levels})
			l.open()
			m.until("accept-findings")
			m.must(0, "answer", "accept-findings", "yes")
			kills, all := map[string]int{}, 0
			for _, when := range moments {
				for range 3 {
					if m.killIn(when, rng) {
						kills[when.name]++
						all++
					}
				}
			}
			if all < 3 {
				t.Errorf("only %d kills fell into a moment: %v", all, kills)
			}
			m.must(0, "run", "--yes")
			l.refused()
			l.equal()
			l.checkKilled(m)
			t.Logf("killed at random moments %v in %s", kills, time.Since(l.began).Round(time.Millisecond))
		})
	}
}

// killIn runs the program, waits until its status shows the moment, and kills it a little later. It returns false when the
// process came to its end, or to a question, before: the moment was too short to be seen.
func (m *move) killIn(when moment, rng *rand.Rand) bool {
	m.t.Helper()
	p := m.start("", when.run...)
	ended := make(chan ending, 1)
	go func() { ended <- m.finish(p) }()
	for limit := time.After(2 * time.Minute); ; {
		select {
		case e := <-ended:
			if e.code != 0 && e.code != 3 {
				m.t.Fatalf("a process ended with %d:\n%s\n%s", e.code, tail(e.out), tail(e.said))
			}
			return false
		case <-limit:
			m.t.Fatalf("the move never came to %s", when.name)
		case <-time.After(5 * time.Millisecond):
		}
		if p.said.String() == "" { // it has not begun: status would take the move's lock before it
			continue
		}
		if s, ok := m.status(); !ok || !when.in(s) {
			continue
		}
		<-time.After(time.Duration(rng.IntN(80)) * time.Millisecond)
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		return (<-ended).killed
	}
}
