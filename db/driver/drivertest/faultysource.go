package drivertest

import (
	"context"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

type faultyApplier struct {
	driver.Applier
	h hook
}

func (f faultyApplier) Apply(ctx context.Context, d driver.Delta) error {
	return f.h.around("Applier.Apply", func() error { return f.Applier.Apply(ctx, d) })
}

type faultyStager struct {
	driver.Stager
	h hook
}

func (f faultyStager) Stage(ctx context.Context, d driver.Delta, quick bool) (staged driver.Staged, err error) {
	err = f.h.around("Stager.Stage", func() (err error) { staged, err = f.Stager.Stage(ctx, d, quick); return err })
	switch {
	case staged == nil:
		return nil, err
	case err != nil:
		staged.Close()
		return nil, err
	}
	return faultyStaged{staged, f.h}, nil
}

type faultyStaged struct {
	driver.Staged
	h hook
}

func (f faultyStaged) Apply(ctx context.Context, d driver.Delta) error {
	return f.h.around("Applier.Apply", func() error { return f.Staged.Apply(ctx, d) })
}

func (f faultyApplier) Part(ctx context.Context, t *schema.Table, s schema.Shape, k *schema.Key, epoch int64) (n int64, err error) {
	err = f.h.around("Applier.Part", func() (err error) { n, err = f.Applier.Part(ctx, t, s, k, epoch); return err })
	return n, err
}

type faultyCapturer struct {
	driver.Capturer
	h hook
}

func (f faultyCapturer) Install(ctx context.Context, t *schema.Table, s schema.Shape, w driver.Wait) error {
	return f.h.around("Capturer.Install", func() error { return f.Capturer.Install(ctx, t, s, w) })
}

func (f faultyCapturer) Settle(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return f.h.around("Capturer.Settle", func() error { return f.Capturer.Settle(ctx, tables, w) })
}

func (f faultyCapturer) Remove(ctx context.Context, t *schema.Table, w driver.Wait) error {
	return f.h.around("Capturer.Remove", func() error { return f.Capturer.Remove(ctx, t, w) })
}

func (f faultyCapturer) Finish(ctx context.Context) error {
	return f.h.around("Capturer.Finish", func() error { return f.Capturer.Finish(ctx) })
}

type faultyRecorder struct {
	driver.Recorder
	h hook
}

func (f faultyRecorder) Backlog(ctx context.Context, t *schema.Table) (b driver.Backlog, err error) {
	err = f.h.around("Recorder.Backlog", func() (err error) { b, err = f.Recorder.Backlog(ctx, t); return err })
	return b, err
}

func (f faultyRecorder) Take(ctx context.Context, w driver.Want, keys, images *row.Batch) (driver.Receipt, error) {
	var r driver.Receipt
	if earlier, ok := w.Beyond.(*faultyReceipt); ok {
		w.Beyond = earlier.Receipt // a driver knows its own
	}
	err := f.h.around("Recorder.Take", func() (err error) { r, err = f.Recorder.Take(ctx, w, keys, images); return err })
	if err != nil {
		return nil, closed(r, err)
	}
	return &faultyReceipt{r, f.h}, nil
}

func (f faultyRecorder) Numbers(ctx context.Context, t *schema.Table, lane int) (n driver.Numbers, err error) {
	err = f.h.around("Recorder.Numbers", func() (err error) { n, err = f.Recorder.Numbers(ctx, t, lane); return err })
	return n, err
}

type faultyReceipt struct {
	driver.Receipt
	h hook
}

func (f *faultyReceipt) Durable(ctx context.Context, number int64) error {
	return f.h.around("Receipt.Durable", func() error { return f.Receipt.Durable(ctx, number) })
}

func (f *faultyReceipt) Forget(ctx context.Context, number int64) error {
	return f.h.around("Receipt.Forget", func() error { return f.Receipt.Forget(ctx, number) })
}

type faultyWatcher struct {
	driver.Watcher
	h hook
}

func (f faultyWatcher) Fingerprint(ctx context.Context, t *schema.Table) (print string, err error) {
	err = f.h.around("Watcher.Fingerprint", func() (err error) { print, err = f.Watcher.Fingerprint(ctx, t); return err })
	return print, err
}

type faultyGate struct {
	driver.Gate
	h hook
}

func (f faultyGate) Shut(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return f.h.around("Gate.Shut", func() error { return f.Gate.Shut(ctx, tables, w) })
}

func (f faultyGate) Prove(ctx context.Context, tables []*schema.Table, w driver.Wait) error {
	return f.h.around("Gate.Prove", func() error { return f.Gate.Prove(ctx, tables, w) })
}

func (f faultyGate) Reopen(ctx context.Context, tables []*schema.Table) error {
	return f.h.around("Gate.Reopen", func() error { return f.Gate.Reopen(ctx, tables) })
}

type faultyGuard struct {
	driver.Guard
	h hook
}

func (f faultyGuard) Shut(ctx context.Context, t *schema.Table, epoch int64) error {
	return f.h.around("Guard.Shut", func() error { return f.Guard.Shut(ctx, t, epoch) })
}

func (f faultyGuard) Stands(ctx context.Context, t *schema.Table) (stands string, err error) {
	err = f.h.around("Guard.Stands", func() (err error) { stands, err = f.Guard.Stands(ctx, t); return err })
	return stands, err
}

func (f faultyGuard) Open(ctx context.Context, t *schema.Table) error {
	return f.h.around("Guard.Open", func() error { return f.Guard.Open(ctx, t) })
}

type faultySequencer struct {
	driver.Sequencer
	h hook
}

func (f faultySequencer) Next(ctx context.Context, s *schema.Schema) (all []driver.Generator, err error) {
	err = f.h.around("Sequencer.Next", func() (err error) { all, err = f.Sequencer.Next(ctx, s); return err })
	return all, err
}

func (f faultySequencer) Set(ctx context.Context, g driver.Generator) error {
	return f.h.around("Sequencer.Set", func() error { return f.Sequencer.Set(ctx, g) })
}
