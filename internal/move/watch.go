package move

import (
	"context"
	"fmt"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// mark is what has been seen of a table beside its rows.
type mark struct {
	Print   string `json:"print"`             // the fingerprint that holds
	Lost    string `json:"lost,omitempty"`    // why its capture is taken off: the copy can not be followed any more
	Armed   bool   `json:"armed,omitempty"`   // it is lost, and its capture has yet to be taken off
	Batch   int64  `json:"batch,omitempty"`   // the last batch that is known to have been applied, a second ago or earlier
	Suspect string `json:"suspect,omitempty"` // why changes may have been hidden: the table is then compared in full in the downtime
}

// marksFolder is where marks are kept, by the tables' numbers.
const marksFolder = "fingerprint"

func markKey(t *table) string { return fmt.Sprintf("%s/%d", marksFolder, t.number) }

// watch looks at each uptime table's fingerprint every ten seconds while the table is followed, until the context ends.
func (m *Move) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Second):
		}
		m.look(ctx)
	}
}

// look takes the fingerprint of each table that is followed, once. A table that was altered is stopped.
func (m *Move) look(ctx context.Context) {
	for _, t := range of(m.tables(), Uptime) {
		if p, _ := m.board.of(t.name); p.stage != Following {
			continue
		}
		err := m.examine(ctx, t)
		switch {
		case err == nil || ctx.Err() != nil:
		case m.passes(err, 0): // the next look, or the drain's, is as good
			m.log.Warn("the fingerprint could not be taken", "table", t.name, "error", err)
		default:
			m.stops(t, err)
		}
	}
}

// examine compares a table's fingerprint with the one that holds. Where changes may have been hidden, whoever could have made them is
// waited for, every key is read again and the table is compared in full later; where the table is not the same any more, it is an error. The new
// fingerprint holds only when what it asked for is done. Again: finds nothing new.
func (m *Move) examine(ctx context.Context, t *table) error {
	source, err := m.source(ctx)
	if err != nil || source.Watcher == nil {
		return err
	}
	var was mark
	if _, err := m.state.Document(ctx, markKey(t), &was); err != nil {
		return err
	}
	if was.Lost != "" {
		return lostError(t, was.Lost)
	}
	print, err := source.Watcher.Fingerprint(ctx, t.source)
	if err != nil {
		return fmt.Errorf("take the fingerprint of %s: %w", t.name, err)
	}
	verdict, why := source.Watcher.Judge(was.Print, print)
	switch verdict {
	case driver.Invalid:
		return fmt.Errorf("%s was altered during the move (%s), so its copy can not be followed any more; reset and start again, or move it in the downtime", t.name, why)
	case driver.Suspect:
		m.log.Warn("changes may have been hidden: every key is read again", "table", t.name, "why", why)
		if err := m.remark(ctx, t, func(seen *mark) { seen.Suspect = why }); err != nil {
			return err
		}
		running, err := m.following(ctx, t)
		if err != nil {
			return err
		}
		if err := m.outwait(ctx, source, "wait for transactions that may have written to "+t.name+" unnoted", func() error {
			return source.Capturer.Settle(ctx, []*schema.Table{t.source}, m.wait()) // what was hidden may not be committed yet
		}); err != nil {
			return err
		}
		running.Reread()
		if err := running.CaughtUp(ctx); err != nil {
			return err
		}
	}
	if print == was.Print {
		return nil
	}
	return m.remark(ctx, t, func(seen *mark) { seen.Print = print })
}

// remark changes what is kept of a table: others may have changed it since it was read, to say that its capture was taken off.
func (m *Move) remark(ctx context.Context, t *table, change func(*mark)) error {
	m.marking.Lock()
	defer m.marking.Unlock()
	var seen mark
	if _, err := m.state.Document(ctx, markKey(t), &seen); err != nil {
		return err
	}
	change(&seen)
	return m.state.SetDocument(ctx, markKey(t), seen)
}
