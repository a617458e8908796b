package simulation

import (
	"fmt"
	"maps"
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// look is the oracle, which sees both servers as they are between two decisions.
func (w *world) look() {
	w.mu.Lock()
	var done []string
	for _, p := range w.processes {
		if p.fate != Dead {
			done = append(done, p.done...)
		}
		// A zombie with all proven opens the target as well as its successor would: then the move is over.
		w.overtaken = w.overtaken || p.fate == Zombie && slices.Contains(p.done, "open-target")
		p.done = nil
	}
	for _, k := range w.parked {
		if k.Op == "Applier.Apply" || k.Op == "Receipt.Durable" {
			w.arm(k.About)
		}
	}
	w.mu.Unlock()
	for _, t := range w.tables {
		if t.armed && !t.excused && !w.opened {
			w.noted(t)
		}
	}
	for _, step := range done {
		switch step {
		case "drain":
			w.equal(step, move.Uptime)
		case "open-target":
			if w.opened = true; w.travelled {
				w.fail(loss, "a server was set back by more than a batch, and nobody noticed before the target was opened")
			}
			w.equal(step, move.Uptime, move.Downtime)
		}
	}
	if w.finished = w.overtaken; !w.finished {
		w.ends()
	}
}

// arm begins to watch the table of a lane: it is being replayed, so it has been loaded.
func (w *world) arm(about string) {
	for _, t := range w.tables {
		t.armed = t.armed || about == fmt.Sprintf("%d/0", t.def.Number)
	}
}

// noted holds that each difference is noted somewhere: a row that differs has an entry in the record, or stands on the repair
// list. Whatever else happens later, that row is read again.
func (w *world) noted(t *table) {
	a, b := w.source.Committed(t.def.Name, 0), w.target.Committed(t.def.Name, 0)
	if maps.Equal(a, b) {
		return
	}
	entries, emptied := w.source.Recorded(t.def.Name)
	if emptied {
		return
	}
	repairs := w.target.Listed(driver.Repairs, t.def)
	for _, key := range differing(a, b) {
		if !entries[key] && !repairs[key] {
			w.fail(loss, "%s: the source has %q, the target has %q, and no entry and no repair is noted for %q", t.def.Name.Name, a[key], b[key], key)
			return
		}
	}
}

func differing(a, b map[string]string) []string {
	var keys []string
	for key := range a {
		if a[key] != b[key] {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// equal holds that tables of these classes are the same on both sides.
func (w *world) equal(step string, classes ...move.Class) {
	for _, t := range w.tables {
		if !slices.Contains(classes, t.class) || step == "drain" && w.restored {
			continue
		}
		a, b := w.source.Committed(t.def.Name, 0), w.target.Committed(t.def.Name, 0)
		if keys := differing(a, b); len(keys) > 0 {
			w.fail(loss, "%s after %s: the source has %q, the target has %q", t.def.Name.Name, step, a[keys[0]], b[keys[0]])
		}
	}
}

// ends looks at the processes that have ended, and at the sum of them.
func (w *world) ends() {
	w.mu.Lock()
	defer w.mu.Unlock()
	failures := 0
	for _, p := range w.processes {
		if !p.ended || p.fate != Alive {
			continue
		}
		if p.outcome == procedure.Finished && p.err == nil {
			w.finished = true
			w.leftovers()
			return
		}
		if failures++; w.excused(fmt.Sprint(p.err)) {
			w.refused = fmt.Sprintf("process %d: %v", p.number, p.err) // it will not change its mind
			return
		}
		if last := w.processes[len(w.processes)-1]; last == p && failures >= enoughLives {
			w.refused = fmt.Sprintf("process %d, after %d attempts: %v", p.number, failures, p.err)
		}
	}
}

// leftovers holds that nothing of ours is left on either side when a move has finished.
func (w *world) leftovers() {
	if left := append(w.source.Left(), w.target.Left()...); len(left) > 0 && !w.restored {
		w.fail(remains, "%q", left)
	}
}
