package simulation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"path/filepath"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/move"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/state"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// process is one life of ours: a whole move, as the program makes it from its configuration and its state.
type process struct {
	w      *world
	number int
	dir    string
	cancel context.CancelCauseFunc
	ctx    context.Context
	fate   fate

	// under the world's mutex
	kept      *state.State
	move      *move.Move
	databases []*driver.Database
	asks      string // the step whose question is open
	opens     bool   // it has begun to open the target
	asked     int    // since which decision
	done      []string
	ended     bool
	outcome   procedure.Outcome
	err       error
}

// fate is what has become of a process.
type fate int

// Alive; Zombie: it was held up, and another one has begun in its place; Dead: nothing that it does has an effect.
const (
	Alive fate = iota
	Zombie
	Dead
)

var errKilled = errors.New("our process is gone")

// processKey finds the process in the context of a call.
type processKey struct{}

// begin begins a process on the state in a folder. It is owned by the world, which ends when every process has.
func (w *world) begin(dir string) *process {
	p := &process{w: w, number: len(w.processes) + 1, dir: dir}
	ctx, cancel := context.WithCancelCause(context.Background())
	p.ctx, p.cancel = context.WithValue(ctx, processKey{}, p), cancel
	w.processes = append(w.processes, p)
	w.counts.lives++
	go func() {
		outcome, err := p.live()
		w.mu.Lock()
		defer w.mu.Unlock()
		p.ended, p.outcome, p.err, p.asks = true, outcome, err, ""
	}()
	return p
}

// live is what cmd does with a configuration: it opens state and move and goes on from where the journal says it stands.
func (p *process) live() (outcome procedure.Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			outcome, err = procedure.Failure, fmt.Errorf("panic: %v", v)
		}
	}()
	kept, err := state.Open(filepath.Join(p.dir))
	if err != nil {
		return procedure.Failure, err
	}
	p.w.mu.Lock()
	p.kept = kept
	p.w.mu.Unlock()
	defer func() { err = errors.Join(err, kept.Close()) }()
	m, err := move.Open(p.ctx, move.Setup{Config: p.w.config, State: kept, Drivers: []driver.Driver{p}, Log: slog.New(listener{p})})
	if err != nil {
		return procedure.Failure, err
	}
	p.w.mu.Lock()
	p.move = m
	p.w.mu.Unlock()
	outcome, err = m.Run(p.ctx, procedure.Wait)
	p.w.mu.Lock()
	dead := p.fate == Dead
	p.w.mu.Unlock()
	if dead {
		return outcome, err // the servers see the sessions of a process that was killed end when they do
	}
	return outcome, errors.Join(err, m.Close())
}

// Schemes makes a process the driver of its own two servers.
func (p *process) Schemes() []string { return []string{"memory"} }

// Open opens a side as this process sees it.
func (p *process) Open(_ context.Context, _ *url.URL, o driver.Options) (*driver.Database, error) {
	s := p.w.source
	if o.Side == driver.Target {
		s = p.w.target
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.fate == Dead {
		return nil, errKilled
	}
	db := s.OpenFor(o.Side, o.Run)
	db.Splitter = cutter{db.Splitter}
	db.Inspector, db.Surveyor = inspector{db.Inspector}, surveyor{db.Surveyor, int64(p.w.app.long)}
	if p.w.app.plain {
		db.Pipe = nil
	}
	p.databases = append(p.databases, db)
	return db, nil
}

// cutter cuts a table into ranges of three rows, whatever is asked for: before its caller holds the state.
type cutter struct{ driver.Splitter }

func (c cutter) Split(ctx context.Context, t *schema.Table, s schema.Shape, _ int64) iter.Seq2[row.Range, error] {
	type one struct {
		r   row.Range
		err error
	}
	var all []one
	for r, err := range c.Splitter.Split(ctx, t, s, 3) {
		all = append(all, one{r, err})
	}
	return func(yield func(row.Range, error) bool) {
		for _, o := range all {
			if !yield(o.r, o.err) {
				return
			}
		}
	}
}

// inspector says that tables are larger than they are, so that they have more than one range.
type inspector struct{ driver.Inspector }

func (i inspector) Inspect(ctx context.Context, schemas []string) (*schema.Schema, error) {
	s, err := i.Inspector.Inspect(ctx, schemas)
	if err == nil {
		for _, t := range s.Tables {
			t.Bytes = 300 << 10
		}
	}
	return s, err
}

// surveyor says how long the longest value is: batches are bounded by it.
type surveyor struct {
	driver.Surveyor
	long int64
}

func (s surveyor) Survey(ctx context.Context, t *schema.Table, q driver.Questions) ([]driver.Fact, error) {
	facts, err := s.Surveyor.Survey(ctx, t, q)
	for i := range facts {
		if facts[i].What == driver.Longest && t.Name.Name != "notes" {
			facts[i].Value = s.long
		}
	}
	return facts, err
}

// listener hears what the move tells an operator.
type listener struct{ p *process }

func (listener) Enabled(context.Context, slog.Level) bool { return true }
func (l listener) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l listener) WithGroup(string) slog.Handler          { return l }

func (l listener) Handle(_ context.Context, r slog.Record) error {
	step := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "step" {
			step = a.Value.String()
		}
		return step == ""
	})
	p := l.p
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	switch r.Message {
	case "asks":
		p.asks, p.asked = step, p.w.steps
	case "answered":
		p.asks = ""
	case "started":
		p.opens = p.opens || step == "open-target"
	case "done":
		p.done = append(p.done, step)
	}
	return nil
}
