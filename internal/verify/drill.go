package verify

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/whimbrel/whimbrel/row"
)

var errEnough = errors.New("enough")

// drill reads the rows of the unequal buckets again, key by key, and reports each key that differs until report says enough.
// Where they are too many to hold, it takes them in parts, one reading of both sides a part.
func (p Pair) drill(ctx context.Context, unequal map[int]struct{}, report func(Difference) bool) error {
	todo := slices.Sorted(maps.Keys(unequal))
	for len(todo) > 0 {
		found, done, err := p.part(ctx, todo)
		if err != nil {
			return err
		}
		todo = todo[done:]
		for _, d := range found {
			if !report(d) {
				return nil
			}
		}
	}
	return nil
}

// held is the rows of some buckets by key: how many and what sum the source has, and the target.
type held map[string]*[2]row.Sum

// part compares as many of the buckets, in order, as can be held, and returns how many these were.
func (p Pair) part(ctx context.Context, todo []int) ([]Difference, int, error) {
	for n := len(todo); ; n = max(n/4, 1) {
		want := make(map[int]struct{}, n)
		for _, b := range todo[:n] {
			want[b] = struct{}{}
		}
		keys, err := p.hold(ctx, want, n == 1)
		if errors.Is(err, errEnough) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		return keys.differences(), n, nil
	}
}

// hold reads the rows of the buckets of both sides, one side after the other. It returns errEnough when there are more than
// can be held, unless all is true.
func (p Pair) hold(ctx context.Context, want map[int]struct{}, all bool) (held, error) {
	keys := held{}
	for i, s := range []Side{p.Source, p.Target} {
		err := p.each(ctx, s, nil, func(b *row.Batch, at int, key []byte) error {
			if _, ok := want[p.bucket(key)]; !ok {
				return nil
			}
			sums := keys[string(key)]
			if sums == nil {
				if len(keys) >= hold && !all {
					return errEnough
				}
				sums = new([2]row.Sum)
				keys[string(key)] = sums
			}
			sums[i].AddRow(p.Seed, b.Row(at))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// differences lists the keys whose rows are not the same, in the order of their bytes.
func (h held) differences() []Difference {
	var found []Difference
	for key, sums := range h {
		if sums[0] != sums[1] {
			found = append(found, Difference{Key: []byte(key), What: what(sums[0], sums[1])})
		}
	}
	slices.SortFunc(found, func(a, b Difference) int { return slices.Compare(a.Key, b.Key) })
	return found
}

func what(source, target row.Sum) What {
	switch {
	case source.Rows > target.Rows:
		return Missing
	case source.Rows < target.Rows:
		return Extra
	}
	return Unlike
}
