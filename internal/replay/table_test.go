package replay_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/replay"
)

// Whoever waits for a replay that is told to end hears why it ended, and not what a driver says of an ended context.
func TestAnEndedReplayGivesItsReason(t *testing.T) {
	h := newHistory(1, memory.Sound, memory.Sound)
	h.still(func() { must(h.source.Create(h.table)) })
	p, err := h.process()
	if err != nil {
		t.Fatal(err)
	}
	h.turn.Lock() // nobody writes and nothing fails but what this test wants
	must(h.install(t.Context(), p))
	must(h.create(t.Context(), p))
	must(execute(t.Context(), p.to.Database, p.to.Database.Dialect.CreateKeys(h.table)))
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	h.target.Fault = func(op string) error {
		if op == "before Lists.Peek" {
			cancel(over)
			return context.Canceled
		}
		return nil
	}
	table := replay.NewTable(replay.NewLane(p.from, p.to, p.epoch), make(chan struct{}, 1))
	if err := table.Run(ctx); !errors.Is(err, over) {
		t.Errorf("the replay ended with %v", err)
	}
	if err := table.CaughtUp(t.Context()); !errors.Is(err, over) {
		t.Errorf("who waits hears %v", err)
	}
}

// Batches of one step follow each other, each taken while the one before it is applied, and hold no session afterwards.
func TestAStepGivesItsSessionsBack(t *testing.T) {
	h := newHistory(1, memory.Sound, memory.Sound)
	h.still(func() { must(h.source.Create(h.table)) })
	p, err := h.process()
	if err != nil {
		t.Fatal(err)
	}
	h.source.Fault, h.target.Fault = nil, nil
	must(h.install(t.Context(), p))
	must(h.create(t.Context(), p))
	must(execute(t.Context(), p.to.Database, p.to.Database.Dialect.CreateKeys(h.table)))
	const rows = 30
	x := h.source.Begin()
	for i := range rows {
		must(x.Insert(h.table.Name, []byte(strconv.Itoa(i)), nil, []byte("note")))
	}
	must(x.Commit())
	lane := replay.NewLane(p.from, p.to, p.epoch)
	lane.Most = func() int { return 2 }
	steps, applied := 0, 0
	for done := (replay.Done{Full: true}); done.Full; steps++ {
		if done, err = lane.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		applied += done.Entries
		if n := h.source.Sessions() + h.target.Sessions(); n != 0 {
			t.Fatalf("%d sessions are held after a step", n)
		}
	}
	if got := h.target.Rows(h.table.Name).Len(); got != rows || applied != rows || steps > 4 {
		t.Errorf("%d rows of %d, %d entries, %d steps", got, rows, applied, steps)
	}
}
