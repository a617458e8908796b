package procedure

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/whimbrel/whimbrel/internal/failpoint"
)

// errWaiting and errTurned end an attempt at the story without a failure.
var (
	errWaiting = errors.New("the run ends at a question")
	errTurned  = errors.New("the story is turned into another procedure")
)

// Run goes through the story from where the journal says it stands; procedure is the one to begin with where none has
// begun. It returns when every step is done, a step failed (with a *StepError), a question is open and q does not let it
// wait, or the context ended (with its cause). Steps that were begun and are not done are done again. Again: goes on.
func (e *Engine) Run(ctx context.Context, procedure string, q Questions) (Outcome, error) {
	release, err := e.claim()
	if err != nil {
		return Failure, err
	}
	defer release()
	return e.run(ctx, procedure, q)
}

func (e *Engine) run(ctx context.Context, procedure string, q Questions) (Outcome, error) {
	if err := e.begin(procedure); err != nil {
		return Failure, err
	}
	for {
		err := e.attempt(ctx, q)
		switch {
		case errors.Is(err, errTurned):
			continue
		case err == nil:
			return Finished, nil
		case errors.Is(err, errWaiting):
			return Waiting, nil
		case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
			return Interrupted, context.Cause(ctx)
		}
		return Failure, err
	}
}

// begin notes the story's begin where none has begun.
func (e *Engine) begin(procedure string) error {
	p := e.Position()
	switch {
	case p.State == Reverting:
		return ErrResetting
	case p.Procedure != "":
		return nil
	}
	if _, ok := find(e.stories, procedure); !ok {
		return fmt.Errorf("there is no procedure %q", procedure)
	}
	return e.note(Begun, "", procedure)
}

// attempt goes through the story once, until its end or the first reason to stop, and returns when nothing runs any more.
func (e *Engine) attempt(ctx context.Context, q Questions) error {
	p := e.Position()
	if p.State == Complete {
		return nil
	}
	if err := e.takeBack(ctx, p.reverse(func(s *StepPosition) bool { return s.stale })); err != nil {
		return err
	}
	story, _ := find(e.stories, p.Procedure)
	ctx, cancel := context.WithCancelCause(ctx)
	a := &attempt{engine: e, questions: q, cancel: cancel, behind: map[string]*behind{}}
	defer a.wait()
	defer cancel(nil)
	for _, phase := range story.Phases {
		if err := a.phase(ctx, phase); err != nil {
			cancel(err)
			a.wait()
			return context.Cause(ctx) // the first reason, which may be another step's
		}
	}
	return e.note(Ended, "", "")
}

// attempt is one passage through a story.
type attempt struct {
	engine    *Engine
	questions Questions
	cancel    context.CancelCauseFunc
	wg        sync.WaitGroup
	behind    map[string]*behind // the steps in the background, by name; written before the steps of a phase run
}

// behind is one step in the background.
type behind struct {
	step   Step
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

func (a *attempt) wait() { a.wg.Wait() }

// phase does what is not done of a phase, with its steps in the background begun again.
func (a *attempt) phase(ctx context.Context, phase Phase) error {
	p := a.engine.Position()
	var together []Step
	for _, step := range phase.Steps {
		at, _ := p.At(step.Name)
		switch {
		case step.Until != "":
			if until, _ := p.At(step.Until); until.State == Complete {
				continue
			}
			if err := a.start(ctx, step); err != nil {
				return err
			}
		case at.State == Complete:
		case phase.Order == Together:
			if err := a.note(Started, step.Name, ""); err != nil {
				return err
			}
			together = append(together, step)
		default:
			if err := a.step(ctx, step); err != nil {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for _, step := range together {
		wg.Go(func() { _ = a.begun(ctx, step) }) // its error has ended the attempt
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return a.ready(ctx, phase)
}

// step does one step from its begin, unless its question has been answered meanwhile.
func (a *attempt) step(ctx context.Context, step Step) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if at, _ := a.engine.Position().At(step.Name); at.Answer != "" {
		if at.State == Broken { // what the answer asks for failed
			if err := a.note(Started, step.Name, ""); err != nil {
				return err
			}
		}
		return a.heed(ctx, step, at.Answer)
	}
	if err := a.note(Started, step.Name, ""); err != nil {
		return err
	}
	return a.begun(ctx, step)
}

// begun does one step whose begin has been noted. An error has been noted, and has ended the attempt, when it returns.
func (a *attempt) begun(ctx context.Context, step Step) error {
	failpoint.Step(failpoint.Begin, step.Name)
	err := call(ctx, a.engine.actions[step.Name].Do)
	if err == nil && step.Asks != "" {
		err = a.ask(ctx, step)
	}
	if err != nil {
		return a.fail(ctx, step, err)
	}
	at, _ := a.engine.Position().At(step.Name)
	return a.heed(ctx, step, at.Answer)
}

// heed does what the answer asks for, if one was given, and ends the step.
func (a *attempt) heed(ctx context.Context, step Step, answer string) error {
	if heed := a.engine.actions[step.Name].Heed; heed != nil && answer != "" {
		if err := guard(func() error { return heed(ctx, answer) }); err != nil {
			return a.fail(ctx, step, err)
		}
	}
	a.over(step)
	return a.done(step)
}

func (a *attempt) done(step Step) error {
	if err := a.note(Done, step.Name, ""); err != nil {
		return err
	}
	failpoint.Step(failpoint.Done, step.Name)
	return nil
}

// fail notes why a step ended without being done, ends the attempt, and returns the attempt's reason. Another step's
// failure, or the outside, came first where the context has ended.
func (a *attempt) fail(ctx context.Context, step Step, err error) error {
	switch {
	case ctx.Err() == nil && (errors.Is(err, errWaiting) || errors.Is(err, errTurned)):
		a.cancel(err)
		return err
	case ctx.Err() != nil:
		detail := context.Cause(ctx).Error()
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.Cause(ctx)) {
			detail += "; then: " + err.Error()
		}
		_ = a.note(Stopped, step.Name, detail)
		return context.Cause(ctx)
	}
	if noted := a.note(Failed, step.Name, err.Error()); noted != nil {
		return noted
	}
	err = &StepError{Step: step.Name, Err: err}
	a.cancel(err)
	return err
}

// note makes an entry; a journal that can not be written ends the attempt.
func (a *attempt) note(event Event, step, detail string) error {
	err := a.engine.note(event, step, detail)
	if err != nil {
		a.cancel(err)
	}
	return err
}

// call does what an action says; nil has nothing to do.
func call(ctx context.Context, do func(context.Context) error) error {
	if do == nil {
		return nil
	}
	return guard(func() error { return do(ctx) })
}
