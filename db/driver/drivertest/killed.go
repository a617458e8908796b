package drivertest

import (
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// killedCases end the driver's sessions at the server in the middle of things: what was not committed is gone, nothing is
// taken for complete that is not, and the Database goes on with new sessions.
var killedCases = []oneCase{
	{"Idle", reading, (*scene).killedIdle},
	{"DuringALoad", reading, (*scene).killedLoad},
	{"DuringARead", reading, (*scene).killedRead},
	{"DuringABatch", capturing, (*scene).killedBatch},
}

// recovers makes calls until the pools have found out about every killed session: each may say so once.
func (s *scene) recovers(d *driver.Database, calls ...func() error) {
	s.Helper()
	for good, tries := 0, 0; good < 8; tries++ {
		if tries == 60 {
			s.Fatal("the database does not recover from killed sessions")
		}
		for _, call := range calls {
			if err := call(); err != nil {
				s.class(d, err, driver.Lost, driver.Transient)
				good = -1
			}
		}
		good++
	}
}

func (s *scene) kill() bool {
	if s.place.Kill == nil {
		s.Log("not run: the place can not kill sessions")
		return false
	}
	s.place.Kill(s.T)
	return true
}

func (s *scene) killedIdle() {
	d, t, shape := s.filled(items, item(1, ""))
	for range 3 {
		if !s.kill() {
			return
		}
		s.recovers(d, s.asks(d, t), s.reads(d, t, shape))
	}
}

func (s *scene) asks(d *driver.Database, t *schema.Table) func() error {
	return func() error {
		_, err := d.Ledger.Ranges(s.ctx, t)
		return err
	}
}

func (s *scene) reads(d *driver.Database, t *schema.Table, shape schema.Shape) func() error {
	return func() error {
		c, err := d.Reader.Read(s.ctx, driver.Query{Table: t, Shape: shape})
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Fill(s.ctx, row.NewBatch(shape.Width())); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}
}

func (s *scene) killedLoad() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	t, shape := s.table(d, items)
	l, err := d.Loader.Load(s.ctx, intake(t, shape, epoch, 1))
	s.check(err)
	defer l.Close()
	s.check(l.Write(s.ctx, batch(4, many(1, 100)...)))
	if !s.kill() {
		return
	}
	_, err = l.Commit(s.ctx)
	s.class(d, err, driver.Lost, driver.Unknown)
	s.check(l.Close())
	s.recovers(d, s.asks(d, t), s.reads(d, t, shape))
	s.same("after the kill", s.rows(d, t, shape), nil)
	s.check(s.load(d, intake(t, shape, epoch, 1), many(5, 6)...))
	s.same("rows", s.rows(d, t, shape), lines(many(5, 6)...))
	s.ranges(d, t, map[int]int64{1: 2})
}

func (s *scene) killedRead() {
	d, t, shape := s.filled(items, many(1, 30000)...)
	c, err := d.Reader.Read(s.ctx, driver.Query{Table: t, Shape: shape})
	s.check(err)
	defer c.Close()
	b := row.NewBatch(4)
	s.check(c.Fill(s.ctx, b))
	total := b.Len()
	if !s.kill() {
		return
	}
	for err == nil {
		err = c.Fill(s.ctx, b)
		total += b.Len()
	}
	if errors.Is(err, io.EOF) && total != 30000 {
		s.Fatalf("the end after %d of 30000 rows", total)
	}
	if !errors.Is(err, io.EOF) {
		s.class(d, err, driver.Lost)
	}
	if err := c.Durable(s.ctx); err == nil && total != 30000 {
		s.Error("a killed session says what it read is durable")
	}
	s.check(c.Close())
	s.recovers(d, s.asks(d, t), s.reads(d, t, shape))
}

func (s *scene) killedBatch() {
	c := s.captured(items)
	s.insert(c.t, item(1, "a"), item(2, "b"))
	r, _, _ := c.take(c.most())
	defer r.Close()
	if !s.kill() {
		return
	}
	if err := r.Durable(s.ctx, 1); err == nil {
		s.Error("a killed session says what it read is durable")
	}
	s.class(c.d, r.Forget(s.ctx, 1), driver.Lost, driver.Unknown)
	s.check(r.Close())
	s.recovers(c.d, s.reads(c.d, c.t, c.shape), func() error {
		_, err := c.d.Recorder.Backlog(s.ctx, c.t)
		return err
	}, func() error {
		r, err := c.d.Recorder.Take(s.ctx, c.most(), row.NewBatch(1), row.NewBatch(4))
		if err == nil {
			err = r.Close()
		}
		return err
	})
	c.backlog("after the kill", 2)
	c.changes("taken again", []string{"1", "2"}, item(1, "a"), item(2, "b"))
}

var togetherCases = []oneCase{
	{"Loads", reading, (*scene).loadsTogether},
	{"Lanes", applying, (*scene).lanesTogether},
}

// together runs a function in n goroutines at once.
func (s *scene) together(n int, f func(i int) error) {
	s.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	s.check(errors.Join(errs...))
}

// loadsTogether loads eight ranges with one Database at once, of two tables.
func (s *scene) loadsTogether() {
	d := s.open(driver.Target)
	epoch := s.ledger(d)
	one, shape := s.table(d, items)
	g := items
	g.name = "other"
	two, _ := s.table(d, g)
	s.together(8, func(i int) error {
		in := intake(one, shape, epoch, i)
		if i%2 == 1 {
			in.Table = two
		}
		l, err := d.Loader.Load(s.ctx, in)
		if err != nil {
			return err
		}
		defer l.Close()
		for part := range 5 {
			first := i*1000 + part*100
			if err := l.Write(s.ctx, batch(4, many(first, first+99)...)); err != nil {
				return err
			}
		}
		_, err = l.Commit(s.ctx)
		return err
	})
	for k, t := range []string{"items", "other"} {
		var want [][]string
		for i := k; i < 8; i += 2 {
			want = append(want, many(i*1000, i*1000+499)...)
		}
		table := one
		if k == 1 {
			table = two
		}
		s.same(t, s.rows(d, table, shape), lines(want...))
	}
}

// lanesTogether applies batches of four lanes at once.
func (s *scene) lanesTogether() {
	r := s.ready(items, many(0, 399)...)
	s.together(4, func(lane int) error {
		for n := range 5 {
			if err := r.round(lane, n); err != nil {
				return err
			}
		}
		return nil
	})
	var want [][]string
	for i := range 400 {
		want = append(want, item(i, "round 4"))
	}
	r.want("after five rounds", want...)
	for lane := range 4 {
		r.numbered(lane, 5)
	}
	n, err := r.d.Lists.Count(s.ctx, driver.Changed, r.t)
	if err != nil || n != 400 {
		s.Errorf("%d changed keys, want 400, %v", n, err)
	}
	r.listed(driver.Repairs)
}

// round applies one batch of a lane, again when a lock was not to be had.
func (r *ready) round(lane, n int) error {
	d := driver.Delta{
		Table: r.t, Shape: r.shape, Lane: lane, Epoch: r.epoch, Number: int64(n + 1), By: promiser,
		Keys: row.NewBatch(1), Images: row.NewBatch(4), Note: true,
	}
	for i := lane; i < 400; i += 4 {
		d.Keys.AppendString(strconv.Itoa(i))
		for _, cell := range item(i, "round "+strconv.Itoa(n)) {
			d.Images.AppendString(cell)
		}
	}
	err := r.d.Applier.Apply(r.ctx, d)
	for tries := 0; tries < 20 && err != nil && r.d.Dialect.Classify(err) == driver.Transient; tries++ {
		err = r.d.Applier.Apply(r.ctx, d)
	}
	return err
}
