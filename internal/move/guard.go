package move

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/internal/procedure"
)

// guardKey is where is kept how the guard of a table's target stood when the table was compared while it lived.
func guardKey(t *table) string { return fmt.Sprintf("guard/%d", t.number) }

// keepGuard notes how the guard of a table's target stands before its rows are compared. One that is gone is put up again: what was
// written meanwhile is found by the comparison. Again: notes it anew.
func (m *Move) keepGuard(ctx context.Context, t *table) error {
	target, err := m.target(ctx)
	if err != nil || target.Guard == nil {
		return err
	}
	stands, err := target.Guard.Stands(ctx, t.target)
	if err == nil && stands == "" {
		m.log.Warn("the guard of the target's table was gone, and is put up again", "table", t.name)
		if err = target.Guard.Shut(ctx, t.target); err == nil {
			stands, err = target.Guard.Stands(ctx, t.target)
		}
	}
	if err != nil {
		return err
	}
	return m.state.SetDocument(ctx, guardKey(t), stands)
}

// guardOff says in a clause that others could write to a table of the target, as far as its guard tells; empty when they could
// not.
func (m *Move) guardOff(ctx context.Context, t *table) (string, error) {
	if at, _ := m.engine.Position().At("open-target"); at.State != procedure.NotBegun {
		return "", nil // we open it ourselves
	}
	target, err := m.target(ctx)
	if err != nil || target.Guard == nil {
		return "", err
	}
	stands, err := target.Guard.Stands(ctx, t.target)
	if err != nil {
		return "", err
	}
	var was string
	kept, err := m.state.Document(ctx, guardKey(t), &was)
	switch {
	case err != nil:
		return "", err
	case stands == "":
		return "somebody took the guard of the target's table off, and could write there", nil
	case kept && stands != was:
		return "somebody took the guard of the target's table off and put it back, and could write there meanwhile", nil
	}
	return "", nil
}

// suspected says why what was proven of a table while it lived does not count; empty when it does.
func (m *Move) suspected(ctx context.Context, t *table) (string, error) {
	var seen mark
	if _, err := m.state.Document(ctx, markKey(t), &seen); err != nil || seen.Suspect != "" {
		return seen.Suspect, err
	}
	var differed string
	if _, err := m.state.Document(ctx, suspectKey(t), &differed); err != nil || differed != "" {
		return differed, err
	}
	return m.guardOff(ctx, t)
}
