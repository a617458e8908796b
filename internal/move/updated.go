package move

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/failpoint"
	"github.com/whimbrel/whimbrel/internal/release"
)

// switchRelease makes the shadow at the target the real thing, and takes one at the source away. Again: what is left.
func (m *Move) switchRelease(ctx context.Context) error {
	if !m.config.New.Shadowed() {
		return nil
	}
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	s, err := m.shadow(ctx)
	if err != nil {
		return err
	}
	if m.config.Shadow.At == driver.Target {
		if err := m.keepRelics(ctx, "switch-release"); err != nil {
			return err
		}
		if err := m.keepAdopted(ctx, s); err != nil {
			return err
		}
		failpoint.Hit("shadow.adopt.before")
		if err := s.Shadows.Adopt(ctx, s.shadow, m.home()); err != nil {
			return err
		}
		failpoint.Hit("shadow.adopt.after")
		if err := m.guardAdopted(ctx, s.Database); err != nil {
			return err
		}
		if err := m.noteRelics(ctx, "switch-release"); err != nil {
			return err
		}
	}
	return s.Shadows.Drop(ctx, s.shadow)
}

// unswitch takes away what was switched; build-shadow makes it anew.
func (m *Move) unswitch(ctx context.Context) error {
	if err := m.removeRelics(ctx, "switch-release"); err != nil {
		return err
	}
	return m.state.DeleteDocument(ctx, adoptedKey)
}

// updateApplication lets the release change the shut target, and holds its probes against both sides. Again: what has not run; the command runs
// again.
func (m *Move) updateApplication(ctx context.Context) error {
	r := m.config.New
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	if !r.Update.Empty() {
		if err := m.provenBefore(ctx); err != nil {
			return err
		}
		if err := m.keepRelics(ctx, "update-application"); err != nil {
			return err
		}
		s, err := m.updating(ctx, "update-application", "update", r.Update)
		if err != nil {
			return err
		}
		if err := m.admit(ctx, s.db, account(s.url)); err != nil {
			return err
		}
		failpoint.Hit("update.admit.after")
		err = m.runScripts(ctx, s)
		if err := errors.Join(err, m.noteRelics(ctx, "update-application")); err != nil {
			return err
		}
	}
	return m.probe(ctx)
}

// admit lets an account write to the guarded tables. One that an update has dropped or renamed already needs it no more.
func (m *Move) admit(ctx context.Context, target *driver.Database, account string) error {
	if target.Guard == nil {
		return nil
	}
	for _, t := range m.guarded() {
		if err := target.Admitter.Admit(ctx, t.target, account); err != nil && !m.gone(ctx, target, t, err) {
			return fmt.Errorf("let the release's account %s write to %s: %w", account, t.target.Name, err)
		}
	}
	return nil
}

// gone reports whether an error about a table of the target is one because the release has dropped or renamed it.
func (m *Move) gone(ctx context.Context, target *driver.Database, t *table, err error) bool {
	if target.Dialect.Classify(err) == driver.Missing {
		return true
	}
	if m.config.New == nil || m.config.New.Update.Empty() {
		return false
	}
	there, failed := target.Inspector.Inspect(ctx, []string{t.target.Name.Schema})
	return failed == nil && byName(there)[t.target.Name] == nil
}

// undoUpdate takes away what the update has made; the tables that it changed go with create-tables.
func (m *Move) undoUpdate(ctx context.Context) error {
	return errors.Join(m.removeRelics(ctx, "update-application"), m.forgetVersions(ctx, "update"))
}

// probe asks the release's questions on both sides.
func (m *Move) probe(ctx context.Context) error {
	var errs []error
	for _, p := range m.config.New.Probes {
		was, err := m.first(ctx, driver.Source, p.Source)
		if err != nil {
			return fmt.Errorf("%s: ask the source for probe %s: %w", p.Place, p.Name, err)
		}
		is, err := m.first(ctx, driver.Target, p.Target)
		if err != nil {
			return fmt.Errorf("%s: ask the target for probe %s: %w", p.Place, p.Name, err)
		}
		if err := p.Weigh(was, is); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w; find out which side is wrong: the target does not open before the probe holds; run the same command again, or reset", err)
	}
	return nil
}

// first is the first cell of a query's answer, for people. The query is the release's: names in it are those of the side's own schema,
// and it is asked by the side's own account.
func (m *Move) first(ctx context.Context, side driver.Side, query string) (string, error) {
	db, err := m.side(ctx, side)
	if err != nil {
		return "", err
	}
	place := ""
	if side == driver.Target {
		place = m.home()
	}
	if db.Scripts == nil {
		rows, err := db.Executor.Look(ctx, driver.Statement{Purpose: "ask", SQL: query})
		switch {
		case err != nil:
			return "", err
		case len(rows) == 0 || len(rows[0]) == 0:
			return "", errNoRow
		}
		return rows[0][0], nil
	}
	u, err := m.config.addressed(Secret{}, "", side).Resolve(m.config.Dir)
	if err != nil {
		return "", err
	}
	pool, err := db.Scripts.Pool(ctx, u, place)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	return firstOf(ctx, pool, query)
}

var errNoRow = errors.New("the answer has no row")

// firstOf asks in a transaction that may only read: a probe changes nothing.
func firstOf(ctx context.Context, pool *sql.DB, query string) (string, error) {
	reading, err := pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return "", err
	}
	defer func() { _ = reading.Rollback() }()
	rows, err := reading.QueryContext(ctx, query)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return "", err
		}
		return "", errNoRow
	}
	cells := make([]any, len(columns))
	var answer sql.NullString
	for i := range cells {
		cells[i] = new(any)
	}
	cells[0] = &answer
	if err := rows.Scan(cells...); err != nil {
		return "", err
	}
	if !answer.Valid {
		return "NULL", nil
	}
	return answer.String, nil
}

// runAfter runs what the release has left for after the opening. Again: what has not run; the command runs again.
func (m *Move) runAfter(ctx context.Context) error {
	if m.config.New.After.Empty() {
		return nil
	}
	if err := m.stillOurs(ctx); err != nil {
		return err
	}
	s, err := m.updating(ctx, "run-after", "after", m.config.New.After)
	if err != nil {
		return err
	}
	return m.runScripts(ctx, s)
}

// startRelease runs the release's own commands that start it at the target, and waits until it answers.
func (m *Move) startRelease(ctx context.Context) error {
	if m.config.New == nil {
		return nil
	}
	s, err := m.updating(ctx, "start-application", "switch", release.Scripts{})
	if err != nil {
		return err
	}
	environment, err := m.environment(s)
	if err != nil {
		return err
	}
	for _, line := range m.config.New.Switch.Commands {
		if err := command(ctx, m.config.New.Folder, line, environment); err != nil {
			return fmt.Errorf("switch the release: %w; mend it and run the same command again", err)
		}
	}
	return healthy(ctx, m.config.New.Switch.Health, m.config.New.Folder, environment)
}

// updated reports whether the release has begun to change what was moved.
func (m *Move) updated(ctx context.Context) (bool, error) {
	var r relics
	return m.state.Document(ctx, relicsKey("update-application"), &r)
}

// changed fails where it has: rows are no longer what the source's are.
func (m *Move) changed(ctx context.Context) error {
	updated, err := m.updated(ctx)
	if err == nil && updated {
		err = errors.New("the new release's update has changed the target since its rows were proven (update-application): they can not be compared with the source's any more; " +
			"the proof of the move is in the report, and the release's probes say what must be true now")
	}
	return err
}

// repeatable fails for a step that would compare or load rows which the release's update has changed since.
func (m *Move) repeatable(ctx context.Context, step string) error {
	updated, err := m.updated(ctx)
	if err != nil || !updated {
		return err
	}
	for _, at := range m.engine.Position().Steps {
		switch at.Step.Name {
		case "update-application":
			return nil
		case step:
			return fmt.Errorf("%s can not be done again: the new release's update has changed the target since; whimbrel run goes on, or reset takes everything back", step)
		}
	}
	return nil
}

// provenBefore fails before the first update where tables are known to be unequal, or could be written to since they were compared:
// afterwards nobody could tell, or mend it.
func (m *Move) provenBefore(ctx context.Context) error {
	if updated, err := m.updated(ctx); err != nil || updated {
		return err
	}
	var bad []string
	equal := map[*table]proof{}
	for _, t := range m.everything() {
		var p proof
		if _, err := m.state.Document(ctx, downtimeProof(t), &p); err != nil {
			return err
		}
		if p.Verdict != Equal {
			bad = append(bad, t.name+" is not proven equal")
			continue
		}
		equal[t] = p
	}
	off, err := m.reached(ctx, equal)
	if bad = append(bad, off...); err == nil && len(bad) > 0 {
		err = fmt.Errorf("the release's update does not begin before the rows that were moved are proven: %s; whimbrel verify --repair mends rows, "+
			"whimbrel repeat verify-downtime compares them again, or reset", strings.Join(bad, "; "))
	}
	return err
}
