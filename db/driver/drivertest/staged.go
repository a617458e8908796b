package drivertest

import (
	"slices"

	"github.com/whimbrel/whimbrel/db/driver"
)

var staging = append(slices.Clone(applying), "Stager")

var stageCases = []oneCase{
	{"TwoBatchesInTheirOrder", staging, (*scene).stagedInOrder},
	{"ClosedBeforeItsTurn", staging, (*scene).stagedAndClosed},
	{"AnOldEpoch", staging, (*scene).stagedFenced},
	{"RowsOfAnotherKeyInTheWay", staging, (*scene).stagedDisplaces},
	{"FailsAsAWhole", staging, (*scene).stagedFails},
}

// stage stages a delta; its number and the rest are for Apply.
func (r *ready) stage(d driver.Delta) driver.Staged {
	r.Helper()
	staged, err := r.d.Stager.Stage(r.ctx, driver.Delta{Table: d.Table, Shape: d.Shape, Lane: d.Lane, Epoch: d.Epoch, Keys: d.Keys, Images: d.Images}, false)
	r.check(err)
	return staged
}

// Two batches wait at the same time and have one key in common; the one whose turn is later was read later.
func (s *scene) stagedInOrder() {
	r := s.ready(items, item(1, "one"), item(2, "two"))
	for n := range 3 {
		first, second := r.delta([]string{"1", "2"}, item(1, "uno")), r.delta([]string{"1", "3"}, item(1, "eins"), item(3, "drei"))
		second.Note = true
		a := r.stage(first)
		b := r.stage(second)
		if n == 0 {
			r.want("staged only", item(1, "one"), item(2, "two"))
			r.numbered(0, 0)
		}
		s.check(a.Apply(s.ctx, first))
		if err := a.Apply(s.ctx, first); err == nil {
			s.Error("a batch was applied twice")
		}
		a.Close()
		if n == 0 {
			r.want("the first", item(1, "uno"))
		}
		s.check(b.Apply(s.ctx, second))
		b.Close()
		b.Close()
		r.want("the second", item(1, "eins"), item(3, "drei"))
		r.numbered(0, int64(2*n+2))
		r.listed(driver.Changed, "1", "3")
	}
	again := r.delta([]string{"1"})
	again.Number--
	late := r.stage(again)
	defer late.Close()
	s.class(r.d, late.Apply(s.ctx, again), driver.Exists)
	r.want("a number that was applied", item(1, "eins"), item(3, "drei"))
}

// What was undone must not be there when the session is used again: rows of an earlier batch would come back with keys alone.
func (s *scene) stagedAndClosed() {
	r := s.ready(items, item(1, "one"))
	for range 3 {
		r.apply([]string{"1", "2"}, item(1, "uno"), item(2, "due"))
		never := r.stage(r.delta([]string{"1"}))
		never.Close()
		r.number--
		r.want("closed", item(1, "uno"), item(2, "due"))
		r.apply([]string{"1", "2"})
		r.want("keys alone")
		r.apply([]string{"7"}, item(7, "sept"))
		r.want("another row", item(7, "sept"))
		never = r.stage(r.delta([]string{"5"}, item(5, "five")))
		never.Close()
		r.number--
		r.apply([]string{"7"})
		r.want("keys alone again")
	}
}

func (s *scene) stagedFenced() {
	r := s.ready(items, item(1, ""))
	d := r.delta([]string{"1"})
	late := r.stage(d)
	defer late.Close()
	newer := s.open(driver.Target)
	_, err := newer.Ledger.TakeOver(s.ctx)
	s.check(err)
	if err := late.Apply(s.ctx, d); err == nil {
		s.Error("a batch of an older epoch was applied")
	} else if class := r.d.Dialect.Classify(err); class != driver.Fenced && class != driver.Lost {
		s.Errorf("a batch of an older epoch: %v (%v)", err, class)
	}
	r.want("untouched", item(1, ""))
	r.numbered(0, 0)
}

// The rows that stand in the way are those of the batch's turn, not of the time when it was staged.
func (s *scene) stagedDisplaces() {
	r := s.ready(named(), item(1, "a"), item(2, "b"))
	first, second := r.delta([]string{"3"}, item(3, "c")), r.delta([]string{"4"}, item(4, "c"))
	a := r.stage(first)
	defer a.Close()
	b := r.stage(second)
	defer b.Close()
	s.check(a.Apply(s.ctx, first))
	s.check(b.Apply(s.ctx, second))
	r.want("the second took the value", item(1, "a"), item(2, "b"), item(4, "c"))
	r.listed(driver.Repairs, "3")
}

func (s *scene) stagedFails() {
	g := items
	g.columns = slices.Clone(items.columns)
	g.columns[1].null = false
	r := s.ready(g, item(1, "one"))
	d := r.delta([]string{"1", "2"}, item(1, "uno"), item(2, ""))
	staged, err := r.d.Stager.Stage(s.ctx, d, false)
	if err == nil {
		err = staged.Apply(s.ctx, d)
		staged.Close()
	}
	if err == nil {
		s.Error("NULL went into a column that has none")
	}
	r.want("after the error", item(1, "one"))
	r.numbered(0, 0)
	d.Images = batch(4, item(1, "uno"))
	s.check(r.d.Applier.Apply(s.ctx, d))
	r.want("with good rows", item(1, "uno"))
}
