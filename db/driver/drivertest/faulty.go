package drivertest

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Fault is an error that a test injects, with its class.
type Fault struct {
	Class driver.Class
	Op    string
}

// Error names the operation.
func (f *Fault) Error() string { return "injected fault: " + f.Op }

// Faulty returns a Database that does what d does and asks fault before and after every call that reaches the database:
// "before Load.Commit", "after Load.Commit". An error before means that the call is not made, an error after that it was
// made and its answer lost. Errors that are a *Fault are classified by it. The names are those of db/memory.
func Faulty(d *driver.Database, fault func(op string) error) *driver.Database {
	h, w := hook(fault), *d
	w.Dialect = faultyDialect{d.Dialect}
	wrap[driver.Inspector](&w.Inspector, faultyInspector{d.Inspector, h})
	wrap[driver.Executor](&w.Executor, faultyExecutor{d.Executor, h})
	wrap[driver.Splitter](&w.Splitter, faultySplitter{d.Splitter, h})
	wrap[driver.Reader](&w.Reader, faultyReader{d.Reader, h})
	wrap[driver.Loader](&w.Loader, faultyLoader{d.Loader, h})
	wrap[driver.Pipe](&w.Pipe, faultyPipe{d.Pipe, h})
	wrap[driver.Ledger](&w.Ledger, faultyLedger{d.Ledger, h})
	wrap[driver.Lists](&w.Lists, faultyLists{d.Lists, h})
	wrap[driver.Applier](&w.Applier, faultyApplier{d.Applier, h})
	wrap[driver.Stager](&w.Stager, faultyStager{d.Stager, h})
	wrap[driver.Capturer](&w.Capturer, faultyCapturer{d.Capturer, h})
	wrap[driver.Recorder](&w.Recorder, faultyRecorder{d.Recorder, h})
	wrap[driver.Watcher](&w.Watcher, faultyWatcher{d.Watcher, h})
	wrap[driver.Gate](&w.Gate, faultyGate{d.Gate, h})
	wrap[driver.Guard](&w.Guard, faultyGuard{d.Guard, h})
	wrap[driver.Sequencer](&w.Sequencer, faultySequencer{d.Sequencer, h})
	faultyRelease(&w, d, h)
	return &w
}

// wrap puts the wrapper in the place of a role that is there.
func wrap[R comparable](place *R, wrapper R) {
	var none R
	if *place != none {
		*place = wrapper
	}
}

type hook func(op string) error

func (h hook) around(op string, f func() error) error {
	if err := h("before " + op); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return h("after " + op)
}

type faultyDialect struct{ driver.Dialect }

func (d faultyDialect) Classify(err error) driver.Class {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Class
	}
	return d.Dialect.Classify(err)
}

type faultyInspector struct {
	driver.Inspector
	h hook
}

func (f faultyInspector) Inspect(ctx context.Context, schemas []string) (found *schema.Schema, err error) {
	err = f.h.around("Inspector.Inspect", func() (err error) { found, err = f.Inspector.Inspect(ctx, schemas); return err })
	return found, err
}

type faultyExecutor struct {
	driver.Executor
	h hook
}

func (f faultyExecutor) Execute(ctx context.Context, s driver.Statement) error {
	return f.h.around("Executor.Execute", func() error { return f.Executor.Execute(ctx, s) })
}

type faultySplitter struct {
	driver.Splitter
	h hook
}

func (f faultySplitter) Split(ctx context.Context, t *schema.Table, s schema.Shape, rows int64) iter.Seq2[row.Range, error] {
	return func(yield func(row.Range, error) bool) {
		if err := f.h("before Splitter.Split"); err != nil {
			yield(row.Range{}, err)
			return
		}
		for r, err := range f.Splitter.Split(ctx, t, s, rows) {
			if !yield(r, err) {
				return
			}
		}
		if err := f.h("after Splitter.Split"); err != nil {
			yield(row.Range{}, err)
		}
	}
}

type faultyReader struct {
	driver.Reader
	h hook
}

func (f faultyReader) Read(ctx context.Context, q driver.Query) (driver.Cursor, error) {
	var c driver.Cursor
	err := f.h.around("Reader.Read", func() (err error) { c, err = f.Reader.Read(ctx, q); return err })
	if err != nil {
		return nil, closed(c, err)
	}
	return &faultyCursor{Cursor: c, h: f.h}, nil
}

// closed gives back what was opened though its answer is lost.
func closed(c io.Closer, err error) error {
	if c != nil {
		return errors.Join(err, c.Close())
	}
	return err
}

// faultyCursor is spent after an error, as the contract says.
type faultyCursor struct {
	driver.Cursor
	h     hook
	spent error
}

func (f *faultyCursor) Fill(ctx context.Context, b *row.Batch) error {
	if f.spent != nil {
		b.Reset()
		return f.spent
	}
	err := f.h("before Cursor.Fill")
	if err == nil {
		err = f.Cursor.Fill(ctx, b)
		if after := f.h("after Cursor.Fill"); after != nil {
			err = after
		}
	} else {
		b.Reset()
	}
	f.spent = err
	return err
}

func (f *faultyCursor) Durable(ctx context.Context) error {
	return f.h.around("Cursor.Durable", func() error { return f.Cursor.Durable(ctx) })
}

type faultyLoader struct {
	driver.Loader
	h hook
}

func (f faultyLoader) Load(ctx context.Context, in driver.Intake) (driver.Load, error) {
	var l driver.Load
	err := f.h.around("Loader.Load", func() (err error) { l, err = f.Loader.Load(ctx, in); return err })
	if err != nil {
		return nil, closed(l, err)
	}
	return &faultyLoad{l, f.h}, nil
}

type faultyLoad struct {
	driver.Load
	h hook
}

func (f *faultyLoad) Write(ctx context.Context, b *row.Batch) error {
	return f.h.around("Load.Write", func() error { return f.Load.Write(ctx, b) })
}

func (f *faultyLoad) Commit(ctx context.Context) (n int64, err error) {
	err = f.h.around("Load.Commit", func() (err error) { n, err = f.Load.Commit(ctx); return err })
	return n, err
}

type faultyPipe struct {
	driver.Pipe
	h hook
}

func (f faultyPipe) Out(ctx context.Context, q driver.Query, w io.Writer) (n int64, err error) {
	err = f.h.around("Pipe.Out", func() (err error) { n, err = f.Pipe.Out(ctx, q, w); return err })
	return n, err
}

func (f faultyPipe) In(ctx context.Context, in driver.Intake, r io.Reader, confirm func(int64) error) (n int64, err error) {
	err = f.h.around("Pipe.In", func() (err error) { n, err = f.Pipe.In(ctx, in, r, confirm); return err })
	return n, err
}

type faultyLedger struct {
	driver.Ledger
	h hook
}

func (f faultyLedger) Prepare(ctx context.Context, run string) error {
	return f.h.around("Ledger.Prepare", func() error { return f.Ledger.Prepare(ctx, run) })
}

func (f faultyLedger) Epoch(ctx context.Context) (epoch int64, err error) {
	err = f.h.around("Ledger.Epoch", func() (err error) { epoch, err = f.Ledger.Epoch(ctx); return err })
	return epoch, err
}

func (f faultyLedger) TakeOver(ctx context.Context) (epoch int64, err error) {
	err = f.h.around("Ledger.TakeOver", func() (err error) { epoch, err = f.Ledger.TakeOver(ctx); return err })
	return epoch, err
}

func (f faultyLedger) Current(ctx context.Context, epoch int64) error {
	return f.h.around("Ledger.Current", func() error { return f.Ledger.Current(ctx, epoch) })
}

func (f faultyLedger) Ranges(ctx context.Context, t *schema.Table) (all map[int]int64, err error) {
	err = f.h.around("Ledger.Ranges", func() (err error) { all, err = f.Ledger.Ranges(ctx, t); return err })
	return all, err
}

func (f faultyLedger) Clear(ctx context.Context, t *schema.Table, epoch int64) error {
	return f.h.around("Ledger.Clear", func() error { return f.Ledger.Clear(ctx, t, epoch) })
}

func (f faultyLedger) Number(ctx context.Context, t *schema.Table, lane int) (n driver.Batch, err error) {
	err = f.h.around("Ledger.Number", func() (err error) { n, err = f.Ledger.Number(ctx, t, lane); return err })
	return n, err
}

func (f faultyLedger) Drop(ctx context.Context) error {
	return f.h.around("Ledger.Drop", func() error { return f.Ledger.Drop(ctx) })
}

type faultyLists struct {
	driver.Lists
	h hook
}

func (f faultyLists) Peek(ctx context.Context, l driver.List, t *schema.Table, max int, keys *row.Batch) (stamp int64, err error) {
	err = f.h.around("Lists.Peek", func() (err error) { stamp, err = f.Lists.Peek(ctx, l, t, max, keys); return err })
	return stamp, err
}

func (f faultyLists) Put(ctx context.Context, l driver.List, t *schema.Table, keys *row.Batch) error {
	return f.h.around("Lists.Put", func() error { return f.Lists.Put(ctx, l, t, keys) })
}

func (f faultyLists) Listed(ctx context.Context, l driver.List, t *schema.Table, keys, listed *row.Batch) error {
	return f.h.around("Lists.Listed", func() error { return f.Lists.Listed(ctx, l, t, keys, listed) })
}

func (f faultyLists) Strike(ctx context.Context, l driver.List, t *schema.Table, keys *row.Batch, stamp int64) error {
	return f.h.around("Lists.Strike", func() error { return f.Lists.Strike(ctx, l, t, keys, stamp) })
}

func (f faultyLists) Count(ctx context.Context, l driver.List, t *schema.Table) (n int64, err error) {
	err = f.h.around("Lists.Count", func() (err error) { n, err = f.Lists.Count(ctx, l, t); return err })
	return n, err
}
