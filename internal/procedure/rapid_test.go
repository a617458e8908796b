package procedure

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWhateverHappensAStoryCanBeEnded drives a story by random calls, failures and deaths, with a new engine, as after a
// restart, before each call. Afterwards it must come to its end, or back to nothing, whatever was.
func TestWhateverHappensAStoryCanBeEnded(t *testing.T) {
	steps := long().Steps()
	rapid.Check(t, func(t *rapid.T) {
		w, j := newWorld(), newTape()
		name := rapid.SampledFrom([]string{"long", "short"}).Draw(t, "procedure")
		step := rapid.Custom(func(t *rapid.T) string { return rapid.SampledFrom(steps).Draw(t, "step").Name })
		questions := rapid.SampledFrom([]Questions{Stop, GoOn})
		t.Repeat(map[string]func(*rapid.T){
			"run": func(t *rapid.T) {
				outcome, err := w.engine(t, j).Run(context.Background(), name, questions.Draw(t, "questions"))
				if (err == nil) != (outcome == Finished || outcome == Waiting) {
					t.Fatalf("%v with error %v", outcome, err)
				}
			},
			"repeat": func(t *rapid.T) {
				_, _ = w.engine(t, j).Repeat(context.Background(), step.Draw(t, "step"), questions.Draw(t, "questions"))
			},
			"answer": func(t *rapid.T) {
				e := w.engine(t, j)
				q, ok := e.Position().Question()
				err := e.Answer(context.Background(), q.Step.Name, rapid.SampledFrom([]string{Yes, "long", "short"}).Draw(t, "answer"))
				if !ok && err == nil {
					t.Fatal("an answer without a question")
				}
			},
			"reset": func(t *rapid.T) {
				e := w.engine(t, j)
				final := e.Position().Final()
				if err := e.Reset(context.Background()); final != errors.Is(err, ErrNoReturn) {
					t.Fatalf("reset: %v, with the point of no return passed: %v", err, final)
				}
			},
			"fail": func(t *rapid.T) { w.fails[step.Draw(t, "step")] = rapid.IntRange(1, 3).Draw(t, "times") },
			"die": func(t *rapid.T) {
				j.dies, j.keeps = rapid.IntRange(0, 30).Draw(t, "after"), rapid.Bool().Draw(t, "keeps")
			},
			"live":  func(*rapid.T) { j.dies = -1 },
			"again": func(*rapid.T) { j.dies = max(j.dies, 5) },
			"": func(t *rapid.T) {
				if w.wrong != nil {
					t.Fatalf("%v\n%s", w.wrong, j.events())
				}
				for _, running := range w.within {
					if running != 0 {
						t.Fatal("something runs when nothing should")
					}
				}
			},
		})
		end(t, w, j, name)
	})
}

// end brings a story to its end, by way of nothing where that is still possible.
func end(t *rapid.T, w *world, j *tape, name string) {
	j.dies = -1
	clear(w.fails)
	if e := w.engine(t, j); !e.Position().Final() && rapid.Bool().Draw(t, "reset at last") {
		if err := e.Reset(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.stands(t, Story{Name: "nothing"})
	}
	e := w.engine(t, j)
	if e.Position().State == Reverting {
		if err := e.Reset(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if outcome, err := e.Run(context.Background(), name, GoOn); outcome != Finished || err != nil {
		t.Fatalf("%v %v\n%s", outcome, err, j.events())
	}
	s, _ := find(both, e.Position().Procedure)
	w.stands(t, s)
	if !slices.ContainsFunc(j.entries, func(e Entry) bool { return e.Event == Ended }) {
		t.Fatal("no end in the journal")
	}
}
