package move

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/translate"
	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/schema"
)

// copied is a table that came from a shadow at the source, as it is kept: the shadow may be gone.
type copied struct {
	Source, Target *schema.Table
}

// copiedKey is the document with all of them, copiesAreOurs the one that says who made their tables.
const (
	copiedKey     = "copied"
	copiesAreOurs = "copies-are-ours"
)

// everything are the tables that the move fills at the target: those that move, and copies of what was built at the source.
func (m *Move) everything() []*table {
	l := m.laid.Load()
	return append(slices.Clone(l.tables), l.copied...)
}

// layCopies brings back what copy-repository has made.
func (m *Move) layCopies(ctx context.Context) ([]*table, error) {
	var kept []copied
	if _, err := m.state.Document(ctx, copiedKey, &kept); err != nil {
		return nil, err
	}
	var tables []*table
	for _, c := range kept {
		tables = append(tables, &table{
			number: c.Source.Number, name: c.Target.Name.String(), class: Repository, reason: copyReason, level: FullDowntime,
			source: c.Source, target: c.Target,
		})
	}
	return tables, nil
}

const copyReason = "was built in the shadow at the source"

// copyRepository brings what was built in a shadow at the source to the target, by the loader, and compares it in full. Again: copies
// anew.
func (m *Move) copyRepository(ctx context.Context) error {
	if !m.config.New.Shadowed() || m.config.Shadow.At != driver.Source {
		return nil
	}
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	target, err := m.target(ctx)
	if err != nil {
		return err
	}
	s, err := m.shadow(ctx)
	if err != nil {
		return err
	}
	inside, err := m.enter(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = inside.Close() }()
	b, tables, err := m.layShadow(ctx, inside, target)
	if err != nil {
		return err
	}
	if err := m.dropCopies(ctx); err != nil { // of an earlier build
		return err
	}
	if err := m.claimNames(ctx, target, copiesAreOurs, targets(tables)); err != nil {
		return err
	}
	if err := m.keepCopies(ctx, tables); err != nil {
		return err
	}
	if err := m.fresh(ctx, target, b, tables); err != nil {
		return err
	}
	failpoint.Hit("repository.copy.before")
	if err := m.bring(ctx, target, tables); err != nil {
		return err
	}
	if err := m.carryGenerators(ctx, inside, target, b); err != nil {
		return err
	}
	for _, t := range tables {
		if err := m.proveCopy(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// layShadow makes the tables of the target of those in the shadow.
func (m *Move) layShadow(ctx context.Context, inside, target *driver.Database) (*blueprint, []*table, error) {
	e, err := m.examination(ctx)
	if err != nil {
		return nil, nil, err
	}
	whole, err := inside.Inspector.Inspect(ctx, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("look at what was built: %w", err)
	}
	plan.Number(whole.Tables)
	for _, t := range whole.Tables {
		t.Number += len(e.Schema.Tables) // behind those of the source
	}
	facts, err := m.surveyShadow(ctx, inside, target, whole)
	if err != nil {
		return nil, nil, err
	}
	p, found := translate.Translate(whole, inside.Info, target.Info, inside.Dialect, target.Dialect, translate.Options{Schema: m.home(), Facts: facts})
	if err := m.keep(ctx, "copy-repository", found); err != nil {
		return nil, nil, err
	}
	if check.Forbids(found) {
		return nil, nil, fmt.Errorf("what was built can not stand at the target; mend the release and repeat build-shadow:\n%s", check.Text(found))
	}
	b := &blueprint{Plan: p, source: p.Source(whole)}
	var tables []*table
	for _, t := range plan.Order(b.source.Tables) {
		made, err := m.newTable(ctx, p.Pair(t.Name), chosen{t.Name, plan.Repository, copyReason}, FullDowntime)
		if err != nil {
			return nil, nil, err
		}
		made.name, made.origin = made.target.Name.String(), inside // the source may have a table of its name there
		tables = append(tables, made)
	}
	return b, tables, nil
}

// surveyShadow looks at the values that were built.
func (m *Move) surveyShadow(ctx context.Context, inside, target *driver.Database, whole *schema.Schema) (check.Facts, error) {
	facts := check.Facts{}
	if inside.Surveyor == nil {
		return facts, nil
	}
	questions := translate.Questions(whole, inside.Info, target.Info, inside.Dialect, target.Dialect, translate.Options{Schema: m.home()}, heavy)
	for _, t := range whole.Tables {
		some, err := inside.Surveyor.Survey(ctx, t, questions[t.Name])
		if err != nil {
			return nil, fmt.Errorf("read the values of %s: %w", t.Name, err)
		}
		facts[t.Name] = some
	}
	return facts, nil
}

// keepCopies remembers the tables before they are made.
func (m *Move) keepCopies(ctx context.Context, tables []*table) error {
	var kept []copied
	for _, t := range tables {
		kept = append(kept, copied{t.source, t.target})
	}
	if err := m.state.SetDocument(ctx, copiedKey, kept); err != nil {
		return err
	}
	l := *m.laid.Load()
	l.copied = tables
	m.laid.Store(&l)
	return nil
}

// dropCopies takes the copies away. Again: does nothing.
func (m *Move) dropCopies(ctx context.Context) error {
	tables, err := m.layCopies(ctx)
	if err != nil {
		return err
	}
	if err := m.unbring(ctx, copiesAreOurs, nil, tables); err != nil {
		return err
	}
	for _, t := range tables {
		if err := m.state.DeleteDocument(ctx, downtimeProof(t)); err != nil {
			return err
		}
	}
	if err := m.keepCopies(ctx, nil); err != nil {
		return err
	}
	return m.state.DeleteDocument(ctx, copiedKey)
}

// proveCopy compares a copy in full; only an equal one counts.
func (m *Move) proveCopy(ctx context.Context, t *table) error {
	p, err := m.pair(ctx, t)
	if err != nil {
		return err
	}
	stands, err := m.guardOf(ctx, t)
	if err != nil {
		return err
	}
	began := time.Now()
	tally, err := load.Patiently(ctx, p.Target.Database.Dialect, p.Source.Database.Dialect, func() (verify.Tally, error) {
		return verify.Compare(ctx, p, shown)
	})
	if err != nil {
		return fmt.Errorf("compare %s: %w", t.name, err)
	}
	found, err := m.concluded(ctx, t, p, newProof(t, FullDowntime, tally, began), verify.NewPart(verify.EveryRow, m.now(), began, tally), tally)
	if err != nil {
		return err
	}
	found.Guard = stands
	if err := m.state.SetDocument(ctx, downtimeProof(t), found); err != nil {
		return err
	}
	failpoint.Hit("verify.table.after")
	if !tally.Equal() {
		return fmt.Errorf("%s is not what was built, at %s (%s)", t.name, found.Keys[0], found.Why)
	}
	return nil
}

// copyReports is the copies' part of the report.
func (m *Move) copyReports(ctx context.Context, counts map[int]map[string]int64) ([]TableReport, error) {
	tables, err := m.layCopies(ctx)
	var reports []TableReport
	for _, t := range tables {
		r := TableReport{
			Name: t.source.Name.String(), Target: t.name, Class: Repository, Reason: copyReason, VerifyLevel: FullDowntime, Verdict: NotCompared,
			Rows: counts[t.number][countRows], Bytes: counts[t.number][countBytes], LoadSeconds: float64(counts[t.number][countLoad]) / 1000,
		}
		if failed := m.proven(ctx, t.number, &r); failed != nil {
			err = errors.Join(err, failed)
		}
		reports = append(reports, r)
	}
	return reports, err
}
