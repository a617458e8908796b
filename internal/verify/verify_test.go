package verify_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// stock is a table on two servers, its name and note free to hold anything.
func stock(keyed string) (*schema.Table, schema.Shape) {
	id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Precision: 64}}
	name := &schema.Column{Name: "name", Type: schema.Type{Kind: row.Text}, Null: true}
	note := &schema.Column{Name: "note", Type: schema.Type{Kind: row.Bytes}, Null: true}
	t := &schema.Table{Name: schema.Name{Schema: "main", Name: "stock"}, Number: 1, Columns: []*schema.Column{id, name, note}}
	s := schema.Shape{Columns: []schema.ShapeColumn{{Column: id, Cell: row.Int}, {Column: name, Cell: row.Text}, {Column: note, Cell: row.Bytes}}}
	if keyed != "" {
		t.Primary = &schema.Key{Name: "pk", Columns: []schema.Part{{Column: keyed}}, Constraint: true}
		s.Key = []int{0}
	}
	return t, s
}

type sides struct {
	source, target *memory.Server
	table          *schema.Table
	pair           verify.Pair
}

func newSides(t *testing.T, rows int, keyed string) *sides {
	t.Helper()
	s := &sides{source: memory.New("source"), target: memory.New("target")}
	var shape schema.Shape
	s.table, shape = stock(keyed)
	for _, server := range []*memory.Server{s.source, s.target} {
		check(t, server.Create(s.table))
		x := server.Begin()
		for i := range rows {
			check(t, x.Insert(s.table.Name, cells(strconv.Itoa(i), "name "+strconv.Itoa(i), "note")...))
		}
		check(t, x.Commit())
	}
	s.pair = verify.Pair{
		Source: verify.Side{Database: s.source.Open(driver.Source), Table: s.table, Shape: shape},
		Target: verify.Side{Database: s.target.Open(driver.Target), Table: s.table, Shape: shape}, Seed: 42,
	}
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func cells(texts ...string) [][]byte {
	all := make([][]byte, len(texts))
	for i, text := range texts {
		if text != "NULL" {
			all[i] = []byte(text)
		}
	}
	return all
}

func (s *sides) change(t *testing.T, do func(x *memory.Tx) error) {
	t.Helper()
	x := s.target.Begin()
	check(t, do(x))
	check(t, x.Commit())
}

func TestEqualTablesAreEqual(t *testing.T) {
	for _, rows := range []int{0, 1, 5000} {
		tally, err := verify.Compare(t.Context(), newSides(t, rows, "id").pair, 10)
		check(t, err)
		if !tally.Equal() || tally.Source != tally.Target || tally.Source.Rows != uint64(rows) {
			t.Fatalf("%d rows: %+v", rows, tally)
		}
	}
}

// Each kind of difference must be found, at its key.
func TestEveryKindOfDifferenceIsFound(t *testing.T) {
	at := func(id string, name, note string) func(n schema.Name, x *memory.Tx) error {
		return func(n schema.Name, x *memory.Tx) error {
			return x.Update(n, row.MakeKey([]byte(id)), cells(id, name, note)...)
		}
	}
	cases := map[string]struct {
		change func(n schema.Name, x *memory.Tx) error
		what   []verify.What
	}{
		"missing row":         {func(n schema.Name, x *memory.Tx) error { return x.Delete(n, row.MakeKey([]byte("7"))) }, []verify.What{verify.Missing}},
		"extra row":           {func(n schema.Name, x *memory.Tx) error { return x.Insert(n, cells("1000", "a", "b")...) }, []verify.What{verify.Extra}},
		"one bit":             {at("7", "name 7", "nota"), []verify.What{verify.Unlike}},
		"NULL, not empty":     {at("7", "name 7", "NULL"), []verify.What{verify.Unlike}},
		"empty":               {at("7", "", "note"), []verify.What{verify.Unlike}},
		"trailing blank":      {at("7", "name 7 ", "note"), []verify.What{verify.Unlike}},
		"border moved":        {at("7", "name 7n", "ote"), []verify.What{verify.Unlike}},
		"columns swapped":     {at("7", "note", "name 7"), []verify.What{verify.Unlike}},
		"another row's cells": {at("7", "name 8", "note"), []verify.What{verify.Unlike}},
		"two rows swapped": {func(n schema.Name, x *memory.Tx) error {
			if err := at("7", "name 8", "note")(n, x); err != nil {
				return err
			}
			return at("8", "name 7", "note")(n, x)
		}, []verify.What{verify.Unlike, verify.Unlike}},
		"key changed": {func(n schema.Name, x *memory.Tx) error {
			return x.Update(n, row.MakeKey([]byte("7")), cells("1007", "name 7", "note")...)
		}, []verify.What{verify.Extra, verify.Missing}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSides(t, 300, "id")
			s.change(t, func(x *memory.Tx) error { return c.change(s.table.Name, x) })
			tally, err := verify.Compare(t.Context(), s.pair, 10)
			check(t, err)
			if tally.Equal() || len(tally.Differing) != len(c.what) {
				t.Fatalf("%+v", tally)
			}
			for _, want := range c.what {
				found := false
				for _, d := range tally.Differing {
					found = found || d.What == want
				}
				if !found {
					t.Errorf("no %s key among %+v", want, tally.Differing)
				}
			}
		})
	}
}

func TestATableWithoutAKeyIsComparedAsABag(t *testing.T) {
	s := newSides(t, 50, "")
	s.change(t, func(x *memory.Tx) error { return x.Insert(s.table.Name, cells("3", "name 3", "note")...) })
	tally, err := verify.Compare(t.Context(), s.pair, 10)
	check(t, err)
	if len(tally.Differing) != 1 || tally.Differing[0].What != verify.Extra {
		t.Fatalf("a row that is there twice: %+v", tally)
	}
}

func TestManyDifferencesAreCutOff(t *testing.T) {
	s := newSides(t, 300, "id")
	s.change(t, func(x *memory.Tx) error { return x.Truncate(s.table.Name) })
	tally, err := verify.Compare(t.Context(), s.pair, 100)
	check(t, err)
	if len(tally.Differing) != 100 || !tally.More {
		t.Fatalf("%d keys, more %v", len(tally.Differing), tally.More)
	}
}

func TestASampleCountsEveryRow(t *testing.T) {
	s := newSides(t, 300, "id")
	tally, err := verify.Sample(t.Context(), s.pair, 3, 10)
	check(t, err)
	if !tally.Equal() {
		t.Fatalf("%+v", tally)
	}
	s.change(t, func(x *memory.Tx) error { return x.Delete(s.table.Name, row.MakeKey([]byte("250"))) })
	if tally, err = verify.Sample(t.Context(), s.pair, 3, 10); err != nil || tally.Equal() {
		t.Fatalf("a missing row was not counted: %+v, %v", tally, err)
	}
}

// follower pretends to be a table's replay: catching up copies what was pending.
type follower func() error

// CaughtUp does what was pending.
func (f follower) CaughtUp(context.Context) error { return f() }

func TestALiveComparisonWaitsForWhatIsOnItsWay(t *testing.T) {
	s := newSides(t, 300, "id")
	x := s.source.Begin()
	check(t, x.Update(s.table.Name, row.MakeKey([]byte("9")), cells("9", "changed", "note")...))
	check(t, x.Commit())
	calls := 0
	tally, err := verify.Live(t.Context(), s.pair, follower(func() error {
		if calls++; calls == 3 { // the change arrives late
			s.change(t, func(x *memory.Tx) error {
				return x.Update(s.table.Name, row.MakeKey([]byte("9")), cells("9", "changed", "note")...)
			})
		}
		return nil
	}), 10)
	check(t, err)
	if !tally.Equal() || calls < 3 {
		t.Fatalf("after %d waits: %+v", calls, tally)
	}
}

// An error while suspects are looked at again must not read as equal.
func TestALiveComparisonThatBreaksOffIsNoVerdict(t *testing.T) {
	verify.SetEnough(t, 10)
	s := newSides(t, 300, "id")
	s.change(t, func(x *memory.Tx) error { return x.Truncate(s.table.Name) })
	calls := 0
	_, err := verify.Live(t.Context(), s.pair, follower(func() error {
		if calls++; calls > 1 {
			return errors.New("the session is gone")
		}
		return nil
	}), 10)
	if err == nil {
		t.Fatal("a comparison that broke off gave a verdict")
	}
}

func TestALiveComparisonFindsWhatNobodyNoted(t *testing.T) {
	s := newSides(t, 300, "id")
	check(t, s.pair.Target.Database.Ledger.Prepare(t.Context(), "r"))
	s.change(t, func(x *memory.Tx) error { return x.Delete(s.table.Name, row.MakeKey([]byte("9"))) })
	tally, err := verify.Live(t.Context(), s.pair, follower(func() error { return nil }), 10)
	check(t, err)
	if len(tally.Differing) != 1 || string(tally.Differing[0].Key[4:]) != "9" {
		t.Fatalf("%+v", tally)
	}
}

// changed puts the keys 0 to 19 on the target's changed list.
func (s *sides) changed(t *testing.T) *driver.Database {
	t.Helper()
	target := s.pair.Target.Database
	check(t, target.Ledger.Prepare(t.Context(), "r"))
	keys := row.NewBatch(1)
	for i := range 20 {
		keys.AppendString(strconv.Itoa(i))
	}
	check(t, target.Lists.Put(t.Context(), driver.Changed, s.table, keys))
	return target
}

// What differs stays on the changed list, which the downtime compares: only what is equal is struck.
func TestWhatDiffersIsNotStruck(t *testing.T) {
	s := newSides(t, 300, "id")
	target := s.changed(t)
	s.change(t, func(x *memory.Tx) error { return x.Delete(s.table.Name, row.MakeKey([]byte("17"))) })
	struck, err := verify.Strike(t.Context(), s.pair, follower(func() error { return nil }))
	check(t, err)
	left := row.NewBatch(1)
	_, err = target.Lists.Peek(t.Context(), driver.Changed, s.table, 100, left)
	check(t, err)
	if struck.Looked != 20 || struck.Struck != 19 || left.Len() != 1 || string(left.Cell(0, 0)) != "17" {
		t.Fatalf("%+v, and %d keys are left", struck, left.Len())
	}
}

// briefLists tell at most a few keys of a list at a time, as those of a table that many write to would.
type briefLists struct{ driver.Lists }

// Peek tells one key.
func (l briefLists) Peek(ctx context.Context, list driver.List, t *schema.Table, most int, keys *row.Batch) (int64, error) {
	return l.Lists.Peek(ctx, list, t, min(most, 1), keys)
}

// A key that is on the changed list is no difference, however long the list is: it used to be read up to a million keys.
func TestALiveComparisonAsksForItsKeysAlone(t *testing.T) {
	s := newSides(t, 300, "id")
	target := s.changed(t)
	target.Lists = briefLists{target.Lists}
	s.change(t, func(x *memory.Tx) error {
		for _, id := range []string{"3", "17", "200"} {
			if err := x.Delete(s.table.Name, row.MakeKey([]byte(id))); err != nil {
				return err
			}
		}
		return nil
	})
	tally, err := verify.Live(t.Context(), s.pair, follower(func() error { return nil }), 10)
	check(t, err)
	if len(tally.Differing) != 1 || string(tally.Differing[0].Key[4:]) != "200" || tally.Left != 2 || tally.Again != 3 {
		t.Fatalf("%+v", tally)
	}
}

// A sample finds what is in the ranges that it reads, and a row that is missing or too many anywhere, by the counts; a value
// that differs elsewhere it may miss, and does. The tally says which ranges were read.
func TestASampleFindsWhatItReads(t *testing.T) {
	const rows = 5000
	s := newSides(t, rows, "id")
	seen, missed := 0, 0
	for i := 50; i < rows; i += 100 {
		id := strconv.Itoa(i)
		s.change(t, func(x *memory.Tx) error {
			return x.Update(s.table.Name, row.MakeKey([]byte(id)), cells(id, "another", "note")...)
		})
		tally, err := verify.Sample(t.Context(), s.pair, 2, 10)
		check(t, err)
		switch {
		case len(tally.Ranges) == 0 || len(tally.Ranges) > 4:
			t.Fatalf("a sample of two ranges read %d", len(tally.Ranges))
		case tally.Equal():
			missed++
		case len(tally.Differing) == 1 && tally.Differing[0].What == verify.Unlike:
			seen++
		}
		s.change(t, func(x *memory.Tx) error {
			return x.Update(s.table.Name, row.MakeKey([]byte(id)), cells(id, "name "+id, "note")...)
		})
	}
	if seen == 0 || missed == 0 || seen+missed != rows/100 {
		t.Errorf("%d differences were seen and %d missed, of %d", seen, missed, rows/100)
	}
	s.change(t, func(x *memory.Tx) error { return x.Insert(s.table.Name, cells("77777", "more", "note")...) })
	if tally, err := verify.Sample(t.Context(), s.pair, 2, 10); err != nil || tally.Equal() {
		t.Errorf("a row too many was not counted: %+v, %v", tally, err)
	}
}
