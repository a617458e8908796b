package move

import (
	"context"
	"fmt"
	"slices"
)

// relics are what a step of the release has made at the target, known by what stood in its schemas before and behind the step. What
// others make there before or later is theirs, and stays.
type relics struct {
	Before map[string][]string `json:"before"`         // by schema
	Made   map[string][]string `json:"made,omitempty"` // nil until the step has run, or failed
}

// relicsKey is the document with a step's.
func relicsKey(step string) string { return "relics/" + step }

// standing lists what is in the target's schemas.
func (m *Move) standing(ctx context.Context, schemas []string) (map[string][]string, error) {
	target, err := m.target(ctx)
	if err != nil {
		return nil, err
	}
	stands := map[string][]string{}
	for _, name := range schemas {
		if stands[name], err = target.Relics.List(ctx, name); err != nil {
			return nil, fmt.Errorf("note what stands at the target: %w", err)
		}
	}
	return stands, nil
}

// keepRelics notes what stands at the target before a step. Again: what was noted first holds.
func (m *Move) keepRelics(ctx context.Context, step string) error {
	var r relics
	if there, err := m.state.Document(ctx, relicsKey(step), &r); err != nil || there {
		return err
	}
	stands, err := m.standing(ctx, m.homes())
	if err != nil {
		return err
	}
	return m.state.SetDocument(ctx, relicsKey(step), relics{Before: stands})
}

// noteRelics notes what has come since: it is the step's. Again: notes it anew.
func (m *Move) noteRelics(ctx context.Context, step string) error {
	var r relics
	if there, err := m.state.Document(ctx, relicsKey(step), &r); err != nil || !there {
		return err
	}
	stands, err := m.standing(ctx, m.homes())
	if err != nil {
		return err
	}
	r.Made = map[string][]string{}
	for name, now := range stands {
		r.Made[name] = lacking(now, r.Before[name])
	}
	return m.state.SetDocument(ctx, relicsKey(step), r)
}

// removeRelics takes away what a step has made; all that has come since it began, where it was killed. Again: does nothing.
func (m *Move) removeRelics(ctx context.Context, step string) error {
	var r relics
	there, err := m.state.Document(ctx, relicsKey(step), &r)
	if err != nil || !there {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	for name, keep := range r.Before {
		if r.Made != nil {
			now, err := target.Relics.List(ctx, name)
			if err != nil {
				return fmt.Errorf("see what stands at the target: %w", err)
			}
			keep = lacking(now, r.Made[name])
		}
		if err := target.Relics.Remove(ctx, name, keep); err != nil {
			return fmt.Errorf("take away what the release has made at the target: %w", err)
		}
	}
	return m.state.DeleteDocument(ctx, relicsKey(step))
}

// lacking are those of a list that another one has not.
func lacking(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(line string) bool { return slices.Contains(other, line) })
}
