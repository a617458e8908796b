package move

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/procedure"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// The repository are the source's tables that belong to the release: they are not moved, the shadow is built from them. From the build
// to the switch they are locked, so that what was built from them stays true.

// built is what is known of a table of the repository when the shadow is built from it.
type built struct {
	Sum   string `json:"sum"`   // of its rows
	Print string `json:"print"` // its fingerprint under the lock
}

// builtFolder is where it is kept, by the tables' numbers.
const builtFolder = "built"

func builtKey(t *table) string { return fmt.Sprintf("%s/%d", builtFolder, t.number) }

// repository are the source's tables that belong to the release, nil before translate and without a release.
func (m *Move) repository() []*table { return m.laid.Load().repository }

// watched are those whose changes are noted.
func (m *Move) watched() []*table {
	if m.config.Shadow.Lock != Watch {
		return nil
	}
	return m.repository()
}

// shut are the source's tables that nobody may write to in the downtime.
func (m *Move) shut() []*schema.Table {
	return append(sources(m.tables()), sources(m.repository())...)
}

// reopened are those of them that may be written to again when the downtime is taken back: what the repository's lock refuses is refused until
// build-shadow is taken back.
func (m *Move) reopened() []*schema.Table {
	return append(sources(m.tables()), sources(m.watched())...)
}

// lockRepository makes changes of the repository fail at the source, or notes them, and keeps how the tables stand under the lock. As in
// install-capture, who got past the lock before that was seen is waited for; who does later shows. Again: locks what is not locked.
func (m *Move) lockRepository(ctx context.Context, source *driver.Database) error {
	tables := m.repository()
	if len(tables) == 0 {
		return nil
	}
	lock, settle := m.shutRepository, func() error { return source.Gate.Prove(ctx, sources(tables), m.wait()) }
	if m.config.Shadow.Lock == Watch {
		lock, settle = m.watchRepository, func() error { return source.Capturer.Settle(ctx, sources(tables), m.wait()) }
	}
	if err := lock(ctx, source, tables); err != nil {
		return err
	}
	if err := m.keepLocked(ctx, source, tables); err != nil {
		return err
	}
	return m.outwait(ctx, source, "wait for transactions older than the lock of the release's tables", settle)
}

func (m *Move) shutRepository(ctx context.Context, source *driver.Database, tables []*table) error {
	return m.outwait(ctx, source, "lock the release's tables at the source", func() error { return source.Gate.Shut(ctx, sources(tables), m.wait()) })
}

func (m *Move) watchRepository(ctx context.Context, source *driver.Database, tables []*table) error {
	for _, t := range tables {
		if err := m.captureOne(ctx, source, t); err != nil {
			return err
		}
	}
	return nil
}

// keepLocked notes the tables' fingerprints under the lock.
func (m *Move) keepLocked(ctx context.Context, source *driver.Database, tables []*table) error {
	if source.Watcher == nil {
		return nil
	}
	prints, err := m.prints(ctx, source, tables)
	if err != nil {
		return err
	}
	all := make(map[string]any, len(tables))
	for i, t := range tables {
		all[builtKey(t)] = built{Print: prints[i]}
	}
	return m.state.SetDocuments(ctx, all)
}

// unlockRepository lets changes in again and notes none. Again: does nothing.
func (m *Move) unlockRepository(ctx context.Context) error {
	if len(m.repository()) == 0 {
		return nil
	}
	source, err := m.source(ctx)
	if err != nil {
		return err
	}
	if err := source.Gate.Reopen(ctx, sources(m.repository())); err != nil {
		return err
	}
	return m.uncapture(ctx, source, m.watched())
}

// keepBuilt notes what the shadow is built from: a table's rows by their sum.
func (m *Move) keepBuilt(ctx context.Context, t *table, sum row.Sum) error {
	var b built
	if _, err := m.state.Document(ctx, builtKey(t), &b); err != nil {
		return err
	}
	b.Sum = sum.String()
	return m.state.SetDocument(ctx, builtKey(t), b)
}

// driftKey is where is kept what check-repository found.
const driftKey = "drift"

// checkRepository looks whether the repository is as the shadow was built from. The source must be shut. Again: looks again.
func (m *Move) checkRepository(ctx context.Context) error {
	drift, err := m.drifting(ctx)
	if err != nil {
		return err
	}
	return m.state.SetDocument(ctx, driftKey, drift)
}

// warnOfDrift says before the downtime what would be found in it: now rows can still be put back.
func (m *Move) warnOfDrift(ctx context.Context) (string, error) {
	drift, err := m.drifting(ctx)
	if err != nil || len(drift) == 0 {
		return "", err
	}
	return "The shadow was built from rows that have changed since: " + strings.Join(drift, "; ") +
		". Put them back as they were, or the shadow must be built again within the downtime.\n", nil
}

// drifting says of each table of the repository that is not as the shadow was built from it how it is not.
func (m *Move) drifting(ctx context.Context) (drift []string, err error) {
	source, err := m.source(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range m.repository() {
		how, err := m.drifted(ctx, source, t)
		if err != nil {
			return nil, fmt.Errorf("look whether %s has changed since the shadow was built: %w", t.name, err)
		}
		if how != "" {
			drift = append(drift, t.name+" "+how)
		}
	}
	return drift, nil
}

// drifted says in a clause how a table is not as the shadow was built from it; empty when it is. Its rows are read only where
// something says that they may have changed, or nothing can say that they have not.
func (m *Move) drifted(ctx context.Context, source *driver.Database, t *table) (string, error) {
	var was built
	kept, err := m.state.Document(ctx, builtKey(t), &was)
	if err != nil || !kept || was.Sum == "" {
		return "was never built from", err
	}
	why, err := m.restless(ctx, source, t, was)
	if err != nil || why == "" {
		return "", err
	}
	p, err := m.pair(ctx, t)
	if err != nil {
		return "", err
	}
	p.Target = p.Source
	now, err := verify.Compare(ctx, p, 1)
	if err != nil || now.Source.String() == was.Sum {
		return "", err // it is as it was, or was put back
	}
	keys, err := m.noted(ctx, source, t)
	if err != nil {
		return "", err
	}
	return strings.Join(append([]string{why}, keys...), " "), nil
}

// restless says in a clause why a table's rows may have changed; empty when they have not.
func (m *Move) restless(ctx context.Context, source *driver.Database, t *table, was built) (string, error) {
	if source.Watcher != nil {
		prints, err := m.prints(ctx, source, []*table{t})
		if err != nil {
			return "", err
		}
		if verdict, why := source.Watcher.Judge(was.Print, prints[0]); verdict != driver.Harmless {
			return "was altered at the source: " + why, nil
		}
	}
	if m.config.Shadow.Lock != Watch { // a lock that was taken off for a moment leaves no trace: its rows are read
		return "has changed, past its lock", nil
	}
	backlog, err := source.Recorder.Backlog(ctx, t.source)
	if err != nil || backlog.Entries == 0 && !backlog.Truncated {
		return "", err
	}
	return "has changed", nil
}

// noted are the keys of changed rows that a record holds, for people, the first hundred.
func (m *Move) noted(ctx context.Context, source *driver.Database, t *table) ([]string, error) {
	if m.config.Shadow.Lock != Watch {
		return nil, nil
	}
	s := t.loaded.source
	keys, images := row.NewBatch(len(s.Key)), row.NewBatch(s.Width())
	receipt, err := source.Recorder.Take(ctx, driver.Want{Table: t.source, Shape: s, Lanes: 1, Most: shown}, keys, images)
	if err != nil {
		return nil, err
	}
	if err := receipt.Close(); err != nil { // nothing is forgotten
		return nil, err
	}
	var all []string
	for i := range keys.Len() {
		var cells []string
		for c := range keys.Width() {
			cells = append(cells, fmt.Sprintf("%s %q", s.Columns[s.Key[c]].Column.Name, keys.Cell(i, c)))
		}
		all = append(all, strings.Join(cells, ", "))
	}
	slices.Sort(all)
	if len(all) == 0 {
		return nil, nil
	}
	return []string{"at " + strings.Join(all, "; ")}, nil
}

// drift is what was found, for people.
func (m *Move) drift(ctx context.Context) (string, error) {
	var found []string
	_, err := m.state.Document(ctx, driftKey, &found)
	return strings.Join(found, "\n"), err
}

// tellDrift asks only where there is a drift.
func (m *Move) tellDrift(ctx context.Context) (string, error) {
	drift, err := m.drift(ctx)
	if err != nil {
		return "", err
	}
	if drift == "" {
		return "", procedure.Nothing
	}
	return drift + "\nThe answer " + rebuild + " builds the shadow again, within the downtime, while the source is shut; or reset the move.", nil
}

// judgeDrift takes the one answer.
func (m *Move) judgeDrift(ctx context.Context, answer string) error {
	if answer == rebuild {
		return nil
	}
	drift, err := m.drift(ctx)
	if err != nil {
		return err
	}
	return fmt.Errorf("the shadow was built from rows that have changed since: %s; the answer is %s, which builds it again within the downtime, or reset the move",
		strings.ReplaceAll(drift, "\n", "; "), rebuild)
}

// rebuildShadow builds the shadow again from the rows as they are, and copies it where it has to be copied.
func (m *Move) rebuildShadow(ctx context.Context, _ string) error {
	for _, do := range []func(context.Context) error{m.buildShadow, m.copyRepository, m.checkRepository} {
		if err := m.patiently(do)(ctx); err != nil {
			return err
		}
	}
	drift, err := m.drift(ctx)
	if err == nil && drift != "" {
		err = errors.New("the release's tables changed while the shadow was built from them again, though the source is shut: " + drift + "; repeat check-repository")
	}
	return err
}
