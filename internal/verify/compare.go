// Package verify proves that two tables hold the same rows. Both sides are read independently, each in whatever order its
// server likes, by code that shares nothing with the load's ranges or the replay's keys; rows become sums, spread over
// buckets by the hash of their key, so that equal tables cost one reading of each side and 12 MiB, and unequal ones are
// drilled down to their keys. A sum is of the canonical cells, so a value that changed its meaning on the way is a
// difference, and a value that two products spell differently is none.
package verify

import (
	"context"
	"fmt"
	"sync"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Pair is a table on both sides, with every column that is compared.
type Pair struct {
	Source, Target Side
	Seed           row.Seed // of this run: nobody could choose rows by it
	Pace           load.Pace
}

// Side is one side's table.
type Side struct {
	Database *driver.Database
	Table    *schema.Table
	Shape    schema.Shape
}

// Tally is the outcome of one comparison: what was read, what of it was looked at again, and what differs.
type Tally struct {
	Source, Target row.Sum
	Differing      []Difference // at most as many as were asked for
	More           bool         // there are more than these
	Unequal        int          // parts of the table, by the hash of the key, whose sums were not equal at once
	Again          int          // keys that were looked at again, because the table moved
	Left           int          // those of them that still moved: they are on the changed list, and compared later
	Ranges         []row.Range  // a sample: those whose rows were compared; else all were
}

// Equal reports that both sides hold the same rows.
func (t Tally) Equal() bool { return len(t.Differing) == 0 }

// Difference is one key whose rows are not the same.
type Difference struct {
	Key     []byte // the key's run of framed cells; the row's digest where the table has no key
	What    What
	Columns []string // Unlike: those that differ, where Explain was asked
}

// What says how a key differs.
type What string

// Missing: the row is at the source only; Extra: at the target only; Unlike: both have it, with other cells.
const (
	Missing What = "missing"
	Extra   What = "extra"
	Unlike  What = "unlike"
)

const (
	bucketBits = 18      // 6 MiB of sums a side
	smallBits  = 8       // for a table that the catalog knows to be small: what was not foreseen costs only a longer drill
	hold       = 400_000 // the most rows held by key at one time while drilling down
)

// Compare reads both sides once and, if their sums are not equal, the unequal buckets again until the keys are found, at most
// that many. Neither side may change meanwhile; a moving table is compared by Live.
func Compare(ctx context.Context, p Pair, most int) (Tally, error) {
	tally, unequal, err := p.sums(ctx)
	if err != nil || len(unequal) == 0 {
		return tally, err
	}
	err = p.drill(ctx, unequal, func(d Difference) bool {
		if len(tally.Differing) == most {
			tally.More = true
			return false
		}
		tally.Differing = append(tally.Differing, d)
		return true
	})
	if err == nil && len(tally.Differing) == 0 {
		err = fmt.Errorf("%s changed while it was compared: sums differ, rows do not", p.Target.Table.Name)
	}
	return tally, err
}

// buckets are the sums of one side, by the first bits of the key's hash.
type buckets []row.Sum

// sums reads both sides at the same time and returns the numbers of the unequal buckets.
func (p Pair) sums(ctx context.Context) (Tally, map[int]struct{}, error) {
	var sides [2]buckets
	if err := p.both(ctx, func(ctx context.Context, i int, s Side) error {
		sides[i] = make(buckets, 1<<p.bits())
		return p.each(ctx, s, nil, func(b *row.Batch, at int, key []byte) error {
			sides[i][p.bucket(key)].AddRow(p.Seed, b.Row(at))
			return nil
		})
	}); err != nil {
		return Tally{}, nil, err
	}
	var tally Tally
	unequal := map[int]struct{}{}
	for i := range sides[0] {
		tally.Source.Add(sides[0][i])
		tally.Target.Add(sides[1][i])
		if sides[0][i] != sides[1][i] {
			unequal[i] = struct{}{}
		}
	}
	tally.Unequal = len(unequal)
	return tally, unequal, nil
}

func (p Pair) bucket(key []byte) int {
	hi, _ := p.Seed.Hash(key)
	return int(hi >> (64 - p.bits()))
}

// bits is how many bits of the hash choose a bucket.
func (p Pair) bits() int {
	if t := p.Source.Table; t.Bytes >= 0 && t.Bytes < 1<<20 {
		return smallBits
	}
	return bucketBits
}

// both runs read for the two sides at the same time; the first error ends both.
func (p Pair) both(ctx context.Context, read func(ctx context.Context, i int, s Side) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i, s := range []Side{p.Source, p.Target} {
		if p.Pace == load.Careful {
			wg.Wait() // one side after the other
		}
		wg.Go(func() {
			if err := read(ctx, i, s); err != nil {
				cancel(fmt.Errorf("read %s at the %s: %w", s.Table.Name, []driver.Side{driver.Source, driver.Target}[i], err))
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// each reads a side, whole or the rows of these keys, and calls use for every row with its key.
func (p Pair) each(ctx context.Context, s Side, keys *row.Batch, use func(b *row.Batch, at int, key []byte) error) error {
	cursor, err := s.Database.Reader.Read(ctx, driver.Query{Table: s.Table, Shape: s.Shape, Keys: keys})
	if err != nil {
		return err
	}
	defer cursor.Close()
	var key []byte
	return p.Pace.Read(ctx, cursor, s.Shape.Width(), func(b *row.Batch) error {
		for i := range b.Len() {
			if key = b.AppendKey(key[:0], i, s.Shape.Key); len(s.Shape.Key) == 0 {
				digest := p.Seed.Digest(b.Row(i)) // a row without a key is known by its own hash
				key = append(key, digest[:]...)
			}
			if err := use(b, i, key); err != nil {
				return err
			}
		}
		return nil
	})
}
