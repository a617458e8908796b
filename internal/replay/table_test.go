package replay_test

import (
	"context"
	"errors"
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
