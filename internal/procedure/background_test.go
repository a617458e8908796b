package procedure

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// following is an engine whose step in the background does this, and what its readiness is.
func following(t *testing.T, w *world, do, ready func(context.Context) error) *Engine {
	t.Helper()
	actions := w.actions()
	follow := actions["follow"]
	if do != nil {
		follow.Do = do
	}
	follow.Ready = ready
	actions["follow"] = follow
	e, err := New(t.Context(), both, actions, newTape(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A step in the background that ends before its time lets the story go on never: that is a failure, and no wait without an end.
func TestAStepThatEndsBeforeItsTimeHasFailed(t *testing.T) {
	e := following(t, newWorld(), func(context.Context) error { return nil }, func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	outcome, err := e.Run(ctx, "long", GoOn)
	if outcome != Failure || err == nil || !strings.Contains(err.Error(), "step follow: it ended by itself before drain was done") {
		t.Errorf("%s, %v", outcome, err)
	}
}

// A step in the background that is repeated must be ready anew before the story goes on.
func TestAStepThatIsRepeatedIsReadyAnew(t *testing.T) {
	times := 0
	e := following(t, newWorld(), nil, func(context.Context) error {
		times++
		return nil
	})
	if outcome, err := e.Run(t.Context(), "long", Stop); outcome != Waiting || err != nil {
		t.Fatalf("%s, %v", outcome, err)
	}
	if err := e.Answer(t.Context(), "accept", Yes); err != nil {
		t.Fatal(err)
	}
	if outcome, err := e.Run(t.Context(), "long", Stop); outcome != Waiting || err != nil || times != 1 {
		t.Fatalf("%s, %v; asked %d times", outcome, err, times)
	}
	if outcome, err := e.Repeat(t.Context(), "follow", Stop); outcome != Waiting || err != nil || times != 2 {
		t.Errorf("repeated: %s, %v; asked %d times", outcome, err, times)
	}
}

// Steps in the background are ended one after the other. One that waits for another may hear from it that the time of both is over, before it
// is told itself: it has not failed.
func TestAStepThatHearsOfItsEndFromAnotherHasNotFailed(t *testing.T) {
	story := Story{Name: "two", Phases: []Phase{
		{Name: "up", Order: Together, Steps: []Step{{Name: "copy", Does: "x"}, {Name: "replay", Does: "x", Until: "drain"}, {Name: "verify", Does: "x", Until: "drain"}}},
		{Name: "down", Steps: []Step{{Name: "drain", Does: "x"}, {Name: "open", Does: "x"}}},
	}}
	told, heard := make(chan error, 1), make(chan struct{})
	actions := Actions{
		"copy": {}, "drain": {}, "open": {},
		"replay": {Do: func(ctx context.Context) error {
			<-ctx.Done()
			told <- context.Cause(ctx)
			<-heard
			return nil
		}},
		"verify": {Do: func(context.Context) error {
			defer close(heard)
			return fmt.Errorf("wait for replay: %w", <-told)
		}},
	}
	j := newTape()
	e, err := New(t.Context(), []Story{story}, actions, j, nil)
	if err != nil {
		t.Fatal(err)
	}
	if outcome, err := e.Run(t.Context(), "two", GoOn); outcome != Finished || err != nil || strings.Contains(j.events(), "failed") {
		t.Errorf("%s, %v: %s", outcome, err, j.events())
	}
}
