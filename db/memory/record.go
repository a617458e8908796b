package memory

import (
	"context"
	"slices"
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

func (r recorder) Take(ctx context.Context, want driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	var c *receipt
	err := r.do(ctx, call{op: "Recorder.Take", about: line(want.Table, want.Lane)}, func() error {
		e := r.open(r.role, "receipt")
		taken, err := r.take(e, want, keys, images)
		if err != nil {
			e.end(err)
			return err
		}
		c = taken
		return nil
	})
	if err != nil {
		if c != nil {
			_ = c.Close()
		}
		return nil, err
	}
	return c, nil
}

// take reads entries and, in the same instant, the rows of their keys.
func (r recorder) take(e *session, want driver.Want, keys, images *row.Batch) (*receipt, error) {
	from, t, err := r.recordOf(want.Table)
	if err != nil {
		return nil, err
	}
	c := &receipt{e: e, from: from, line: line(want.Table, want.Lane), epoch: want.Epoch, promise: promise(want.Table, want.Lane)}
	first, seen := keys.Len(), map[string]bool{}
	var of []string // the items' keys, empty for a note that the table was emptied
	add := func(key string) error {
		if seen[key] {
			return nil
		}
		seen[key] = true
		return keys.AppendRow([]byte(key))
	}
	for _, it := range beyond(from.entries.items[min(r.mark[from], len(from.entries.items)):], want.Beyond) {
		if len(c.items) >= want.Most {
			break
		}
		if it.now == nil {
			continue
		}
		n := parseEntry(*it.now)
		if laneOf(n.key, want.Lanes) != want.Lane%max(want.Lanes, 1) {
			continue
		}
		c.items, c.emptied = append(c.items, it), c.emptied || n.emptied
		if n.emptied {
			of = append(of, "")
			continue
		}
		of = append(of, n.key)
		if err := add(n.key); err != nil {
			return nil, err
		}
	}
	if want.Also != nil {
		for i := range want.Also.Len() {
			if err := add(string(want.Also.Row(i))); err != nil {
				return nil, err
			}
		}
	}
	if err := c.bounded(r, t, want, keys, images, first, of); err != nil || r.Flaw != StaleRows {
		return c, err
	}
	r.past[t] = t.sorted(nil, t.keyColumns())
	return c, nil
}

// beyond returns the entries behind the last of a receipt.
func beyond(all []*item, earlier driver.Receipt) []*item {
	c, ok := earlier.(*receipt)
	if !ok || len(c.items) == 0 {
		return all
	}
	return all[slices.Index(all, c.items[len(c.items)-1])+1:] // from the first, where it is forgotten already
}

// takeBytes is about how many bytes of rows one Take reads.
const takeBytes = 16 << 20

// bounded reads the rows of the keys from first on until they are large enough, and takes out what was not read.
func (c *receipt) bounded(r recorder, t *table, want driver.Want, keys, images *row.Batch, first int, of []string) error {
	one, most, read := row.NewBatch(keys.Width()), images.Size()+takeBytes, map[string]bool{"": true}
	for i := first; i < keys.Len(); i++ {
		if images.Size() >= most {
			c.cut = true
			keys.Truncate(i)
			break
		}
		one.Reset()
		if err := one.AppendRow(keys.Row(i)); err != nil {
			return err
		}
		if err := r.images(c.e, t, want, one, images); err != nil {
			return err
		}
		read[string(keys.Row(i))] = true
	}
	var kept []*item
	for i, it := range c.items {
		if read[of[i]] {
			kept = append(kept, it)
		}
	}
	c.items = kept
	return nil
}

func (r recorder) images(e *session, t *table, want driver.Want, keys, images *row.Batch) error {
	places, err := t.placesOf(want.Shape.Names())
	if err != nil {
		return err
	}
	columns, err := t.placesOf(want.Shape.Keys().Names())
	if err != nil {
		return err
	}
	runs := t.withKeys(e, columns, keys)
	if r.Flaw == StaleRows {
		runs = r.earlier(t, columns, keys)
	}
	for _, run := range runs {
		appendCells(images, cut(run, places))
	}
	return nil
}

// earlier returns the rows of these keys as they were when somebody took the last time, which is what StaleRows does.
func (r recorder) earlier(t *table, columns []int, keys *row.Batch) []string {
	var runs []string
	for _, run := range r.past[t] {
		for i := range keys.Len() {
			if string(keyOf(run, columns)) == string(keys.Row(i)) {
				runs = append(runs, run)
			}
		}
	}
	return runs
}

// receipt stands for the entries of one Take.
type receipt struct {
	e       *session
	from    *record
	items   []*item
	emptied bool
	cut     bool   // keys were left
	line    string // of the batch forgotten last
	promise string // and of the one promised last

	epoch    int64 // of who promises
	promised int64 // for this receipt
}

func (c *receipt) Entries() int { return len(c.items) }

func (c *receipt) Emptied() bool { return c.emptied }

func (c *receipt) Cut() bool { return c.cut }

// promising names the sessions that promise a batch.
const promising = "promise"

func (c *receipt) Durable(ctx context.Context, n int64) error {
	k := call{op: "Receipt.Durable", about: c.line, session: c.e, commits: true}
	if c.e.Flaw == BarrierElsewhere {
		k.session = nil
	}
	return c.e.do(ctx, k, func() error {
		if c.promised == n {
			return nil
		}
		promised, forgotten := number(c.e.state.value(c.promise)), number(c.e.state.value(c.line))
		if (promised != n-1 || forgotten != n-1) && c.e.Flaw != AnyPromise {
			return failf(driver.Conflict, "batch %d can not be promised: promised is %d, forgotten %d", n, promised, forgotten)
		}
		c.promised = n
		return c.e.role.briefly(promising, func(e *session) error { // which makes everything before it durable
			if _, err := e.add(e.state, by(c.promise), strconv.FormatInt(c.epoch, 10)); err != nil {
				return err
			}
			_, err := e.add(e.state, c.promise, strconv.FormatInt(n, 10))
			return err
		})
	})
}

func (c *receipt) Forget(ctx context.Context, number int64) error {
	return c.e.do(ctx, call{op: "Receipt.Forget", about: c.line, session: c.e, commits: true}, func() error {
		if c.e.Flaw == Watermark && len(c.items) > 0 {
			last := slices.Index(c.from.entries.items, c.items[len(c.items)-1])
			c.e.mark[c.from] = max(c.e.mark[c.from], last+1)
		}
		if err := c.write(number); err != nil {
			c.e.end(err)
			return err
		}
		for _, it := range c.doomed() {
			if err := c.e.set(it, nil); err != nil {
				c.e.end(err)
				return err
			}
		}
		c.e.commit()
		return nil
	})
}

// write writes the batch's number, which never goes back: a Forget may come late.
func (c *receipt) write(n int64) error {
	if n < number(c.e.state.value(c.line)) {
		return nil
	}
	_, err := c.e.add(c.e.state, c.line, strconv.FormatInt(n, 10))
	return err
}

// doomed returns the entries that Forget removes: those of the receipt, unless a flaw is asked for.
func (c *receipt) doomed() []*item {
	all := c.from.entries.items
	switch {
	case c.e.Flaw == Watermark:
		return nil
	case c.e.Flaw == ForgetUpto && len(c.items) > 0:
		all = all[:slices.Index(all, c.items[len(c.items)-1])+1]
	case c.e.Flaw != ForgetAll:
		return c.items
	}
	return slices.DeleteFunc(slices.Clone(all), func(it *item) bool { return it.now == nil })
}

func (c *receipt) Close() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.e.leave(failf(driver.Unclassified, "%s was closed", c.e.what))
	return nil
}
