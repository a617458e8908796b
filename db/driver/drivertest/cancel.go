package drivertest

import (
	"context"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var cancelCases = []oneCase{
	{"BeforeACall", append([]string{"Capturer", "Recorder", "Gate"}, applying...), (*scene).cancelledCalls},
	{"DuringALoad", reading, (*scene).cancelledLoad},
	{"DuringARead", reading, (*scene).cancelledRead},
	{"DuringABatch", capturing, (*scene).cancelledBatch},
	{"OtherSessionsGoOn", reading, (*scene).cancelledBeside},
	{"ByClosing", reading, (*scene).closedDuring},
}

// cancelledCalls makes every kind of call with a context that is over: an error, nothing done, and a usable database.
func (s *scene) cancelledCalls() {
	r := s.ready(items, item(1, "a"))
	over, cancel := context.WithCancel(s.ctx)
	cancel()
	tables := []*schema.Table{r.t}
	keys, images := row.NewBatch(1), row.NewBatch(4)
	calls := map[string]func() error{
		"Apply":  func() error { d := r.delta([]string{"1"}); r.number--; return r.d.Applier.Apply(over, d) },
		"Clear":  func() error { return r.d.Ledger.Clear(over, r.t, r.epoch) },
		"Ranges": func() error { _, err := r.d.Ledger.Ranges(over, r.t); return err },
		"Peek":   func() error { _, err := r.d.Lists.Peek(over, driver.Repairs, r.t, 10, keys); return err },
		"Load": func() error {
			l, err := r.d.Loader.Load(over, intake(r.t, r.shape, r.epoch, 9))
			if err == nil {
				_ = l.Close()
			}
			return err
		},
		"Read": func() error {
			c, err := r.d.Reader.Read(over, driver.Query{Table: r.t, Shape: r.shape})
			if err == nil {
				err = c.Fill(over, images)
				_ = c.Close()
			}
			return err
		},
	}
	for what, call := range calls {
		for range 3 {
			if err := call(); err == nil {
				s.Errorf("%s does not mind that its context is over", what)
			}
		}
	}
	source := s.open(driver.Source)
	for what, call := range map[string]func() error{
		"Install": func() error { return source.Capturer.Install(over, r.t, r.shape, s.cfg.Wait) },
		"Shut":    func() error { return source.Gate.Shut(over, tables, s.cfg.Wait) },
		"Prove":   func() error { return source.Gate.Prove(over, tables, s.cfg.Wait) },
	} {
		if err := call(); err == nil {
			s.Errorf("%s does not mind that its context is over", what)
		}
	}
	r.want("nothing was done", item(1, "a"))
	r.numbered(0, 0)
	r.ranges(r.d, r.t, map[int]int64{1: 1})
	r.apply([]string{"1"}, item(1, "b"))
	s.insert(r.t, item(2, ""))
	r.want("and it works", item(1, "b"), item(2, ""))
}

func (s *scene) cancelledLoad() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	for range 6 { // more than there are sessions
		ctx, cancel := context.WithCancel(s.ctx)
		l, err := d.Loader.Load(ctx, intake(t, shape, epoch, 1))
		s.check(err)
		s.check(l.Write(ctx, batch(4, many(1, 500)...)))
		cancel()
		if _, err := l.Commit(ctx); err == nil {
			s.Fatal("a load commits after its context is over")
		}
		s.check(l.Close())
	}
	s.same("rows", s.rows(d, t, shape), nil)
	s.ranges(d, t, map[int]int64{})
	s.check(s.load(d, intake(t, shape, epoch, 1), item(1, "")))
}

func (s *scene) cancelledRead() {
	d, t, shape := s.filled(items, many(1, 20000)...)
	for range 6 {
		ctx, cancel := context.WithCancel(s.ctx)
		c, err := d.Reader.Read(ctx, driver.Query{Table: t, Shape: shape})
		s.check(err)
		b := row.NewBatch(4)
		s.check(c.Fill(ctx, b))
		cancel()
		for err == nil {
			err = c.Fill(ctx, b)
			if b.Len() > 0 && len(b.Row(b.Len()-1)) == 0 {
				s.Error("an incomplete row")
			}
		}
		s.check(c.Close())
	}
	if got := s.all(d, driver.Query{Table: t, Shape: shape.Keys()}); len(got) != 20000 {
		s.Errorf("%d rows after cancelled reads, want 20000", len(got))
	}
}

func (s *scene) cancelledBatch() {
	c := s.captured(items)
	s.insert(c.t, many(1, 10)...)
	for range 6 {
		ctx, cancel := context.WithCancel(s.ctx)
		r, err := c.d.Recorder.Take(ctx, c.most(), row.NewBatch(1), row.NewBatch(4))
		s.check(err)
		cancel()
		if err := r.Forget(ctx, 1); err == nil {
			s.Fatal("entries are forgotten after the context is over")
		}
		s.check(r.Close())
	}
	c.backlog("nothing forgotten", 10)
	var keys []string
	for _, one := range many(1, 10) {
		keys = append(keys, one[0])
	}
	c.changes("taken again", keys, many(1, 10)...)
}

// cancelledBeside ends one cursor while another is open.
func (s *scene) cancelledBeside() {
	d, t, shape := s.filled(items, many(1, 12000)...)
	stays, err := d.Reader.Read(s.ctx, driver.Query{Table: t, Shape: shape})
	s.check(err)
	defer stays.Close()
	b := row.NewBatch(4)
	s.check(stays.Fill(s.ctx, b))
	total := b.Len()
	ctx, cancel := context.WithCancel(s.ctx)
	goes, err := d.Reader.Read(ctx, driver.Query{Table: t, Shape: shape})
	s.check(err)
	s.check(goes.Fill(ctx, b))
	cancel()
	_ = goes.Fill(ctx, b)
	s.check(goes.Close())
	for err == nil {
		err = stays.Fill(s.ctx, b)
		total += b.Len()
	}
	if total != 12000 {
		s.Errorf("%d rows of 12000, then %v", total, err)
	}
}

// closedDuring closes a database under an open cursor and an open load: Close ends every session.
func (s *scene) closedDuring() {
	d, t, shape := s.filled(items, many(1, 12000)...)
	epoch, err := d.Ledger.TakeOver(s.ctx)
	s.check(err)
	c, err := d.Reader.Read(s.ctx, driver.Query{Table: t, Shape: shape})
	s.check(err)
	b := row.NewBatch(4)
	s.check(c.Fill(s.ctx, b))
	l, err := d.Loader.Load(s.ctx, intake(t, shape, epoch, 2))
	s.check(err)
	s.check(l.Write(s.ctx, batch(4, item(20000, ""))))
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	select {
	case err := <-closed:
		s.check(err)
	case <-time.After(20 * time.Second):
		s.Error("Close waits for a cursor and a load that nobody closes")
	}
	if _, err := l.Commit(s.ctx); err == nil {
		s.Error("a load commits after its database was closed")
	}
	s.check(l.Close())
	s.check(c.Close())
	again := s.open(driver.Target)
	s.ranges(again, t, map[int]int64{1: 12000})
}
