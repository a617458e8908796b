package move

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/whimbrel/whimbrel/db/driver"
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
		if err = m.shutOne(ctx, target, t); err == nil {
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

// guardOf describes the guard of a table's target as it stands; empty where there is none.
func (m *Move) guardOf(ctx context.Context, t *table) (string, error) {
	target, err := m.target(ctx)
	if err != nil || target.Guard == nil {
		return "", err
	}
	return target.Guard.Stands(ctx, t.target)
}

// guardAgain puts a guard up that was taken off, where others still have no business. Again: does nothing.
func (m *Move) guardAgain(ctx context.Context, t *table) error {
	target, err := m.target(ctx)
	if err != nil || target.Guard == nil {
		return err
	}
	if ours, err := m.ours(ctx); err != nil || !ours {
		return err
	}
	m.log.Warn("the guard of the target's table was gone, and is put up again", "table", t.name)
	return m.shutOne(ctx, target, t)
}

// shutOne refuses others' writes to a table of the target, which is no business of a process that has slept meanwhile: its successor may have
// opened the target to its users. Again: does nothing.
func (m *Move) shutOne(ctx context.Context, target *driver.Database, t *table) error {
	epoch, err := m.takeOver(ctx)
	if err != nil {
		return err
	}
	if err := target.Guard.Shut(ctx, t.target, epoch); err != nil {
		return fmt.Errorf("shut %s at the target: %w", t.target.Name, err)
	}
	return nil
}

// ours reports that nobody but us has had to write to the target yet: no update of the new release, and no user.
func (m *Move) ours(ctx context.Context) (bool, error) {
	if at, _ := m.engine.Position().At("open-target"); at.State != procedure.NotBegun {
		return false, nil
	}
	updated, err := m.updated(ctx)
	return !updated, err
}

// reached says of each table, in a clause, that others could write to it at the target since it was compared, as far as its guard
// tells. Hours may lie between the two.
func (m *Move) reached(ctx context.Context, proofs map[*table]proof) ([]string, error) {
	target, err := m.target(ctx)
	if err != nil || target.Guard == nil {
		return nil, err
	}
	if ours, err := m.ours(ctx); err != nil || !ours {
		return nil, err
	}
	var mu sync.Mutex
	var off []string
	err = m.patiently(func(ctx context.Context) error {
		off = nil
		return each(ctx, slices.Collect(maps.Keys(proofs)), m.writers(), func(ctx context.Context, t *table) error {
			stands, err := target.Guard.Stands(ctx, t.target)
			if err == nil && (stands == "" || stands != proofs[t].Guard) {
				mu.Lock()
				defer mu.Unlock()
				off = append(off, t.name+" had its guard taken off since it was compared, so that others could write there")
			}
			return err
		})
	})(ctx)
	if err != nil {
		return nil, fmt.Errorf("see whether the target is guarded still: %w; %s, and do it again", err, m.Advice(err))
	}
	slices.Sort(off)
	return off, nil
}
