package memory

import (
	"context"
	"slices"
	"strconv"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type gate struct{ *role }

func (r gate) Shut(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return r.do(ctx, call{op: "Gate.Shut", commits: true}, func() error {
		if err := r.claim(); err != nil {
			return err
		}
		for _, t := range tables {
			own, err := r.table(t.Name)
			if err != nil {
				return err
			}
			own.shut = true
		}
		for _, t := range tables {
			own, _ := r.table(t.Name)
			if err := r.unlocked(own); err != nil && r.Flaw != GateHasty {
				return err
			}
		}
		return nil
	})
}

func (r gate) Prove(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return r.do(ctx, call{op: "Gate.Prove"}, func() error {
		for _, t := range tables {
			if own, err := r.table(t.Name); err != nil || !own.shut {
				return failf(driver.Unclassified, "table %s is not shut", t.Name)
			}
		}
		if r.Flaw == GateHasty {
			return nil
		}
		return r.settled("is open")
	})
}

func (r gate) Reopen(ctx context.Context, tables []*schema.Table) error {
	return r.do(ctx, call{op: "Gate.Reopen", commits: true}, func() error {
		for _, t := range tables {
			if own, err := r.table(t.Name); err == nil && !r.others(r.owner) {
				own.shut = false
			}
		}
		return nil
	})
}

func (r gate) Writers(ctx context.Context) (writers []driver.Writer, err error) {
	err = r.do(ctx, call{op: "Gate.Writers"}, func() error {
		for _, e := range r.sessions {
			if e.role != nil {
				continue
			}
			state := "idle in transaction"
			if e.prepared {
				state = "prepared"
			}
			writers = append(writers, driver.Writer{
				Session: strconv.FormatInt(e.number, 10), User: "application", Program: e.what, Since: r.clock - e.began, State: state,
			})
		}
		return nil
	})
	return writers, err
}

type guard struct{ *role }

func (r guard) Shut(ctx context.Context, t *schema.Table, epoch int64) error {
	return r.do(ctx, call{op: "Guard.Shut", about: t.Name.Name, commits: true}, func() error {
		if _, err := r.fence(epoch); err != nil {
			return err
		}
		own, err := r.table(t.Name)
		if err != nil {
			return err
		}
		if !own.guarded {
			own.guarded, own.raised = true, own.raised+1
		}
		return nil
	})
}

func (r guard) Stands(ctx context.Context, t *schema.Table) (stands string, err error) {
	err = r.do(ctx, call{op: "Guard.Stands", about: t.Name.Name}, func() error {
		if own, err := r.table(t.Name); err == nil && own.guarded {
			stands = "raised " + strconv.Itoa(own.raised)
		}
		return nil
	})
	return stands, err
}

func (r guard) Open(ctx context.Context, t *schema.Table) error {
	return r.do(ctx, call{op: "Guard.Open", about: t.Name.Name, commits: true}, func() error {
		if own, err := r.table(t.Name); err == nil {
			own.guarded = false
		}
		return nil
	})
}

// draw returns the next value of a column's generator.
func (t *table) draw(column string) int64 {
	v := max(t.next[column], 1)
	t.next[column] = v + 1
	return v
}

type sequencer struct{ *role }

func (r sequencer) Next(ctx context.Context, s *schema.Schema) (all []driver.Generator, err error) {
	err = r.do(ctx, call{op: "Sequencer.Next"}, func() error {
		for _, t := range s.Tables {
			own, err := r.table(t.Name)
			if err != nil {
				return err
			}
			for i, c := range own.def.Columns {
				if c.Identity.Kind != schema.None {
					next := max(own.next[c.Name], own.highest(i)+1, 1)
					all = append(all, driver.Generator{Table: t.Name, Column: c.Name, Next: strconv.FormatInt(next, 10)})
				}
			}
		}
		for _, q := range s.Sequences {
			if q.Owner.Name == "" {
				next := max(r.places[q.Name], q.Start)
				all = append(all, driver.Generator{Sequence: q.Name, Next: strconv.FormatInt(next, 10)})
			}
		}
		return nil
	})
	return slices.Clip(all), err
}

// highest is the largest committed value of a column of integers.
func (t *table) highest(column int) int64 {
	var top int64
	for _, it := range t.rows.items {
		if it.now == nil {
			continue
		}
		if cells, _ := row.Key(*it.now).Cells(); cells[column] != nil {
			top = max(top, number(string(cells[column])))
		}
	}
	return top
}

func (r sequencer) Set(ctx context.Context, g driver.Generator) error {
	return r.do(ctx, call{op: "Sequencer.Set", commits: true}, func() error {
		next := number(g.Next)
		if g.Table.Name == "" {
			r.places[g.Sequence] = max(r.places[g.Sequence], next)
			return nil
		}
		own, err := r.table(g.Table)
		if err != nil {
			return err
		}
		if r.Flaw != GoesBack {
			next = max(next, own.next[g.Column])
		}
		own.next[g.Column] = next
		return nil
	})
}
