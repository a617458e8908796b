package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// Replay is what a live comparison needs of the table's replay.
type Replay interface {
	// CaughtUp returns when everything recorded before the call is at the target.
	CaughtUp(ctx context.Context) error
}

// rounds is how often a key that differs is looked at again, each time after the replay has caught up (HAZARDS, section 4).
const rounds = 3

// enough is how many suspects are looked at in one go; a variable for tests.
var enough = 20 * page

// Live compares a table whose source goes on changing. Every key applied meanwhile must be put on the changed list: noting
// was switched on before the call. A key that differs is only suspicious; it is real when it still differs after the replay
// has caught up three times and it is not on the changed list, whose keys are compared again in any case, at the latest in
// the downtime. So an equal verdict says: whatever is not on the changed list is equal.
func Live(ctx context.Context, p Pair, replay Replay, most int) (Tally, error) {
	if err := replay.CaughtUp(ctx); err != nil {
		return Tally{}, err
	}
	tally, unequal, err := p.sums(ctx)
	if err != nil || len(unequal) == 0 {
		return tally, err
	}
	var suspects []Difference
	sift := func() error {
		real, err := p.sift(ctx, replay, suspects)
		suspects = suspects[:0]
		tally.Differing = append(tally.Differing, real...)
		return err
	}
	var sifted error
	err = p.drill(ctx, unequal, func(d Difference) bool {
		if suspects = append(suspects, d); len(suspects) == enough {
			sifted = sift()
		}
		return sifted == nil && len(tally.Differing) <= most
	})
	if err = errors.Join(err, sifted); err == nil {
		err = sift()
	}
	if err != nil {
		return tally, err
	}
	if tally.More = len(tally.Differing) > most; tally.More {
		tally.Differing = tally.Differing[:most]
	}
	return tally, nil
}

// sift returns the suspects that are real differences.
func (p Pair) sift(ctx context.Context, replay Replay, suspects []Difference) ([]Difference, error) {
	for range rounds {
		if len(suspects) == 0 {
			return nil, nil
		}
		if err := replay.CaughtUp(ctx); err != nil {
			return nil, err
		}
		var still []Difference
		err := Pages(len(p.Source.Shape.Key), suspects, func(keys *row.Batch) error {
			found, err := Keys(ctx, p, keys)
			still = append(still, found...)
			return err
		})
		if err != nil {
			return nil, err
		}
		suspects = still
	}
	return p.settled(ctx, suspects)
}

// settled leaves out the suspects that are on the changed list.
func (p Pair) settled(ctx context.Context, suspects []Difference) ([]Difference, error) {
	if len(suspects) == 0 {
		return nil, nil
	}
	moving := map[string]struct{}{}
	keys := row.NewBatch(len(p.Target.Shape.Key))
	if _, err := p.Target.Database.Lists.Peek(ctx, driver.Changed, p.Target.Table, 1<<20, keys); err != nil {
		return nil, fmt.Errorf("read the changed keys: %w", err)
	}
	for i := range keys.Len() {
		moving[string(keys.Row(i))] = struct{}{}
	}
	var real []Difference
	for _, d := range suspects {
		if _, ok := moving[string(d.Key)]; !ok {
			real = append(real, d)
		}
	}
	return real, nil
}

// Strike compares keys of the changed list while the table moves and strikes those that are equal once the replay has caught
// up. It returns how many it looked at and how many it struck.
func Strike(ctx context.Context, p Pair, replay Replay) (looked, struck int, err error) {
	keys := row.NewBatch(len(p.Target.Shape.Key))
	stamp, err := p.Target.Database.Lists.Peek(ctx, driver.Changed, p.Target.Table, page, keys)
	if err != nil || keys.Len() == 0 {
		return 0, 0, err
	}
	if err := replay.CaughtUp(ctx); err != nil {
		return 0, 0, err
	}
	found, err := Keys(ctx, p, keys)
	if err != nil {
		return 0, 0, err
	}
	differs := make(map[string]struct{}, len(found))
	for _, d := range found {
		differs[string(d.Key)] = struct{}{}
	}
	equal := row.NewBatch(keys.Width())
	for i := range keys.Len() {
		if _, ok := differs[string(keys.Row(i))]; !ok {
			if err := equal.AppendRow(keys.Row(i)); err != nil {
				return 0, 0, err
			}
		}
	}
	if err := p.Target.Database.Lists.Strike(ctx, driver.Changed, p.Target.Table, equal, stamp); err != nil {
		return 0, 0, fmt.Errorf("strike equal keys: %w", err)
	}
	return keys.Len(), equal.Len(), nil
}

// Remainder compares every key on the changed list; the source is shut and drained. It returns the differing keys, at most
// that many, and how many keys it compared.
func Remainder(ctx context.Context, p Pair, most int) (found []Difference, compared int, err error) {
	for {
		keys := row.NewBatch(len(p.Target.Shape.Key))
		stamp, err := p.Target.Database.Lists.Peek(ctx, driver.Changed, p.Target.Table, page, keys)
		if err != nil || keys.Len() == 0 {
			return found, compared, err
		}
		differ, err := Keys(ctx, p, keys)
		if err != nil {
			return found, compared, err
		}
		compared += keys.Len()
		found = append(found, differ...)
		if len(found) > 0 {
			return found[:min(len(found), most)], compared, nil // the list stays as it is: the verdict is different
		}
		if err := p.Target.Database.Lists.Strike(ctx, driver.Changed, p.Target.Table, keys, stamp); err != nil {
			return found, compared, err
		}
	}
}
