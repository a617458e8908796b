package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// list returns one list of one table: its keys, each with the stamp it was put there with.
func (b *book) list(l driver.List, t *schema.Table) *space {
	name := fmt.Sprintf("%s/%d", l, t.Number)
	if b.lists[name] == nil {
		b.lists[name] = newSpace()
	}
	return b.lists[name]
}

// enlist puts a key on a list with a new stamp.
func (b *book) enlist(e *session, l driver.List, t *schema.Table, key string) error {
	e.stamp++
	_, err := e.add(b.list(l, t), key, strconv.FormatInt(e.stamp, 10))
	return err
}

// strike removes keys that were not put there again after the stamp.
func (b *book) strike(e *session, l driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	in := b.list(l, t)
	for i := range keys.Len() {
		it := in.named[string(keys.Row(i))]
		if it == nil || it.seen(e) == nil || number(*it.seen(e)) > stamp && e.Flaw != NoStamps {
			continue
		}
		if err := e.set(it, nil); err != nil {
			return err
		}
	}
	return nil
}

type lists struct{ *role }

func (r lists) Peek(ctx context.Context, l driver.List, t *schema.Table, max int, keys *row.Batch) (stamp int64, err error) {
	err = r.do(ctx, call{op: "Lists.Peek", about: string(l) + " " + t.Name.Name}, func() error {
		b, err := r.opened()
		if err != nil {
			return err
		}
		var here []*item
		for _, it := range b.list(l, t).items {
			if it.now != nil {
				here = append(here, it)
			}
		}
		slices.SortFunc(here, func(x, y *item) int { return int(number(*x.now) - number(*y.now)) })
		for _, it := range here[:min(max, len(here))] {
			if err := keys.AppendRow([]byte(it.key)); err != nil {
				return err
			}
			stamp = number(*it.now)
		}
		return nil
	})
	return stamp, err
}

func (r lists) Put(ctx context.Context, l driver.List, t *schema.Table, keys *row.Batch) error {
	return r.do(ctx, call{op: "Lists.Put", about: string(l) + " " + t.Name.Name, commits: true}, func() error {
		b, err := r.opened()
		if err != nil {
			return err
		}
		return r.briefly("put", func(e *session) error {
			for i := range keys.Len() {
				if err := b.enlist(e, l, t, string(keys.Row(i))); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (r lists) Listed(ctx context.Context, l driver.List, t *schema.Table, keys, listed *row.Batch) error {
	return r.do(ctx, call{op: "Lists.Listed", about: string(l) + " " + t.Name.Name}, func() error {
		b, err := r.opened()
		if err != nil {
			return err
		}
		in := b.list(l, t)
		for i := range keys.Len() {
			if it := in.named[string(keys.Row(i))]; it != nil && it.now != nil {
				if err := listed.AppendRow(keys.Row(i)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (r lists) Strike(ctx context.Context, l driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	return r.do(ctx, call{op: "Lists.Strike", about: string(l) + " " + t.Name.Name, commits: true, keep: func() { keys = copied(keys) }}, func() error {
		b, err := r.opened()
		if err != nil {
			return err
		}
		return r.briefly("strike", func(e *session) error { return b.strike(e, l, t, keys, stamp) })
	})
}

func (r lists) Count(ctx context.Context, l driver.List, t *schema.Table) (n int64, err error) {
	err = r.do(ctx, call{op: "Lists.Count", about: string(l) + " " + t.Name.Name}, func() error {
		b, err := r.opened()
		if err != nil {
			return err
		}
		for _, it := range b.list(l, t).items {
			if it.now != nil {
				n++
			}
		}
		return nil
	})
	return n, err
}
