package replay_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/memory"
	"github.com/whimbrel/whimbrel/internal/replay"
	"github.com/whimbrel/whimbrel/row"
)

// setBack makes the given sides of a history go back together, once, to an earlier moment of its replay: both moments are drawn from the seed. No
// session of ours need be open then, so that nothing but the numbers can tell.
func setBack(h *history, sides []*memory.Server, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 11))
	keep := rnd.IntN(80)
	back := keep + 1 + rnd.IntN(30)
	following, operation := false, 0
	var one sync.Mutex // a batch is taken while another is applied
	count := func(op string) {
		one.Lock()
		defer one.Unlock()
		following = following || op == "before Lists.Peek"
		if following && !strings.Contains(op, " Tx.") {
			switch operation++; operation {
			case keep:
				for _, s := range sides {
					s.Keep()
				}
			case back:
				for _, s := range sides {
					s.SetBack()
				}
			}
		}
	}
	at := func(op string, of *memory.Server) error {
		count(op)
		return h.hook(op, of)
	}
	h.source.Fault = func(op string) error { return at(op, h.source) }
	h.target.Fault = func(op string) error { return at(op, h.target) }
}

// outcome plays a history in which a server is set back: noticed, or the damage.
func outcome(t *testing.T, seed uint64, flaw memory.Flaw, sides func(*history) []*memory.Server) (noticed bool, damage string) {
	t.Helper()
	h := newHistory(seed, flaw, memory.Sound)
	h.harm /= 4
	setBack(h, sides(h), seed)
	err := h.play(t.Context())
	h.source.Fault, h.target.Fault = nil, nil
	if err == nil { // nobody notices what comes behind the last look, which a move takes before it opens
		err = h.until(func(p *process) error { return h.drain(t.Context(), p) })
	}
	if err != nil && !errors.Is(err, replay.ErrTimeTravel) {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if err != nil {
		return true, ""
	}
	return false, h.damage(t.Context())
}

func theSource(h *history) []*memory.Server { return []*memory.Server{h.source} }
func theTarget(h *history) []*memory.Server { return []*memory.Server{h.target} }
func both(h *history) []*memory.Server      { return []*memory.Server{h.source, h.target} }

// A server that is set back during the replay, be it by one batch, is noticed, or nothing is lost (HAZARDS C8). Two that are set back to one
// moment know the same batches: what tells is that our process knows a later one.
func TestAServerThatIsSetBackIsNoticed(t *testing.T) {
	for name, side := range map[string]func(*history) []*memory.Server{"source": theSource, "target": theTarget, "both": both} {
		t.Run(name, func(t *testing.T) {
			noticed := 0
			for seed := range uint64(300) {
				saw, damage := outcome(t, seed, memory.Sound, side)
				if damage != "" {
					t.Errorf("seed %d: nobody noticed, and %s", seed, damage)
				}
				if saw {
					noticed++
				}
			}
			if noticed < 50 {
				t.Errorf("only %d of 300 were noticed: they prove nothing", noticed)
			}
		})
	}
}

// A process that was held up wakes when the source has been set back, and promises the batch that it had read for: the numbers of both sides
// fit again. Its epoch tells that the target has another batch of that number.
func TestWhoPromisedABatchTells(t *testing.T) {
	h, sleeper := quiet(t)
	h.source.Keep()
	write := func(id string) {
		x := h.source.Begin()
		must(x.Insert(h.table.Name, []byte(id), nil, []byte("note")))
		must(x.Commit())
	}
	step := func(p *process) error {
		_, err := replay.NewLane(p.from, p.to, p.epoch).Step(t.Context())
		return err
	}
	write("1")
	successor, err := h.process()
	if err != nil {
		t.Fatal(err)
	}
	must(step(successor)) // batch 1 of what the source forgets now
	h.source.SetBack()
	h.source.Flush()
	write("2")
	keys, images := row.NewBatch(1), row.NewBatch(h.shape.Width())
	receipt, err := sleeper.from.Database.Recorder.Take(t.Context(), driver.Want{
		Table: h.moved, Shape: h.shape, Lanes: 1, Epoch: sleeper.epoch, Most: 10,
	}, keys, images)
	must(err)
	must(receipt.Durable(t.Context(), 1))
	must(receipt.Close())
	if err := step(successor); !errors.Is(err, replay.ErrTimeTravel) {
		t.Errorf("nobody noticed: %v", err)
	}
}

// Where any batch is promised whatever was promised before, the damage shows.
func TestPromisesThatProveNothingLoseRows(t *testing.T) {
	for seed := range uint64(300) {
		if _, damage := outcome(t, seed, memory.AnyPromise, theSource); damage != "" {
			return
		}
	}
	t.Fatal("no history saw the damage")
}
