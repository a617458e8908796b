package simulation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// result is what one schedule came to.
type result struct {
	words  []uint32
	failed *failure
	counts counts
	trace  string
	hash   string
}

// enough bounds a schedule: lives of ours that end with an error, and decisions.
const (
	enoughLives = 25
	enoughSteps = 6000
)

// run plays one schedule from its begin to its end.
func run(t *testing.T, s *script, f flaws, dir string) (r result) {
	t.Helper()
	dir, err := os.MkdirTemp(dir, "schedule")
	must(err)
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(s, f, dir)
		w.play()
		w.close()
		r = result{words: s.words, failed: w.failed, counts: w.counts, trace: w.trace.String(), hash: fmt.Sprintf("%x", w.hash())}
	})
	return r
}

// tick passes with each decision, so that timers which were set at different decisions do not fire at the same instant: then
// nothing would say whose goroutine is first.
const tick = time.Microsecond

// play decides until the move has ended.
func (w *world) play() {
	for w.failed == nil && !w.finished && w.refused == "" {
		time.Sleep(tick)
		w.settle()
		w.look()
		if w.failed != nil || w.finished || w.refused != "" {
			break
		}
		if w.mu.Lock(); w.steps == enoughSteps {
			w.fail(stuck, "%d decisions brought no end", w.steps)
		}
		w.steps++
		w.mu.Unlock()
		w.decide(w.script.next())
	}
	w.counts.decisions = w.steps
	if w.failed == nil {
		w.judge()
	}
}

// close ends whatever still runs, so that no goroutine is left.
func (w *world) close() {
	for _, p := range w.processes {
		if p.fate != Dead && !p.ended {
			w.kill(p, &decision{})
		}
	}
	synctest.Wait()
}

// alive is the process that moves on, nil for none.
func (w *world) alive() *process {
	for _, p := range w.processes {
		if p.fate == Alive && !p.ended {
			return p
		}
	}
	return nil
}

// decide takes one decision.
func (w *world) decide(d *decision) {
	if s := w.due; s != nil && !w.opening() && w.quiet(s) {
		w.due = nil
		w.setBack(s)
	}
	calls := w.waiting()
	p := w.alive()
	if p == nil && !d.once(8) {
		w.restart()
		return
	}
	if d.word == 0 {
		w.plainly(calls)
		return
	}
	w.idle = 0
	switch kind := d.of(100); {
	case kind < 60:
		if len(calls) == 0 {
			w.plainly(nil)
			return
		}
		w.goOn(calls[d.of(len(calls))], d)
	case kind < 60+3*w.habits.busy:
		if w.opened {
			w.plainly(calls)
			return
		}
		w.work(d)
	default:
		w.strike(d, p)
	}
}

// plainly does what is next when nothing is wrong.
func (w *world) plainly(calls []*parked) {
	calls = slices.DeleteFunc(calls, func(k *parked) bool { return k.p.fate != Alive })
	p := w.alive()
	switch {
	case len(calls) > 0:
		if w.mu.Lock(); p != nil && p.asks != "" && w.steps > p.asked+w.habits.patient {
			w.mu.Unlock()
			w.answer(p)
			return
		}
		w.mu.Unlock()
		w.goOn(calls[0], &decision{})
		return
	case len(w.target.Late()) > 0:
		w.arrive(w.target, 0, true)
	case len(w.source.Late()) > 0:
		w.arrive(w.source, 0, true)
	case len(w.ghosts) > 0:
		w.bury(w.ghosts[0])
	case p != nil && p.asks != "":
		w.answer(p)
	case len(w.app.open) > 0 && w.idle > 0:
		w.end(0, false)
	default:
		w.idle++
		w.sleep(min(10*time.Millisecond<<min(w.idle, 12), 10*time.Second))
		return
	}
	w.idle = 0
}

// restart is the operator giving the same command again.
func (w *world) restart() {
	dir := ""
	if n := len(w.processes); n > 0 {
		dir = w.processes[n-1].dir
		if w.processes[n-1].fate == Zombie {
			dir = w.folder(dir)
		}
	} else {
		dir = w.folder("")
	}
	w.say("process %d begins", len(w.processes)+1)
	w.begin(dir)
}

func (w *world) arrive(s *memory.Server, i int, comes bool) {
	l := s.Late()[i]
	if comes {
		s.Arrive(i)
		w.say("late: %s %s is done", l.Op, l.About)
		return
	}
	s.Drop(i)
	w.say("late: %s %s is dropped", l.Op, l.About)
}

// answer is the operator saying yes, and giving up where that is refused.
func (w *world) answer(p *process) {
	w.mu.Lock()
	step, m := p.asks, p.move
	w.mu.Unlock()
	w.say("process %d: %s is answered", p.number, step)
	if err := m.Answer(p.ctx, step, procedure.Yes); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if p.asks == step {
			w.refused = fmt.Sprintf("%s: %v", step, err)
		}
	}
}

// strike does what seldom happens: one of the kinds that this schedule has left, and that can happen now.
func (w *world) strike(d *decision, p *process) {
	h := &w.habits
	var kinds []func(*decision, *process)
	may := func(can bool, weight int, kind func(*decision, *process)) {
		for range weight {
			if can {
				kinds = append(kinds, kind)
			}
		}
	}
	may(p != nil && p.asks != "", 4, func(_ *decision, p *process) { w.answer(p) })
	may(true, 3, func(d *decision, _ *process) { w.wait(d) })
	may(len(w.source.Late()) > 0, 4, func(d *decision, _ *process) { w.arrive(w.source, d.of(len(w.source.Late())), !d.once(3)) })
	may(len(w.target.Late()) > 0, 4, func(d *decision, _ *process) { w.arrive(w.target, d.of(len(w.target.Late())), !d.once(3)) })
	may(len(w.ghosts) > 0, 1, func(d *decision, _ *process) { w.bury(w.ghosts[d.of(len(w.ghosts))]) })
	may(true, 1, func(d *decision, _ *process) { w.flush(d) })
	may(h.kills > 0 && p != nil, 1, func(d *decision, p *process) { w.killed(d, p) })
	may(h.zombies > 0 && p != nil, 1, func(_ *decision, p *process) { w.held(p) })
	may(h.crashes > 0, 1, func(d *decision, _ *process) { w.crash(w.server(d)) })
	may(h.travel > 0 && !w.opening(), 2, func(d *decision, _ *process) { w.travel(d, []*memory.Server{w.source, w.source, w.target}[d.of(3)]) })
	may(h.mutes > 0 && !w.opened, 1, func(d *decision, _ *process) { w.mute(d) })
	kinds[d.of(len(kinds))](d, p)
}

func (w *world) server(d *decision) *memory.Server {
	return []*memory.Server{w.source, w.target}[d.of(2)]
}

func (w *world) name(s *memory.Server) string {
	if s == w.source {
		return "source"
	}
	return "target"
}

// wait lets a while pass, seldom hours.
func (w *world) wait(d *decision) {
	w.sleep([]time.Duration{time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second, 30 * time.Second}[d.of(5)])
	if d.once(20) {
		w.fault("clock jump")
		w.sleep(5 * time.Hour)
	}
}

// flush is what a server does from time to time by itself.
func (w *world) flush(d *decision) {
	s := w.server(d)
	s.Flush()
	w.say("%s: all is durable", w.name(s))
}

// killed ends our process.
func (w *world) killed(d *decision, p *process) {
	w.habits.kills--
	w.fault("kill")
	w.say("process %d is killed", p.number)
	w.kill(p, d)
}

// held holds our process up: another one begins in its place, on a copy of its state.
func (w *world) held(p *process) {
	w.habits.zombies--
	w.fault("zombie")
	w.say("process %d is held up", p.number)
	w.mu.Lock()
	defer w.mu.Unlock()
	p.fate = Zombie
}

// judge looks at how the move ended.
func (w *world) judge() {
	switch {
	case w.finished:
		w.counts.equal++
	case w.restored, w.excused(w.refused):
		w.counts.refused++ // a server that was set back may be refused at any place that notices it
	default:
		w.fail(refusal, "%s", w.refused)
	}
}

// excused reports that what the move refuses did happen: two processes went on with states of their own, or somebody altered a
// table behind the gate.
func (w *world) excused(said string) bool {
	for _, e := range []struct{ fault, says string }{
		{"zombie", move.ErrOtherState.Error()},
		{"zombie", "tables of these names already"},
		{"muted triggers", "was altered at the source after it was shut"},
	} {
		if w.counts.faults[e.fault] > 0 && strings.Contains(said, e.says) {
			return true
		}
	}
	return false
}
