package move

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/procedure"
)

// Status describes the move as it stands now. See Desk.
func (m *Move) Status(ctx context.Context) (Status, error) {
	p := m.engine.Position()
	now := time.Now()
	run, source, target, err := m.names(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		At: now, Run: run, Procedure: m.procedure(), State: p.State, Source: source, Target: target,
		Phases: phases(p, now), Forecast: m.forecast(ctx), Notes: m.waits.notes(),
	}
	if at, ok := p.Current(); ok {
		s.Phase, s.Step, s.Error = at.Phase, at.Step.Name, at.Error
	}
	if at, ok := p.Question(); ok {
		s.Question = &Question{Step: at.Step.Name, Text: at.Step.Asks, Told: at.Told, Answers: m.engine.Answers(at.Step.Name), Since: at.Asked}
	}
	for _, t := range m.tables() {
		row := m.tableStatus(ctx, t, now)
		s.Tables = append(s.Tables, row)
		s.Totals.add(row)
	}
	if m.tables() == nil {
		s.Tables, err = m.restingTables(ctx)
	}
	return s, err
}

// restingTables is what is known of the tables of a move that nobody runs: what earlier processes counted.
func (m *Move) restingTables(ctx context.Context) ([]TableStatus, error) {
	reports, err := m.tableReports(ctx)
	var rows []TableStatus
	for _, r := range reports {
		if r.Class != Uptime && r.Class != Downtime {
			continue
		}
		row := TableStatus{Name: r.Name, Class: r.Class, Stage: Waiting, Rows: r.Rows, EstimatedRows: -1, Captured: r.Captured, Replayed: r.Replayed}
		for _, l := range r.Lossy {
			row.Lossy += l.Values
		}
		switch {
		case r.Verdict == Equal:
			row.Stage, row.Verdict = Proven, Equal
		case r.Verdict == Different:
			row.Stage, row.Verdict = Verifying, Different
		case r.Rows > 0:
			row.Stage = Loading
		}
		rows = append(rows, row)
	}
	return rows, err
}

func (t *Totals) add(row TableStatus) {
	t.Rows += row.Rows
	t.EstimatedRows += max(row.EstimatedRows, row.Rows)
	t.Backlog += row.Backlog
	t.RecordBytes += row.RecordBytes
	t.LagSeconds = max(t.LagSeconds, row.LagSeconds)
	if row.Stage == Loading {
		t.RowsPerSecond += row.RowsPerSecond
		t.BytesPerSecond += row.BytesPerSecond
	}
}

func (m *Move) tableStatus(ctx context.Context, t *table, now time.Time) TableStatus {
	p, _ := m.board.of(t.name)
	row := TableStatus{
		Name: t.name, Class: t.class, Stage: p.stage, Rows: p.rows, EstimatedRows: t.source.Rows, Captured: p.replayed + p.backlog,
		Replayed: p.replayed, Backlog: p.backlog, LagSeconds: p.lag.Seconds(), RecordBytes: p.record,
	}
	if !p.began.IsZero() {
		end := p.last
		if p.stage == Loading {
			end = now
		}
		if spent := end.Sub(p.began).Seconds(); spent > 0 {
			row.RowsPerSecond, row.BytesPerSecond = float64(p.rows)/spent, float64(p.bytes)/spent
		}
	}
	row.Lossy = m.losses.of(ctx, t.name)
	if p.err != nil {
		row.Error = p.err.Error()
	}
	var kept proof
	if found, err := m.state.Document(ctx, downtimeProof(t), &kept); err == nil && found {
		row.Verdict = kept.Verdict
	}
	return row
}

func (m *Move) names(ctx context.Context) (run, source, target string, err error) {
	if run, err = m.state.Run(ctx); err != nil {
		return "", "", "", err
	}
	if source, err = m.state.Setting(ctx, "name-source"); err != nil {
		return "", "", "", err
	}
	target, err = m.state.Setting(ctx, "name-target")
	return run, source, target, err
}

// phases tells the steps of a position as a report does.
func phases(p procedure.Position, now time.Time) []PhaseReport {
	var all []PhaseReport
	var begun, ended time.Time
	for _, at := range p.Steps {
		if len(all) == 0 || all[len(all)-1].Name != at.Phase {
			all, begun, ended = append(all, PhaseReport{Name: at.Phase}), time.Time{}, time.Time{}
		}
		phase := &all[len(all)-1]
		spent, end := at.Spent, at.Ended
		if !at.Running.IsZero() {
			spent, end = spent+procedure.Between(at.Running, now), now
		}
		phase.Steps = append(phase.Steps, StepReport{Name: at.Step.Name, State: at.State, Seconds: spent.Seconds(), Times: at.Times, Error: at.Error})
		if begun.IsZero() {
			begun = at.Begun
		}
		if end.After(ended) {
			ended = end
		}
		if !begun.IsZero() && ended.After(begun) {
			phase.Seconds = ended.Sub(begun).Seconds()
		}
	}
	return all
}

// forecast says what the downtime would take now, nil before the tables are known.
func (m *Move) forecast(context.Context) *Forecast {
	if len(m.tables()) == 0 {
		return nil
	}
	var choices []plan.Choice
	for _, t := range m.tables() {
		choices = append(choices, plan.Choice{Table: t.source, Class: plan.Class(t.class)})
	}
	f := plan.Predict(choices, plan.Profile{}, m.writers())
	return &Forecast{DowntimeSeconds: f.Downtime.Seconds(), Why: f.Basis()}
}

// Report describes the move so far. See Prover.
func (m *Move) Report(ctx context.Context) (Report, error) {
	p := m.engine.Position()
	now := time.Now()
	run, source, target, err := m.names(ctx)
	if err != nil {
		return Report{}, err
	}
	r := Report{Run: run, Procedure: m.procedure(), State: p.State, Source: source, Target: target, Started: p.Begun, Phases: phases(p, now)}
	r.Release = m.config.New.String()
	end := now
	if !p.Ended.IsZero() {
		end = p.Ended
		r.Ended = &end
	}
	if !p.Begun.IsZero() {
		r.Seconds = procedure.Between(p.Begun, end).Seconds()
	}
	r.DowntimeSeconds = downtimeSeconds(p, now)
	r.DowntimeBegan, r.DowntimeEnded = downtimeOf(p)
	for _, at := range p.Steps {
		if at.Answer != "" {
			r.Consents = append(r.Consents, Consent{Step: at.Step.Name, At: at.Ended, Told: at.Told, Answer: at.Answer})
		}
		if at.State == procedure.Broken {
			r.Error = at.Error
		}
	}
	if r.Tables, err = m.tableReports(ctx); err != nil {
		return r, err
	}
	if r.CertificateKey, err = m.publicKey(ctx); err != nil {
		return r, err
	}
	found, err := m.findings(ctx)
	for _, f := range found {
		r.Findings = append(r.Findings, findingReport(f))
	}
	return r, err
}

func findingReport(f check.Finding) FindingReport {
	r := FindingReport{Rule: f.Rule, Level: string(f.Level), Column: f.Column, Object: f.Object, Message: f.Message, Detail: f.Detail, Do: f.Do}
	if f.Table.Name != "" {
		r.Table = f.Table.String()
	}
	return r
}

// downtimeSeconds is from stop-application's begin to start-application's end, or until now.
func downtimeSeconds(p procedure.Position, now time.Time) float64 {
	began, ended := downtimeOf(p)
	switch {
	case began == nil:
		return 0
	case ended == nil:
		return procedure.Between(*began, now).Seconds()
	}
	return procedure.Between(*began, *ended).Seconds()
}

// downtimeOf is when the downtime began and ended; nil for what has not come yet.
func downtimeOf(p procedure.Position) (began, ended *time.Time) {
	stop, _ := p.At("stop-application")
	if stop.Begun.IsZero() {
		return nil, nil
	}
	if start, _ := p.At("start-application"); !start.Ended.IsZero() {
		return &stop.Begun, &start.Ended
	}
	return &stop.Begun, nil
}

// writeReport writes report.json beside what the move remembers. Again: replaces it.
func (m *Move) writeReport(ctx context.Context) error {
	r, err := m.Report(ctx)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := m.state.WriteFile("report.json", append(text, '\n')); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := m.losses.write(ctx); err != nil {
		return fmt.Errorf("write the list of values that lost characters: %w", err)
	}
	return nil
}
