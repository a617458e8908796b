package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// book is the ledger of the target.
type book struct {
	run   string
	epoch int64
	lines *space // "table/range": rows
	lanes *space // "table/lane": number of the last batch
	lists map[string]*space
}

func line(t *schema.Table, number int) string { return fmt.Sprintf("%d/%d", t.Number, number) }

func promise(t *schema.Table, lane int) string { return line(t, lane) + "/promised" }

// by is where the epoch of who promised a batch stands, beside the batch.
func by(batch string) string { return batch + "/by" }

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// fence returns the book if this epoch may write.
func (r *role) fence(epoch int64) (*book, error) {
	switch {
	case r.book == nil:
		return nil, failf(driver.Fenced, "epoch %d is over: %v", epoch, driver.ErrEnded)
	case r.book.epoch != epoch && r.Flaw != NoFence:
		return nil, failf(driver.Fenced, "epoch %d is over, %d writes", epoch, r.book.epoch)
	}
	return r.book, nil
}

func (r *role) opened() (*book, error) {
	if r.book == nil {
		return nil, failf(driver.Missing, "no ledger")
	}
	return r.book, nil
}

type ledger struct{ *role }

func (r ledger) Prepare(ctx context.Context, run string) error {
	return r.do(ctx, call{op: "Ledger.Prepare", commits: true}, func() error {
		if r.book != nil && r.book.run != run {
			return failf(driver.Unclassified, "the ledger belongs to run %s, which is not finished", r.book.run)
		}
		if r.book == nil {
			r.book = &book{run: run, lines: newSpace(), lanes: newSpace(), lists: map[string]*space{}}
		}
		return nil
	})
}

func (r ledger) TakeOver(ctx context.Context) (epoch int64, err error) {
	err = r.do(ctx, call{op: "Ledger.TakeOver", commits: true}, func() error {
		b, err := r.opened()
		if err != nil {
			return err
		}
		for _, e := range slices.Clone(r.sessions) {
			if e.epoch > 0 && r.Flaw != NoFence {
				e.end(lost("a newer epoch took over"))
			}
		}
		b.epoch++
		epoch = b.epoch
		return nil
	})
	return epoch, err
}

func (r ledger) Current(ctx context.Context, epoch int64) error {
	return r.do(ctx, call{op: "Ledger.Current"}, func() error {
		_, err := r.fence(epoch)
		return err
	})
}

func (r ledger) Epoch(ctx context.Context) (epoch int64, err error) {
	err = r.do(ctx, call{op: "Ledger.Epoch"}, func() error {
		b, err := r.opened()
		if err == nil {
			epoch = b.epoch
		}
		return err
	})
	return epoch, err
}

func (r ledger) Ranges(ctx context.Context, t *schema.Table) (map[int]int64, error) {
	ranges := map[int]int64{}
	err := r.do(ctx, call{op: "Ledger.Ranges", about: t.Name.Name}, func() error {
		b, err := r.opened()
		if err != nil {
			return err
		}
		for _, it := range b.lines.items {
			table, place, _ := strings.Cut(it.key, "/")
			if it.now != nil && table == strconv.Itoa(t.Number) {
				ranges[int(number(place))] = number(*it.now)
			}
		}
		return nil
	})
	return ranges, err
}

func (r ledger) Clear(ctx context.Context, t *schema.Table, epoch int64) error {
	return r.do(ctx, call{op: "Ledger.Clear", about: t.Name.Name, commits: true}, func() error {
		b, err := r.fence(epoch)
		if err != nil {
			return err
		}
		own, err := r.table(t.Name)
		if err != nil {
			return err
		}
		return r.briefly("clear", func(e *session) error {
			if err := own.empty(e); err != nil {
				return err
			}
			prefix := strconv.Itoa(t.Number) + "/"
			for _, it := range slices.Concat(b.lines.items, b.lanes.items) {
				if strings.HasPrefix(it.key, prefix) {
					if err := e.set(it, nil); err != nil {
						return err
					}
				}
			}
			for _, l := range []driver.List{driver.Repairs, driver.Changed} {
				for _, it := range b.list(l, t).items {
					if err := e.set(it, nil); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

func (r ledger) Number(ctx context.Context, t *schema.Table, lane int) (n driver.Batch, err error) {
	err = r.do(ctx, call{op: "Ledger.Number", about: line(t, lane)}, func() error {
		b, err := r.opened()
		if err != nil {
			return err
		}
		if err := r.awaited("Applier.Apply", line(t, lane)); err != nil && r.Flaw != NumberAtOnce {
			return err
		}
		n = driver.Batch{Number: number(b.lanes.value(line(t, lane))), By: number(b.lanes.value(by(line(t, lane))))}
		return nil
	})
	return n, err
}

func (r ledger) Drop(ctx context.Context) error {
	return r.do(ctx, call{op: "Ledger.Drop", commits: true}, func() error {
		if r.book != nil && !r.others(r.book.run) {
			r.book = nil
		}
		return nil
	})
}
