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
		tally.Again += len(suspects)
		real, left, err := p.sift(ctx, replay, suspects)
		tally.Left += left
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

// sift returns the suspects that are real differences, and how many others are left to the changed list.
func (p Pair) sift(ctx context.Context, replay Replay, suspects []Difference) (found []Difference, left int, err error) {
	for range rounds {
		if len(suspects) == 0 {
			return nil, 0, nil
		}
		if err := replay.CaughtUp(ctx); err != nil {
			return nil, 0, err
		}
		var still []Difference
		err := Pages(len(p.Source.Shape.Key), suspects, func(keys *row.Batch) error {
			found, err := Keys(ctx, p, keys)
			still = append(still, found...)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		suspects = still
	}
	return p.settled(ctx, suspects)
}

// settled parts the suspects into those that nobody has changed, whose difference is real, and those on the changed list. It
// asks for these keys alone: the list of a table that many write to may be longer than anything that is held.
func (p Pair) settled(ctx context.Context, suspects []Difference) (found []Difference, left int, err error) {
	moving := map[string]struct{}{}
	err = Pages(len(p.Target.Shape.Key), suspects, func(keys *row.Batch) error {
		listed := row.NewBatch(keys.Width())
		err := p.Target.Database.Lists.Listed(ctx, driver.Changed, p.Target.Table, keys, listed)
		for i := range listed.Len() {
			moving[string(listed.Row(i))] = struct{}{}
		}
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("look for keys on the changed list: %w", err)
	}
	for _, d := range suspects {
		if _, ok := moving[string(d.Key)]; !ok {
			found = append(found, d)
		}
	}
	return found, len(moving), nil
}

// Struck is what one look at the changed list came to.
type Struck struct {
	Looked, Struck int
	Equal          row.Sum // of the struck keys' rows, the same on both sides
}

// Strike compares keys of the changed list while the table moves and strikes those that are equal once the replay has caught
// up.
func Strike(ctx context.Context, p Pair, replay Replay) (s Struck, err error) {
	keys := row.NewBatch(len(p.Target.Shape.Key))
	stamp, err := p.Target.Database.Lists.Peek(ctx, driver.Changed, p.Target.Table, page, keys)
	if err != nil || keys.Len() == 0 {
		return s, err
	}
	if err := replay.CaughtUp(ctx); err != nil {
		return s, err
	}
	sums, err := p.byKey(ctx, keys)
	if err != nil {
		return s, err
	}
	equal := row.NewBatch(keys.Width())
	for i := range keys.Len() {
		source, target := sums[0][string(keys.Row(i))], sums[1][string(keys.Row(i))]
		if source != target {
			continue
		}
		s.Equal.Add(source)
		if err := equal.AppendRow(keys.Row(i)); err != nil {
			return s, err
		}
	}
	if err := p.Target.Database.Lists.Strike(ctx, driver.Changed, p.Target.Table, equal, stamp); err != nil {
		return s, fmt.Errorf("strike equal keys: %w", err)
	}
	s.Looked, s.Struck = keys.Len(), equal.Len()
	return s, nil
}

// Remainder compares every key on the changed list; the source is shut and drained. It returns what it found, the differing
// keys at most that many, and how many keys it compared.
func Remainder(ctx context.Context, p Pair, most int) (tally Tally, compared int, err error) {
	listed, err := p.Target.Database.Lists.Count(ctx, driver.Changed, p.Target.Table)
	if err != nil {
		return tally, 0, err
	}
	for {
		keys := row.NewBatch(len(p.Target.Shape.Key))
		stamp, err := p.Target.Database.Lists.Peek(ctx, driver.Changed, p.Target.Table, page, keys)
		if err != nil || keys.Len() == 0 {
			return tally, compared, err
		}
		sums, err := p.byKey(ctx, keys)
		if err != nil {
			return tally, compared, err
		}
		for i := range keys.Len() {
			tally.Source.Add(sums[0][string(keys.Row(i))])
			tally.Target.Add(sums[1][string(keys.Row(i))])
		}
		compared += keys.Len()
		if found := differing(keys, sums); len(found) > 0 {
			tally.Differing, tally.More = found[:min(len(found), most)], int64(compared) < listed || len(found) > most // the list stays as it is: the verdict is different
			return tally, compared, nil
		}
		if err := p.Target.Database.Lists.Strike(ctx, driver.Changed, p.Target.Table, keys, stamp); err != nil {
			return tally, compared, err
		}
	}
}
