package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// scene is one case's database with what the cases do to it. Whatever goes wrong ends the case.
type scene struct {
	*testing.T
	cfg     Config
	ctx     context.Context
	place   Place
	run     string
	opened  []*driver.Database
	closing []func() error // pools of the builds
	tables  int
}

func (s *scene) open(side driver.Side) *driver.Database {
	s.Helper()
	return s.openFor(side, s.run)
}

// openFor opens the database for another run.
func (s *scene) openFor(side driver.Side, run string) *driver.Database {
	s.Helper()
	d := s.place.Open(s.T, side, run)
	s.opened = append(s.opened, d)
	return d
}

func (s *scene) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// class checks what an error means.
func (s *scene) class(d *driver.Database, err error, want ...driver.Class) {
	s.Helper()
	if err == nil {
		s.Fatalf("no error, want one of class %v", want)
	}
	if got := d.Dialect.Classify(err); !slices.Contains(want, got) {
		s.Fatalf("an error of class %d, want %v: %v", got, want, err)
	}
	if got := d.Dialect.Classify(fmt.Errorf("wrapped: %w", err)); !slices.Contains(want, got) {
		s.Fatalf("Classify does not know the wrapped error: class %d: %v", got, err)
	}
}

// null is NULL in the rows that cases write down.
const null = "\x00null"

// cells makes canonical cells of a row written down.
func cells(values ...string) [][]byte {
	made := make([][]byte, len(values))
	for i, v := range values {
		if v != null {
			made[i] = []byte(v)
		}
	}
	return made
}

func key(values ...string) row.Key { return row.MakeKey(cells(values...)...) }

func batch(width int, rows ...[]string) *row.Batch {
	b := row.NewBatch(width)
	for _, r := range rows {
		if err := b.AppendRow(row.MakeKey(cells(r...)...)); err != nil {
			panic(err)
		}
	}
	return b
}

// show writes a batch down, a line a row.
func show(b *row.Batch) []string {
	var lines []string
	for i := range b.Len() {
		lines = append(lines, line(b, i))
	}
	return lines
}

func line(b *row.Batch, i int) string {
	parts := make([]string, b.Width())
	for j := range parts {
		parts[j] = text(b.Cell(i, j))
	}
	return strings.Join(parts, " | ")
}

func text(cell []byte) string {
	if cell == nil {
		return "NULL"
	}
	if len(cell) > 60 {
		hi, _ := row.Seed(0).Hash(cell)
		return fmt.Sprintf("%d bytes %016x", len(cell), hi)
	}
	return strconv.Quote(string(cell))
}

// same checks that two lists of rows hold the same rows, in any order.
func (s *scene) same(what string, got, want []string) {
	s.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if slices.Equal(got, want) {
		return
	}
	s.Fatalf("%s:\n%s", what, difference(got, want))
}

// inOrder checks that two lists are the same.
func (s *scene) inOrder(what string, got, want []string) {
	s.Helper()
	if !slices.Equal(got, want) {
		s.Fatalf("%s: got\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func difference(got, want []string) string {
	count := map[string]int{}
	for _, l := range got {
		count[l]++
	}
	for _, l := range want {
		count[l]--
	}
	var out strings.Builder
	for _, l := range slices.Sorted(maps.Keys(count)) {
		switch n := count[l]; {
		case n > 0:
			fmt.Fprintf(&out, "\tnot expected, %d times: %s\n", n, l)
		case n < 0:
			fmt.Fprintf(&out, "\tmissing, %d times: %s\n", -n, l)
		}
	}
	return out.String()
}

// lines writes rows down as show does.
func lines(rows ...[]string) []string {
	if len(rows) == 0 {
		return nil
	}
	return show(batch(len(rows[0]), rows...))
}

// all drains a cursor.
func (s *scene) all(d *driver.Database, q driver.Query) []string {
	s.Helper()
	c, err := d.Reader.Read(s.ctx, q)
	s.check(err)
	defer c.Close()
	b := row.NewBatch(q.Shape.Width())
	b.AppendString("left over") // Fill resets the batch
	var got []string
	for {
		err := c.Fill(s.ctx, b)
		got = append(got, show(b)...)
		if errors.Is(err, io.EOF) {
			break
		}
		s.check(err)
	}
	s.check(c.Close())
	s.check(c.Close())
	return got
}

// rows reads a whole table.
func (s *scene) rows(d *driver.Database, t *schema.Table, shape schema.Shape) []string {
	s.Helper()
	return s.all(d, driver.Query{Table: t, Shape: shape})
}

// ledger makes the book and takes over.
func (s *scene) ledger(d *driver.Database) int64 {
	s.Helper()
	s.check(d.Ledger.Prepare(s.ctx, s.run))
	epoch, err := d.Ledger.TakeOver(s.ctx)
	s.check(err)
	return epoch
}

func intake(t *schema.Table, shape schema.Shape, epoch int64, number int) driver.Intake {
	return driver.Intake{Table: t, Shape: shape, Epoch: epoch, Range: row.Range{Number: number}}
}

// load loads one range of rows.
func (s *scene) load(d *driver.Database, in driver.Intake, rows ...[]string) error {
	s.Helper()
	l, err := d.Loader.Load(s.ctx, in)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Write(s.ctx, batch(in.Shape.Width(), rows...)); err != nil {
		return err
	}
	n, err := l.Commit(s.ctx)
	if err == nil && n != int64(len(rows)) {
		s.Fatalf("the load of %d rows says %d", len(rows), n)
	}
	return err
}

// do runs one transaction of the application.
func (s *scene) do(f func(x Tx) error) {
	s.Helper()
	s.check(s.try(f))
}

// try runs one transaction of the application and returns what went wrong.
func (s *scene) try(f func(x Tx) error) error {
	s.Helper()
	x := s.place.App.Begin(s.T)
	if err := f(x); err != nil {
		_ = x.Rollback()
		return err
	}
	return x.Commit()
}

// insert commits rows of the application.
func (s *scene) insert(t *schema.Table, rows ...[]string) {
	s.Helper()
	s.do(func(x Tx) error {
		for _, r := range rows {
			if err := x.Insert(t, cells(r...)...); err != nil {
				return err
			}
		}
		return nil
	})
}
