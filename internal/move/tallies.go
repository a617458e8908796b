package move

import (
	"context"
	"fmt"
)

// Counters of a table that outlive the process, by the names they are kept under.
const (
	countRows     = "rows"
	countBytes    = "bytes"
	countLoad     = "load-ms"
	countReplayed = "replayed"
)

// restoreCounts fills the board with what earlier processes counted.
func (m *Move) restoreCounts(ctx context.Context) error {
	counts, err := m.counts(ctx)
	if err != nil {
		return err
	}
	for _, t := range m.tables() {
		c := counts[t.number]
		m.board.change(t.name, func(p *progress) { p.rows, p.replayed = c[countRows], c[countReplayed] })
	}
	return nil
}

func (m *Move) counts(ctx context.Context) (map[int]map[string]int64, error) {
	kept, err := m.state.Counts(ctx)
	counts := map[int]map[string]int64{}
	for _, c := range kept {
		if counts[c.Table] == nil {
			counts[c.Table] = map[string]int64{}
		}
		counts[c.Table][c.Name] = c.By
	}
	return counts, err
}

// tableReports is the tables' part of the report, in the order they are loaded; skipped tables come last.
func (m *Move) tableReports(ctx context.Context) ([]TableReport, error) {
	e, err := m.examination(ctx)
	if err != nil || e.Schema == nil {
		return nil, err
	}
	counts, err := m.counts(ctx)
	if err != nil {
		return nil, err
	}
	targets := map[int]*table{}
	for _, t := range m.tables() {
		targets[t.number] = t
	}
	lossy, err := m.losses.reports(ctx)
	if err != nil {
		return nil, err
	}
	var reports []TableReport
	for _, s := range e.Schema.Tables {
		c := e.classOf(s.Name)
		n := counts[s.Number]
		r := TableReport{
			Name: s.Name.String(), Class: Class(c.Class), Reason: c.Reason, Rows: n[countRows], Bytes: n[countBytes],
			LoadSeconds: float64(n[countLoad]) / 1000, Replayed: n[countReplayed], Captured: n[countReplayed], Verdict: NotCompared,
			Lossy: lossy[s.Name.String()],
		}
		if t := targets[s.Number]; t != nil {
			r.Target, r.VerifyLevel = t.target.Name.String(), t.level
			p, _ := m.board.of(t.name)
			r.Captured += p.backlog
			if p.err != nil {
				r.Error = p.err.Error()
			}
		}
		if err := m.proven(ctx, s.Number, &r); err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	copies, err := m.copyReports(ctx, counts)
	return append(reports, copies...), err
}

// proven adds what the proof of a table says.
func (m *Move) proven(ctx context.Context, number int, r *TableReport) error {
	var kept proof
	found, err := m.state.Document(ctx, fmt.Sprintf("proof/%d", number), &kept)
	if err != nil || !found {
		return err
	}
	r.VerifyLevel, r.Verdict, r.Keys, r.MoreKeys = kept.Level, kept.Verdict, kept.Keys, kept.More
	r.SourceSum, r.TargetSum, r.VerifySecond = kept.SourceSum, kept.TargetSum, kept.Seconds
	r.Rows, r.Mended, r.Why, r.Certificate = int64(kept.Rows), kept.Mended, kept.Why, kept.Certificate
	return nil
}
