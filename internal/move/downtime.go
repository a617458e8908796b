package move

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/plain"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/replay"
)

// tellDowntime says what the downtime would take if it began now. A table that is stopped forbids it.
func (m *Move) tellDowntime(ctx context.Context) (string, error) {
	var text strings.Builder
	if err := m.followed(ctx); err != nil {
		return "", err
	}
	for _, t := range of(m.tables(), Uptime) {
		p, _ := m.board.of(t.name)
		fmt.Fprintf(&text, "%s: %d rows loaded, %d changed keys to go\n", plain.Line(t.name), p.rows, p.backlog)
	}
	if warning, err := m.warnOfDrift(ctx); err != nil {
		return "", err
	} else if warning != "" {
		text.WriteString(warning)
	}
	if f := m.forecast(ctx); f != nil {
		fmt.Fprintf(&text, "The downtime would take about %.0f seconds: %s", f.DowntimeSeconds, f.Why)
	}
	return text.String(), nil
}

// followed returns an error where an uptime table is stopped or its capture was taken off: there is no downtime for it then.
func (m *Move) followed(ctx context.Context) error {
	marks, err := m.marks(ctx)
	if err != nil {
		return err
	}
	for _, t := range of(m.tables(), Uptime) {
		if why := marks[t.number].Lost; why != "" {
			return lostError(t, why)
		}
		if p, _ := m.board.of(t.name); p.stage == Stopped {
			return fmt.Errorf("%s is stopped: %w", t.name, p.err)
		}
	}
	return nil
}

// lastLook returns an error where an uptime table is found to be in no state to be drained, while the application still runs: what stopped
// a table in an earlier process is not kept.
func (m *Move) lastLook(ctx context.Context, answer string) error {
	if answer != procedure.Yes {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	err := each(bounded, of(m.tables(), Uptime), m.writers(), func(ctx context.Context, t *table) error {
		return m.patiently(func(ctx context.Context) error { return m.lookOnce(ctx, t) })(ctx)
	})
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		m.log.Warn("the last look at the uptime tables was not finished: the drain looks at the others", "seconds", lookWithin.Seconds())
		return nil
	}
	if err != nil { // where it is that a table was given up meanwhile, that is the reason
		return cmp.Or(m.followed(ctx), err)
	}
	return nil
}

// lookOnce sees that a table is followed to the end of its record, and that it is the table that was copied.
func (m *Move) lookOnce(ctx context.Context, t *table) error {
	running, err := m.following(ctx, t)
	if err != nil {
		return err
	}
	if err := running.Repaired(ctx); err != nil {
		return err
	}
	return m.examine(ctx, t)
}

// lookWithin is how long the last look may take: an application may write faster than it is followed, and there may be very many tables.
const lookWithin = 30 * time.Second

// stopApplication runs the operator's stop command, unless it would be for nothing: a table may have been lost since the question was asked.
func (m *Move) stopApplication(ctx context.Context) error {
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	if err := m.followed(ctx); err != nil {
		return err
	}
	return command(ctx, m.config.Dir, m.config.Application.Stop, nil)
}

// startSource runs the operator's command that starts the application on the source again.
func (m *Move) startSource(ctx context.Context) error {
	return command(ctx, m.config.Dir, m.config.Application.StartSource, nil)
}

// shutSource makes the source refuse writes to every table of the move, and proves that nobody is left who could write
// (HAZARDS C14). Again: shuts what is not shut, and proves again.
func (m *Move) shutSource(ctx context.Context) error {
	source, err := m.source(ctx)
	if err != nil {
		return err
	}
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	m.vacate(ctx)
	failpoint.Hit("gate.shut.before")
	tables := m.shut()
	if err := m.outwait(ctx, source, "shut the source", func() error { return source.Gate.Shut(ctx, tables, m.wait()) }); err != nil {
		return err
	}
	failpoint.Hit("gate.shut.after")
	if err := m.proveShut(ctx, source); err != nil {
		return err
	}
	return m.keepFingerprints(ctx, source, of(m.tables(), Downtime))
}

func (m *Move) proveShut(ctx context.Context, source *driver.Database) error {
	return m.outwait(ctx, source, "prove that nobody can write to the source", func() error { return source.Gate.Prove(ctx, m.shut(), m.wait()) })
}

// reopenSource lets writes in again. Again: does nothing.
func (m *Move) reopenSource(ctx context.Context) error {
	source, err := m.source(ctx)
	if err != nil {
		return err
	}
	return source.Gate.Reopen(ctx, m.reopened())
}

// drain returns when every change is at the target: the records and the repair lists are empty, no table was altered, the
// gate still holds, the ledger has every range, each table has its keys, and both sides remember the same last batch. Again: finds
// it so.
func (m *Move) drain(ctx context.Context) error {
	source, target, err := m.both(ctx)
	if err != nil {
		return err
	}
	tables := of(m.tables(), Uptime)
	if err := each(ctx, tables, len(tables), func(ctx context.Context, t *table) error {
		err := m.drainOne(ctx, t)
		if why, failed := m.lost(context.WithoutCancel(ctx), t); failed == nil && why != "" {
			return lostError(t, why)
		}
		return err
	}); err != nil {
		return err
	}
	if err := m.proveShut(ctx, source); err != nil {
		return err
	}
	if err := m.whole(ctx, target, tables); err != nil {
		return err
	}
	if err := each(ctx, tables, m.writers(), func(ctx context.Context, t *table) error {
		return m.buildKeys(ctx, target, target.Dialect.CreateKeys(t.target)) // they are there, unless the target was set back
	}); err != nil {
		return err
	}
	for _, t := range tables {
		if err := m.drained(ctx, source, target, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		m.board.change(t.name, func(p *progress) { p.stage, p.backlog, p.lag = Drained, 0, 0 })
	}
	failpoint.Hit("drain.empty.after")
	return nil
}

func (m *Move) drainOne(ctx context.Context, t *table) error {
	running, err := m.following(ctx, t)
	if err != nil {
		return err
	}
	if err := running.Drain(ctx); err != nil {
		return err
	}
	if err := m.examine(ctx, t); err != nil { // it may find that keys must be read again
		return err
	}
	if err := running.Drain(ctx); err != nil {
		return err
	}
	return m.keepBatch(ctx, t, running.Batch())
}

// whole holds that the target's ledger still has every range of the tables' plans: one that was set back to before they were loaded
// need not have missed a batch.
func (m *Move) whole(ctx context.Context, target *driver.Database, tables []*table) error {
	known, err := m.learn(ctx, target, tables)
	if err != nil {
		return err
	}
	for _, t := range tables {
		in := known.in[t.number]
		if known.in == nil {
			if in, err = target.Ledger.Ranges(ctx, t.target); err != nil {
				return err
			}
		}
		if planned := known.plans[t.number]; len(in) != planned {
			return fmt.Errorf("%s was loaded in %d ranges and the ledger has %d: %w", t.name, planned, len(in), errSetBack)
		}
	}
	return nil
}

// drained proves one table's drain with the gate shut, and that both sides know every batch that was applied.
func (m *Move) drained(ctx context.Context, source, target *driver.Database, t *table) error {
	backlog, err := source.Recorder.Backlog(ctx, t.source)
	if err != nil {
		return err
	}
	repairs, err := target.Lists.Count(ctx, driver.Repairs, t.target)
	if err != nil {
		return err
	}
	last, err := source.Recorder.Numbers(ctx, t.source, 0)
	if err != nil {
		return err
	}
	applied, err := target.Ledger.Number(ctx, t.target, 0)
	if err != nil {
		return err
	}
	var kept mark
	if _, err := m.state.Document(ctx, markKey(t), &kept); err != nil {
		return err
	}
	switch {
	case applied.Number < kept.Batch:
		return fmt.Errorf("%w (batch %d had been applied, and the target knows %d)", replay.ErrTimeTravel, kept.Batch, applied.Number)
	case backlog.Entries > 0 || repairs > 0:
		return fmt.Errorf("%d changes and %d repairs came after the drain; repeat drain", backlog.Entries, repairs)
	case last != driver.Numbers{Promised: applied.Number, Forgotten: applied.Number, By: applied.By}:
		return fmt.Errorf("the source has promised batch %d and forgotten batch %d, and the target has applied batch %d",
			last.Promised, last.Forgotten, applied.Number)
	}
	return nil
}

// loadRest brings in the downtime tables, each with its keys. Again: what is missing.
func (m *Move) loadRest(ctx context.Context) error {
	return m.load(ctx, of(m.tables(), Downtime), func(ctx context.Context, t *table) error {
		failpoint.Hit("rest.commit.after")
		m.board.advance(t.name, Indexing)
		if err := m.index(ctx, t); err != nil {
			return err
		}
		m.board.advance(t.name, Drained)
		return nil
	})
}

// setSequences makes each generator at the target go on behind the source's. Again: does nothing.
func (m *Move) setSequences(ctx context.Context) error {
	source, target, err := m.both(ctx)
	if err != nil {
		return err
	}
	if source.Sequencer == nil || target.Sequencer == nil {
		return nil
	}
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	generators, err := source.Sequencer.Next(ctx, m.plan().source)
	if err != nil {
		return fmt.Errorf("read the source's generators: %w", err)
	}
	for _, g := range generators {
		there, ok := m.plan().Generator(g)
		if !ok {
			continue // a finding of translate said that it is not carried
		}
		if err := target.Sequencer.Set(ctx, there); err != nil {
			return fmt.Errorf("set the generator of %s %s: %w", there.Table, there.Column, err)
		}
		failpoint.Hit("sequence.set.after")
	}
	return nil
}

// addConstraints makes foreign keys and checks hold from now on. Again: adds what is missing.
func (m *Move) addConstraints(ctx context.Context) error {
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	return each(ctx, m.tables(), 1, func(ctx context.Context, t *table) error {
		add, _ := target.Dialect.CreateConstraints(t.target)
		for _, s := range add {
			if err := run(ctx, target, []driver.Statement{s}); err != nil {
				return err
			}
			failpoint.Hit("constraint.add.after")
		}
		return m.proveParents(ctx, t)
	})
}

// openAnyway begins an answer that opens the target though a table is not proven.
const openAnyway = "open anyway: "

// tellOpen says what was proven.
func (m *Move) tellOpen(ctx context.Context) (string, error) {
	bad, err := m.unproven(ctx)
	if err != nil {
		return "", err
	}
	if len(bad) == 0 {
		return fmt.Sprintf("All %d tables are equal on both sides.", len(m.everything())), nil
	}
	return "These tables are not proven equal: " + plain.Line(strings.Join(bad, "; ")) +
		". Where rows differ, whimbrel verify --repair mends them. The target opens only with an answer that begins with \"" + openAnyway + "\" and gives the reason, which is kept.", nil
}

// judgeOpen takes yes when everything is equal, and a reason otherwise.
func (m *Move) judgeOpen(ctx context.Context, answer string) error {
	bad, err := m.unproven(ctx)
	if err != nil {
		return err
	}
	reason, forced := strings.CutPrefix(answer, openAnyway)
	switch {
	case len(bad) == 0 && answer == procedure.Yes, forced && strings.TrimSpace(reason) != "":
		return nil
	case len(bad) == 0:
		return errors.New("the answer is yes, or reset takes everything back")
	}
	return fmt.Errorf("the target does not open while tables are unequal (%s); the answer is %q and the reason, or reset", strings.Join(bad, "; "), openAnyway)
}

// unproven lists the tables whose verdict is not equal.
func (m *Move) unproven(ctx context.Context) ([]string, error) {
	if len(m.tables()) == 0 {
		return nil, errors.New("the tables of the move are not known, so nothing can be said to be proven")
	}
	var bad []string
	equal := map[*table]proof{}
	for _, t := range m.everything() {
		var p proof
		if _, err := m.state.Document(ctx, downtimeProof(t), &p); err != nil {
			return nil, err
		}
		switch {
		case p.Verdict == "":
			bad = append(bad, t.name+" was not compared")
		case p.Verdict != Equal && len(p.Keys) > 0:
			bad = append(bad, fmt.Sprintf("%s differs at %s", t.name, p.Keys[0]))
		case p.Verdict != Equal:
			bad = append(bad, t.name+" differs")
		case p.Level == Sample:
			bad = append(bad, t.name+" was compared by a sample of its rows only")
		default:
			lacks, err := m.uncertified(ctx, t, p)
			if err != nil {
				return nil, err
			}
			if lacks != "" {
				bad = append(bad, t.name+" "+lacks)
				continue
			}
			equal[t] = p
		}
	}
	off, err := m.reached(ctx, equal)
	return append(bad, off...), err
}
