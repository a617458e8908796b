package procedure

import (
	"context"
	"fmt"
	"testing"
)

// early is a journal that breaks the rule of journals: it says that a step is done when the step begins.
type early struct{ *tape }

func (j early) Append(ctx context.Context, e Entry) (Entry, error) {
	if e.Event == Done {
		return e, nil // it stands there already
	}
	dies := j.dies == 0
	kept, err := j.tape.Append(ctx, e)
	j.mu.Lock()
	defer j.mu.Unlock()
	if there := err == nil || dies && len(j.entries) > 0 && j.entries[len(j.entries)-1].Event == e.Event; there && e.Event == Started {
		j.keep(Entry{Step: e.Step, Event: Done})
	}
	return kept, err
}

// damage is what stands finds.
type damage struct{ found string }

func (d *damage) Fatalf(format string, a ...any) {
	if d.found == "" {
		d.found = fmt.Sprintf(format, a...)
	}
}

// A step that counts as done before it has done anything is lost when the process dies in it: without the order of effect and
// entry no kill would be survived.
func TestAStepThatIsNotedFirstIsLost(t *testing.T) {
	var seen damage
	for n := 0; n < 200 && seen.found == ""; n++ {
		w, j := newWorld(), early{newTape()}
		j.dies, j.keeps = n, true
		if _, err := w.engine(t, j).Run(t.Context(), "short", GoOn); err == nil {
			break
		}
		j.dies = -1
		if outcome, err := w.engine(t, j).Run(t.Context(), "short", GoOn); outcome != Finished || err != nil {
			continue // it may not even come to its end
		}
		w.stands(&seen, short())
	}
	if seen.found == "" {
		t.Fatal("no kill lost a step")
	}
	t.Log(seen.found)
}
