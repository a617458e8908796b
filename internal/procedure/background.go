package procedure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/whimbrel/whimbrel/internal/failpoint"
)

// start begins a step in the background. It ends with the attempt, or when over ends it.
func (a *attempt) start(ctx context.Context, step Step) error {
	if err := a.note(Started, step.Name, ""); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	b := &behind{step: step, cancel: cancel, ended: make(chan struct{})}
	a.behind[step.Name] = b
	a.wg.Go(func() {
		defer close(b.ended)
		defer cancel(nil)
		failpoint.Step(failpoint.Begin, step.Name)
		err := call(ctx, a.engine.actions[step.Name].Do)
		switch {
		case errors.Is(context.Cause(ctx), Over), errors.Is(err, Over): // it may have heard it from one that was ended before it
		case err != nil:
			_ = a.fail(ctx, step, err)
		case ctx.Err() != nil:
			_ = a.note(Stopped, step.Name, context.Cause(ctx).Error())
		default: // whoever waits until it lets the story go on would wait for ever
			_ = a.fail(ctx, step, fmt.Errorf("it ended by itself before %s was done", step.Until))
		}
	})
	return nil
}

// over ends the steps in the background that ran until this one, which has done what it says, and notes them as done: what
// they were still at when they were ended no longer matters. They are noted before the step is, so that a crash between
// the two begins them again.
func (a *attempt) over(until Step) {
	for _, name := range slices.Sorted(maps.Keys(a.behind)) { // one after the other, and always in the same order
		b := a.behind[name]
		if b.step.Until != until.Name {
			continue
		}
		b.cancel(Over)
		<-b.ended
		if a.done(b.step) != nil {
			return
		}
	}
}

// ready waits until every step that the phase left in the background lets the story go on, once until it is repeated or taken back.
func (a *attempt) ready(ctx context.Context, phase Phase) error {
	for _, step := range phase.Steps {
		b := a.behind[step.Name]
		if b == nil {
			continue
		}
		at, _ := a.engine.Position().At(step.Name)
		if at.ready {
			continue
		}
		if err := call(ctx, a.engine.actions[step.Name].Ready); err != nil {
			return a.fail(ctx, step, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := a.note(Ready, step.Name, ""); err != nil {
			return err
		}
	}
	return nil
}

// ask puts a step's question and returns nil when it has been answered.
func (a *attempt) ask(ctx context.Context, step Step) error {
	told := ""
	if tell := a.engine.actions[step.Name].Tell; tell != nil {
		if err := guard(func() (err error) {
			told, err = tell(ctx)
			return err
		}); errors.Is(err, Nothing) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if err := a.note(Asked, step.Name, told); err != nil {
		return err
	}
	switch a.questions {
	case Stop:
		return errWaiting
	case GoOn:
		if err := a.engine.Answer(ctx, step.Name, Yes); err != nil {
			return err
		}
	}
	return a.answered(ctx, step)
}

// answered waits for the answer, or for the answer that turns the story.
func (a *attempt) answered(ctx context.Context, step Step) error {
	for {
		news := a.engine.news()
		at, _ := a.engine.Position().At(step.Name)
		switch {
		case at.stale:
			return errTurned
		case at.Answer != "":
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
