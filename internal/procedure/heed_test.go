package procedure

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestAnAnswerIsHeeded: a step that has nothing to ask is done; one that asks takes its own word, does what the answer asks for, and
// does that again when it failed or its process died.
func TestAnAnswerIsHeeded(t *testing.T) {
	story := Story{Name: "one", Phases: []Phase{{Name: "down", Steps: []Step{
		{Name: "look", Does: "x", Asks: "Build again?", Takes: "rebuild"}, {Name: "open", Does: "x"},
	}}}}
	differs, luck := false, 0
	var heeded []string
	actions := Actions{"open": {}, "look": {
		Tell: func(context.Context) (string, error) {
			if !differs {
				return "", Nothing
			}
			return "2 keys", nil
		},
		Heed: func(_ context.Context, answer string) error {
			heeded = append(heeded, answer)
			if luck--; luck >= 0 {
				return errors.New("no luck")
			}
			return nil
		},
	}}
	engine := func(j Journal) *Engine {
		e, err := New(t.Context(), []Story{story}, actions, j, nil)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := engine(newTape())
	if outcome, err := e.Run(t.Context(), "one", Stop); outcome != Finished || err != nil || len(heeded) != 0 {
		t.Fatal(outcome, err, heeded)
	}

	j := newTape()
	differs, luck, e = true, 1, engine(j)
	if outcome, err := e.Run(t.Context(), "one", GoOn); outcome != Failure || !strings.Contains(err.Error(), "takes one of these answers: rebuild") {
		t.Fatal(outcome, err)
	}
	if outcome, err := e.Run(t.Context(), "one", Stop); outcome != Waiting || err != nil {
		t.Fatal(outcome, err)
	}
	if err := e.Answer(t.Context(), "look", Yes); err == nil {
		t.Error("yes was taken")
	}
	if words := e.Answers("look"); len(words) != 1 || words[0] != "rebuild" {
		t.Error(words)
	}
	if err := e.Answer(t.Context(), "look", "rebuild"); err != nil {
		t.Fatal(err)
	}
	e = engine(j) // another process
	if outcome, err := e.Run(t.Context(), "one", Stop); outcome != Failure || !strings.Contains(err.Error(), "no luck") {
		t.Fatal(outcome, err)
	}
	e = engine(j)
	if outcome, err := e.Run(t.Context(), "one", Stop); outcome != Finished || err != nil || strings.Join(heeded, " ") != "rebuild rebuild" {
		t.Fatal(outcome, err, heeded)
	}
}
