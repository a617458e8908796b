package simulation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
)

// parked is a call of ours that waits for its turn.
type parked struct {
	memory.Call
	server *memory.Server
	p      *process
	ctx    context.Context
	since  int // the decision before which it came
	goes   chan error
}

// alone are the calls that do not wait, because the program holds a mutex meanwhile, or because an answer is judged by them, which
// the scheduler gives itself: they happen whole.
var alone = map[string]bool{"Ledger.TakeOver": true, "Ledger.Epoch": true, "Guard.Stands": true}

// afterwards are the calls that a server may come to after their caller has given up.
var afterwards = map[string]bool{
	"Applier.Apply": true, "Applier.Part": true, "Load.Commit": true, "Receipt.Forget": true, "Lists.Strike": true,
}

// turn is how a server's operations come under the scheduler. The application's own are the scheduler's, and go on at once.
func (w *world) turn(s *memory.Server) func(context.Context, memory.Call) error {
	return func(ctx context.Context, c memory.Call) error {
		p, _ := ctx.Value(processKey{}).(*process)
		if p == nil {
			return nil
		}
		k := &parked{Call: c, server: s, p: p, ctx: ctx, goes: make(chan error)}
		w.mu.Lock()
		switch {
		case p.fate == Dead:
			w.mu.Unlock()
			return errKilled
		case c.Done && !c.Commits, alone[c.Op]:
			w.mu.Unlock()
			return nil
		}
		k.since = w.steps
		w.parked = append(w.parked, k)
		w.mu.Unlock()
		return <-k.goes
	}
}

func (k *parked) where() string {
	if k.server == k.p.w.source {
		return "source"
	}
	return "target"
}

// waiting are the calls that wait, in an order that does not depend on which goroutine was faster.
func (w *world) waiting() []*parked {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.parked, func(a, b *parked) int {
		done := 0
		if a.Done != b.Done {
			if done = 1; a.Done {
				done = -1
			}
		}
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.p.number, b.p.number), cmp.Compare(a.Op, b.Op),
			cmp.Compare(a.About, b.About), cmp.Compare(a.where(), b.where()), done)
	})
	return slices.Clone(w.parked)
}

// let lets a call go on with this error, or none.
func (w *world) let(k *parked, err error) {
	what := "goes on"
	switch {
	case k.ctx.Err() != nil && err != nil:
		what = "is given up" // of several reasons the first counts, and nothing says which that is
	case err != nil:
		what = err.Error()
	}
	stage := ""
	if k.Done {
		stage = ", done"
	}
	w.say("process %d: %s %s %s%s: %s", k.p.number, k.where(), k.Op, k.About, stage, what)
	w.release(k, err)
}

func (w *world) release(k *parked, err error) {
	w.mu.Lock()
	w.parked = slices.DeleteFunc(w.parked, func(other *parked) bool { return other == k })
	w.mu.Unlock()
	k.goes <- err
}

// settle ends the calls whose context ended while they came: whether they came before or after it, nothing says.
func (w *world) settle() {
	for again := true; again; {
		synctest.Wait()
		again = false
		for _, k := range w.waiting() {
			if k.since == w.steps && !k.Done && k.ctx.Err() != nil {
				w.release(k, context.Cause(k.ctx))
				again = true
			}
		}
	}
}

// goOn decides what becomes of a waiting call.
func (w *world) goOn(k *parked, d *decision) {
	if k.ctx.Err() != nil && !k.Done && !d.once(4) {
		w.let(k, context.Cause(k.ctx)) // its caller has given it up before it was done
		return
	}
	if n := map[string]int{"Receipt.Durable": 10, "Cursor.Durable": 10, "Applier.Apply": 5}[k.Op]; n > 0 && !k.Done && w.habits.crashes > 0 && d.once(n) {
		w.crash(w.source) // what was read may never have been
	}
	if afterwards[k.Op] && !k.Done {
		switch {
		case w.habits.late > 0 && d.once(6):
			w.habits.late--
			w.fault("late call")
			w.let(k, memory.ErrLate)
			return
		case w.habits.crashes > 0 && d.once(8):
			w.crash(w.server(d)) // just before it goes on
		}
	}
	harm := w.habits.harm
	if k.Commits {
		harm = (harm + 2) / 3 // there is more to lose
	}
	if harm == 0 || w.habits.harms == 0 || !d.once(harm) {
		w.let(k, nil)
		return
	}
	w.habits.harms--
	switch {
	case k.Done:
		w.fault("lost answer")
		w.let(k, memory.ErrCut)
	case d.of(3) == 0:
		w.fault("busy")
		w.let(k, memory.Fail(driver.Transient, "busy"))
	default:
		w.fault("lost session")
		w.let(k, memory.ErrCut)
	}
}

func (w *world) fault(kind string) { w.counts.faults[kind]++ }

// kill ends a process as kill -9 does. What it has sent may still come to pass; its sessions end when the servers see to it.
func (w *world) kill(p *process, d *decision) {
	w.mu.Lock()
	p.fate = Dead
	kept := p.kept
	w.mu.Unlock()
	p.cancel(errKilled)
	if kept != nil {
		must(kept.Close())
	}
	for _, k := range w.waiting() {
		switch {
		case k.p != p:
		case !k.Done && afterwards[k.Op] && w.habits.late > 0 && d.once(2):
			w.fault("late call")
			w.let(k, memory.ErrLate)
		default:
			w.let(k, errKilled)
		}
	}
	w.ghosts = append(w.ghosts, p)
}

// bury ends the sessions of a process that is gone.
func (w *world) bury(p *process) {
	w.ghosts = slices.DeleteFunc(w.ghosts, func(g *process) bool { return g == p })
	w.say("process %d: its sessions end", p.number)
	for _, db := range p.databases {
		must(db.Close())
	}
}

// crash ends a server's sessions, and takes back what it had not made durable.
func (w *world) crash(s *memory.Server) {
	w.habits.crashes--
	w.fault(w.name(s) + " crash")
	w.say("the %s crashes", w.name(s))
	s.Crash()
	if s == w.source {
		w.app.open = slices.DeleteFunc(w.app.open, func(x *tx) bool { return !x.prepared })
	}
}

// travel copies a server, or sets it back to its copy.
func (w *world) travel(d *decision, s *memory.Server) {
	if w.copies[s] == nil || d.once(3) {
		w.copies[s] = s.Save()
		w.say("the %s is copied", w.name(s))
		return
	}
	if w.habits.travel--; w.habits.quiet && !w.quiet(s) {
		w.due = s
		return
	}
	w.setBack(s)
}

// quiet reports that none of our sessions is open at a server.
func (w *world) quiet(s *memory.Server) bool {
	others := 0
	if s == w.source {
		others = len(w.app.open)
	}
	return s.Sessions() == others
}

// setBack sets a server back to its copy.
func (w *world) setBack(s *memory.Server) {
	w.fault(w.name(s) + " set back")
	w.say("the %s is set back", w.name(s))
	s.Restore(w.copies[s])
	if s == w.source {
		w.app.open = nil
	}
	w.restored, w.travelled = true, w.apart()
	for _, t := range w.tables {
		t.excused = true
	}
}

// apart reports that the servers do not remember the same batches, which has to be noticed. Where both were set back to times that fit each
// other only a process that has kept a number can notice; what counts then is that the rows are equal in the end.
func (w *world) apart() bool {
	source, target := w.source.Numbers(), w.target.Numbers()
	for _, t := range w.tables {
		lane := fmt.Sprintf("%d/0", t.def.Number)
		applied := target[lane]
		switch [2]int64{source[lane+"/promised"], source[lane]} {
		case [2]int64{applied, applied}, [2]int64{applied + 1, applied}, [2]int64{applied, applied - 1}:
		default:
			return true
		}
	}
	return false
}

// opening reports that a process has had its last look at both sides, or may have: who is set back from then on is no concern of the move.
func (w *world) opening() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opened || slices.ContainsFunc(w.processes, func(p *process) bool { return p.opens })
}

// mute turns the triggers of a table off for a moment in which somebody writes.
func (w *world) mute(d *decision) {
	t := w.tables[d.of(len(w.tables))]
	w.habits.mutes--
	w.fault("muted triggers")
	w.say("triggers of %s are off", t.def.Name.Name)
	t.excused = true
	w.source.Mute(t.def.Name)
	for range 1 + d.of(4) {
		w.work(d)
	}
	w.source.Unmute(t.def.Name)
	w.say("triggers of %s are on", t.def.Name.Name)
}

// sleep lets time pass.
func (w *world) sleep(d time.Duration) {
	w.say("%s pass", d)
	time.Sleep(d)
}
