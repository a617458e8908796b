package procedure

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Reset takes back every step that was begun, the last one first, and notes that the story was reset. Behind the point of
// no return it changes nothing and returns ErrNoReturn. A step that can not be taken back is noted as failed and ends the
// reset with a *StepError. Again: goes on with what is left; with nothing begun, does nothing.
func (e *Engine) Reset(ctx context.Context) error {
	release, err := e.claim()
	if err != nil {
		return err
	}
	defer release()
	p := e.Position()
	switch {
	case p.Final():
		return ErrNoReturn
	case p.Procedure == "":
		return nil
	case p.State != Reverting:
		if err := e.note(Resetting, "", ""); err != nil {
			return err
		}
	}
	if err := e.takeBack(ctx, p.reverse(func(*StepPosition) bool { return true })); err != nil {
		return err
	}
	return e.note(WasReset, "", "")
}

// takeBack undoes steps in this order.
func (e *Engine) takeBack(ctx context.Context, steps []Step) error {
	for _, step := range steps {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := e.note(Undoing, step.Name, ""); err != nil {
			return err
		}
		if err := call(ctx, e.actions[step.Name].Undo); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if noted := e.note(Failed, step.Name, "take back: "+err.Error()); noted != nil {
				return noted
			}
			return &StepError{Step: step.Name, Err: fmt.Errorf("take back: %w", err)}
		}
		if err := e.note(Undone, step.Name, ""); err != nil {
			return err
		}
	}
	return nil
}

// Repeat does a step again and then goes on as Run does. A step that is not done can always be repeated; one that is done
// only while no step of a later phase has begun, and then the steps behind it in its phase are done again as well.
func (e *Engine) Repeat(ctx context.Context, step string, q Questions) (Outcome, error) {
	release, err := e.claim()
	if err != nil {
		return Failure, err
	}
	defer release()
	p := e.Position()
	again, err := p.again(step)
	if err != nil {
		return Failure, err
	}
	for _, name := range again {
		if err := e.note(Repeated, name, ""); err != nil {
			return Failure, err
		}
	}
	return e.run(ctx, p.Procedure, q)
}

// again returns the steps to do again when one is repeated, or why it can not be.
func (p Position) again(name string) ([]string, error) {
	i := slices.IndexFunc(p.Steps, func(s StepPosition) bool { return s.Step.Name == name })
	switch {
	case p.State == Reverting:
		return nil, ErrResetting
	case i < 0:
		return nil, fmt.Errorf("the procedure has no step %q", name)
	case p.Final() && p.Steps[i].State == Complete:
		return nil, fmt.Errorf("repeat %s: the point of no return has been passed", name)
	case !p.Steps[i].dirty:
		return nil, fmt.Errorf("%s has not been begun", name)
	case p.Steps[i].State != Complete:
		return []string{name}, nil
	}
	var again []string
	for _, s := range p.Steps[i:] {
		switch {
		case !s.dirty:
		case s.Phase != p.Steps[i].Phase:
			return nil, errors.New(name + " is done and a later phase has begun: reset takes steps back")
		default:
			again = append(again, s.Step.Name)
		}
	}
	return again, nil
}
