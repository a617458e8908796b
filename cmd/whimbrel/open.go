package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/lmittmann/tint"

	"github.com/whimbrel/whimbrel/internal/console"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/state"
)

// opened is a move that this process holds.
type opened struct {
	*move.Move
	state *state.State
	log   *os.File
}

// logName is the log in the move's folder.
const logName = "whimbrel.log"

// hold opens the move for this process alone. Its log goes to a file in its folder, and as plain lines to standard error
// where say is Lines.
func (p *program) hold(ctx context.Context, say said) (*opened, error) {
	config, err := p.load()
	if err != nil {
		return nil, err
	}
	s, err := p.state(ctx)
	if err != nil {
		return nil, err
	}
	o := &opened{state: s}
	o.log, err = state.OpenFile(p.folder(), logName, os.O_APPEND|os.O_WRONLY)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the log: %w", err), o.Close())
	}
	handlers := []slog.Handler{slog.NewTextHandler(o.log, nil)}
	if say == lines {
		handlers = append(handlers, tint.NewTextHandler(p.err, &tint.Options{TimeFormat: time.TimeOnly, NoColor: true}))
	}
	o.Move, err = move.Open(ctx, move.Setup{Config: config, State: s, Drivers: p.drivers, Program: version(), ShowValues: p.show, Log: slog.New(slog.NewMultiHandler(handlers...))})
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// state opens what the move remembers. A command that only looks holds it for a moment: it is waited for.
func (p *program) state(ctx context.Context) (*state.State, error) {
	for deadline := time.Now().Add(2 * time.Second); ; {
		s, err := state.Open(p.folder())
		var held *state.HeldError
		if !errors.As(err, &held) || time.Now().After(deadline) {
			return s, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// said is what a command shows of the log.
type said int

const (
	nothing said = iota
	lines
)

// Close gives everything back.
func (o *opened) Close() error {
	var errs []error
	if o.Move != nil {
		errs = append(errs, o.Move.Close())
	}
	if o.log != nil {
		errs = append(errs, o.log.Close())
	}
	return errors.Join(append(errs, o.state.Close())...)
}

// with holds the move while do runs.
func (p *program) with(ctx context.Context, say said, do func(*opened) error) (err error) {
	o, err := p.hold(ctx, say)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	return do(o)
}

// see shows the move to do: through the console of the process that runs it, or, when none does, by holding it. A process
// that is just beginning or ending has the lock and no console: it is waited for.
func (p *program) see(ctx context.Context, do func(console.Move) error) error {
	if _, err := os.Stat(filepath.Join(p.folder(), state.File)); errors.Is(err, os.ErrNotExist) {
		if _, err := p.load(); err != nil {
			return err
		}
		return errors.New("this move has not begun; whimbrel run begins it")
	}
	if err := state.Ours(p.folder()); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		client, err := console.Dial(p.folder())
		if err == nil {
			defer client.Close()
			if err = do(client); !errors.Is(err, console.ErrNobody) {
				return err
			}
		}
		if !errors.Is(err, console.ErrNobody) {
			return err
		}
		var held *state.HeldError
		err = p.with(ctx, nothing, func(o *opened) error { return do(o.Move) })
		if !errors.As(err, &held) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
