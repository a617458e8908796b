package move

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
)

// shown is the most keys of a difference that are kept; mendable the most that are looked for and mended: where more differ,
// something else is wrong than some rows. sampled is how many ranges of a table a sample reads.
const (
	shown    = 100
	mendable = 10_000
	sampled  = 20
)

// proof is a table's verdict, kept as a document.
type proof struct {
	Verdict   Verdict   `json:"verdict"`
	Level     Level     `json:"level"`
	At        time.Time `json:"at"`
	Seconds   float64   `json:"seconds"`
	Rows      uint64    `json:"rows"` // at the target, when they were compared
	SourceSum string    `json:"source_sum,omitempty"`
	TargetSum string    `json:"target_sum,omitempty"`
	Compared  int       `json:"compared,omitempty"` // changed keys compared in the downtime
	Keys      []string  `json:"keys,omitempty"`
	More      bool      `json:"more,omitempty"`
	Mended    int       `json:"mended,omitempty"` // rows that differed and were mended
	Why       string    `json:"why,omitempty"`    // what is known of why rows differed

	Parts       []verify.Part `json:"parts,omitempty"`
	Certificate string        `json:"certificate,omitempty"`
	Guard       string        `json:"guard,omitempty"` // of the target's table, as it stood before the rows were compared
}

// Proofs of the uptime and of the downtime are kept apart: the latter counts.
func uptimeProof(t *table) string   { return fmt.Sprintf("proof-uptime/%d", t.number) }
func downtimeProof(t *table) string { return fmt.Sprintf("proof/%d", t.number) }

// seed keys the sums of this run.
func (m *Move) seed(ctx context.Context) (uint64, error) {
	kept, err := m.state.Setting(ctx, "seed")
	if err != nil {
		return 0, err
	}
	if kept == "" {
		var b [8]byte
		_, _ = rand.Read(b[:])
		kept = strconv.FormatUint(binary.BigEndian.Uint64(b[:]), 10)
		if err := m.state.Set(ctx, "seed", kept); err != nil {
			return 0, err
		}
	}
	return strconv.ParseUint(kept, 10, 64)
}

// verifyUptime compares the uptime tables whose level asks for it while they live, each once in full, and then goes on
// striking changed keys until the context ends with procedure.Over.
func (m *Move) verifyUptime(ctx context.Context) error {
	var large []*table
	for _, t := range of(m.tables(), Uptime) {
		if t.level == FullUptimeChanged {
			large = append(large, t)
		}
	}
	if err := each(ctx, large, m.writers(), func(ctx context.Context, t *table) error {
		if err := m.proveLive(ctx, t); err != nil {
			return err
		}
		return m.shorten(ctx, t)
	}); err != nil {
		return over(ctx, err)
	}
	for {
		for _, t := range large {
			if err := m.strike(ctx, t); err != nil {
				return over(ctx, err)
			}
		}
		select {
		case <-ctx.Done():
			return over(ctx, context.Cause(ctx))
		case <-time.After(2 * time.Second):
		}
	}
}

// forgetProofs takes the uptime's verdicts back.
func (m *Move) forgetProofs(ctx context.Context) error {
	for _, t := range of(m.tables(), Uptime) {
		for _, key := range []string{uptimeProof(t), struckKey(t), guardKey(t)} {
			if err := m.state.DeleteDocument(ctx, key); err != nil {
				return err
			}
		}
		m.board.change(t.name, func(p *progress) { p.shortened = false })
	}
	return nil
}

// over is nil when the step's end was reached, else err.
func over(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), procedure.Over) {
		return nil
	}
	return err
}

// proveLive compares one moving table in full. Again: does nothing when it was found equal.
func (m *Move) proveLive(ctx context.Context, t *table) error {
	running, err := m.following(ctx, t)
	if err != nil {
		return err
	}
	var kept proof
	if _, err := m.state.Document(ctx, uptimeProof(t), &kept); err != nil || kept.Verdict == Equal {
		return err
	}
	failpoint.Hit("verify.live.before")
	if err := m.keepGuard(ctx, t); err != nil {
		return err
	}
	if err := m.note(ctx, t); err != nil {
		return err
	}
	p, err := m.pair(ctx, t)
	if err != nil {
		return err
	}
	defer m.alone(t)() // only now: its load takes a turn too
	began := time.Now()
	tally, err := load.Patiently(ctx, p.Target.Database.Dialect, p.Source.Database.Dialect, func() (verify.Tally, error) {
		return verify.Live(ctx, p, running, mendable)
	})
	if err != nil {
		return fmt.Errorf("compare %s: %w", t.name, err)
	}
	found := newProof(t, t.level, tally, began)
	found.Parts = []verify.Part{verify.NewPart(verify.EveryRow, inUptime, began, tally)}
	if !tally.Equal() {
		if err := m.mendLive(ctx, t, p, running, tally, &found); err != nil {
			return err
		}
	}
	failpoint.Hit("verify.table.after")
	return m.state.SetDocument(ctx, uptimeProof(t), found)
}

// note makes replay put the table's applied keys on the changed list, from now on and after a restart too.
func (m *Move) note(ctx context.Context, t *table) error {
	if err := m.state.Set(ctx, noteKey(t), "yes"); err != nil {
		return err
	}
	t.noting.Store(true)
	return nil
}

func noteKey(t *table) string { return fmt.Sprintf("noting/%d", t.number) }

func (m *Move) strike(ctx context.Context, t *table) error {
	running, err := m.following(ctx, t)
	if err != nil {
		return err
	}
	p, err := m.pair(ctx, t)
	if err != nil {
		return err
	}
	began := time.Now()
	struck, err := load.Patiently(ctx, p.Target.Database.Dialect, p.Source.Database.Dialect, func() (verify.Struck, error) {
		return verify.Strike(ctx, p, running)
	})
	if err != nil || struck.Struck == 0 {
		return err
	}
	return m.keepStruck(ctx, t, struck, began)
}

// few is how many changed keys are soon compared in the downtime.
const few = 5_000

// shorten strikes changed keys until few are left, or until a pass over all of them leaves as many: what was noted during a long
// comparison would else be compared in the downtime, which would grow with the table.
func (m *Move) shorten(ctx context.Context, t *table) error {
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	for before := int64(math.MaxInt64); ; {
		left, err := target.Lists.Count(ctx, driver.Changed, t.target)
		if err != nil {
			return fmt.Errorf("count the changed keys of %s: %w", t.name, err)
		}
		if left < few || left >= before {
			m.board.change(t.name, func(p *progress) { p.shortened = true })
			return nil
		}
		before = left
		for range left/few + 1 {
			if err := m.strike(ctx, t); err != nil {
				return err
			}
		}
	}
}

// verifyReady returns when every table whose level asks for it was found equal while it lived, and few of its keys are left for
// the downtime.
func (m *Move) verifyReady(ctx context.Context) error {
	for _, t := range of(m.tables(), Uptime) {
		for t.level == FullUptimeChanged {
			p, moved := m.board.of(t.name)
			if p.shortened {
				break
			}
			if p.stage == Stopped {
				return fmt.Errorf("%s: %w", t.name, p.err)
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-moved:
			}
		}
	}
	return nil
}

// verifyDowntime gives every table its verdict while nothing moves. A difference is a verdict and not an error.
// Again: compares again.
func (m *Move) verifyDowntime(ctx context.Context) error {
	if err := m.proveAll(ctx, m.prove); err != nil {
		return err
	}
	return m.still(ctx)
}

// proveAll gives every table the verdict of prove and keeps it; tables with large values take turns.
func (m *Move) proveAll(ctx context.Context, prove func(context.Context, *table) (proof, error)) error {
	return each(ctx, of(m.tables(), Uptime, Downtime), m.writers(), func(ctx context.Context, t *table) error {
		m.board.change(t.name, func(p *progress) { p.stage = Verifying })
		defer m.alone(t)()
		stands, err := m.guardOf(ctx, t)
		if err != nil {
			return err
		}
		found, err := prove(ctx, t)
		if err != nil {
			return err
		}
		found.Guard = stands
		if stands == "" { // put up only now: that it was gone is seen by the comparison
			if err := m.guardAgain(ctx, t); err != nil {
				return err
			}
		}
		if err := m.state.NoteDocument(ctx, downtimeProof(t), found); err != nil {
			return err
		}
		failpoint.Hit("verify.table.after")
		m.board.change(t.name, func(p *progress) { p.stage = Proven })
		return nil
	})
}

// alone waits for a table's turn, where tables with large values take turns, and returns what ends it.
func (m *Move) alone(t *table) (end func()) {
	if t.pace != load.Careful {
		return func() {}
	}
	m.careful <- struct{}{}
	return func() { <-m.careful }
}

// proveFully compares every row of a table, whatever its level. What was mended in the uptime stays in the proof.
func (m *Move) proveFully(ctx context.Context, t *table) (proof, error) {
	p, err := m.pair(ctx, t)
	if err != nil {
		return proof{}, err
	}
	var live proof
	if _, err := m.state.Document(ctx, uptimeProof(t), &live); err != nil {
		return proof{}, err
	}
	began := time.Now()
	tally, err := verify.Compare(ctx, p, shown)
	if err != nil {
		return proof{}, err
	}
	found := newProof(t, FullDowntime, tally, began)
	found.inherit(live)
	return m.concluded(ctx, t, p, found, verify.NewPart(verify.EveryRow, m.now(), began, tally), tally)
}

// inherit takes over what is known from the uptime.
func (p *proof) inherit(live proof) {
	p.Mended, p.Why, p.Parts = live.Mended, live.Why, live.Parts
	if p.Verdict == Equal {
		p.Keys, p.More = live.Keys, live.More
	}
}

// prove compares a still table at its level. What was proven in the uptime counts only if nothing was ever suspected and
// nobody touched the target's guard since.
func (m *Move) prove(ctx context.Context, t *table) (proof, error) {
	if t.level == FullDowntime {
		return m.proveFully(ctx, t)
	}
	suspect, err := m.suspected(ctx, t)
	if err != nil {
		return proof{}, err
	}
	var live proof
	if _, err := m.state.Document(ctx, uptimeProof(t), &live); err != nil {
		return proof{}, err
	}
	switch {
	case suspect != "":
		m.log.Warn("compared in full", "table", t.name, "why", suspect)
		return m.proveFully(ctx, t)
	case t.level == Sample:
		return m.proveSample(ctx, t)
	case live.Verdict != Equal:
		return m.proveFully(ctx, t)
	}
	return m.proveRemainder(ctx, t, live)
}

// proveSample counts all rows and compares some.
func (m *Move) proveSample(ctx context.Context, t *table) (proof, error) {
	p, err := m.pair(ctx, t)
	if err != nil {
		return proof{}, err
	}
	began := time.Now()
	tally, err := verify.Sample(ctx, p, sampled, shown)
	if err != nil {
		return proof{}, err
	}
	what := verify.SampledRows
	if tally.Ranges == nil {
		what = verify.EveryRow // it has no key, or the counts said that there is a difference to be found
	}
	return m.concluded(ctx, t, p, newProof(t, Sample, tally, began), verify.NewPart(what, m.now(), began, tally), tally)
}

// proveRemainder compares the keys that changed since the table was found equal while it lived.
func (m *Move) proveRemainder(ctx context.Context, t *table, live proof) (proof, error) {
	p, err := m.pair(ctx, t)
	if err != nil {
		return proof{}, err
	}
	began := time.Now()
	tally, compared, err := verify.Remainder(ctx, p, shown)
	if err != nil {
		return proof{}, err
	}
	found := newProof(t, t.level, tally, began)
	found.Compared, found.Rows, found.SourceSum, found.TargetSum = compared, live.Rows, live.SourceSum, live.TargetSum
	found.inherit(live)
	var struck verify.Part
	if kept, err := m.state.Document(ctx, struckKey(t), &struck); err != nil {
		return proof{}, err
	} else if kept {
		found.Parts = append(found.Parts, struck)
	}
	part := verify.NewPart(verify.ChangedKeys, m.now(), began, tally)
	part.Keys = compared
	return m.concluded(ctx, t, p, found, part, tally)
}

func newProof(t *table, level Level, tally verify.Tally, began time.Time) proof {
	p := proof{
		Verdict: Equal, Level: level, At: time.Now().UTC(), Seconds: time.Since(began).Seconds(), Rows: tally.Target.Rows,
		SourceSum: tally.Source.String(), TargetSum: tally.Target.String(),
	}
	if !tally.Equal() {
		p.Verdict = Different
	}
	p.name(t, tally)
	return p
}

// name keeps the first of the differing keys.
func (p *proof) name(t *table, tally verify.Tally) {
	p.Keys, p.More = nil, tally.More || len(tally.Differing) > shown
	for _, d := range tally.Differing[:min(len(tally.Differing), shown)] {
		p.Keys = append(p.Keys, readable(t, d))
	}
}

// readable writes a difference for people: its key, and how it differs. A table without a key shows a hash of the row.
func readable(t *table, d verify.Difference) string {
	if len(t.compared.source.Key) == 0 {
		return fmt.Sprintf("row %x: %s", d.Key, d.What)
	}
	cells, err := row.Key(d.Key).Cells()
	if err != nil {
		return fmt.Sprintf("%x: %s", d.Key, d.What)
	}
	text := ""
	for i, c := range cells {
		if i > 0 {
			text += ", "
		}
		name := t.compared.source.Columns[t.compared.source.Key[i]].Column.Name
		if c == nil {
			text += name + " is NULL"
			continue
		}
		text += fmt.Sprintf("%s %q", name, c)
	}
	text += ": " + string(d.What)
	if len(d.Columns) > 0 {
		text += " in " + strings.Join(d.Columns, ", ")
	}
	return text
}
