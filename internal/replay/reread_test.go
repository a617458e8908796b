package replay_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/replay"
)

// While a batch is applied or keys are read again an answer is lost. What both sides remember is asked before the next batch, and not
// guessed: a batch that is promised by a guess is refused, or, where a source promises anything, drifts away from what the target has.
func TestBothSidesAreAskedAfterALostForget(t *testing.T) {
	step := func(ctx context.Context, l *replay.Lane) error {
		_, err := l.Step(ctx)
		return err
	}
	for name, work := range map[string]func(context.Context, *replay.Lane) error{"step": step, "reread": func(ctx context.Context, l *replay.Lane) error { return l.Reread(ctx) }} {
		for _, lost := range []string{"after Receipt.Durable", "before Applier.Apply", "after Applier.Apply", "before Receipt.Forget", "after Receipt.Forget"} {
			t.Run(name+" "+lost, func(t *testing.T) {
				h, p := quiet(t)
				write := func(from int) {
					x := h.source.Begin()
					for i := range 5 {
						must(x.Insert(h.table.Name, []byte(strconv.Itoa(from+i)), nil, []byte("note")))
					}
					must(x.Commit())
				}
				var asked []string
				failed := false
				var one sync.Mutex // rows are read ahead
				hook := func(op string) error {
					one.Lock()
					defer one.Unlock()
					if strings.HasPrefix(op, "before ") {
						asked = append(asked, strings.TrimPrefix(op, "before "))
					}
					if op == lost && !failed {
						failed = true
						return memory.ErrCut
					}
					return nil
				}
				lane := replay.NewLane(p.from, p.to, p.epoch)
				write(0)
				must(step(t.Context(), lane))
				if name == "step" {
					write(5)
				}
				h.source.Fault, h.target.Fault = hook, hook
				if err := work(t.Context(), lane); err == nil || !failed {
					t.Fatalf("all went well though an answer was lost: %v", err)
				}
				write(10)
				asked = nil
				if err := step(t.Context(), lane); err != nil {
					t.Errorf("the next batch: %v", err)
				}
				if n := slices.Index(asked, "Recorder.Take"); n < 0 || !slices.Contains(asked[:n], "Ledger.Number") || !slices.Contains(asked[:n], "Recorder.Numbers") {
					t.Errorf("the next batch was taken without asking: %q", asked)
				}
				h.source.Fault, h.target.Fault = nil, nil
				if damage := h.damage(t.Context()); damage != "" {
					t.Error(damage)
				}
			})
		}
	}
}
