package move

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/load"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/translate"
	"github.com/whimbrel/whimbrel/schema"
)

// looking says whether the values of tables are looked at.
type looking int

const (
	afresh  looking = iota // in any case
	relying                // but not of tables that an earlier look, not long ago, found nothing in
)

// calmFor is how long it holds that a table's values are what the target can hold. Those that come later are a row's error in
// the load or the replay, as are those that come after any survey.
const calmFor = 24 * time.Hour

// calm says of a table that an earlier survey found nothing in it that matters.
type calm struct {
	At     time.Time
	Server string
	Digest string // of the table's definition
	Asked  driver.Questions
}

// calmFolder holds what is known of calm tables, which a new run may rely on: it is of the source and not of a run.
const calmFolder = "calm"

func calmKey(t schema.Name) string { return calmFolder + "/" + t.String() }

// digest tells a table's definition from another one.
func digest(t *schema.Table) (string, error) {
	same := *t
	same.Rows, same.Bytes, same.Number = 0, 0, 0
	text, err := json.Marshal(same)
	if err != nil {
		return "", fmt.Errorf("describe %s: %w", t.Name, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// surveying is one look at the values of all tables.
type surveying struct {
	m         *Move
	source    *driver.Database
	questions map[schema.Name]driver.Questions
	looking   looking

	mu     sync.Mutex
	facts  []surveyed
	found  []check.Finding
	failed error // what passes: it says nothing about a table
	spared int
	oldest time.Time // of the looks that were relied on
}

// survey looks at the values of all tables, a few at a time, for what matters at this target.
func (m *Move) survey(ctx context.Context, source *driver.Database, e *examination, looking looking) ([]check.Finding, error) {
	if source.Surveyor == nil {
		return nil, nil
	}
	questions, err := m.questions(ctx, e)
	if err != nil {
		return nil, err
	}
	v := &surveying{m: m, source: source, questions: questions, looking: looking}
	var wg sync.WaitGroup
	limit := make(chan struct{}, max(m.config.Sessions.Source, 1))
	for _, t := range e.Schema.Tables {
		if m.skips(t.Name) {
			continue
		}
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			v.table(ctx, t)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	e.Facts = v.facts
	return append(v.found, v.relied()...), v.failed
}

// skips reports whether the configuration leaves a table out.
func (m *Move) skips(n schema.Name) bool {
	return slices.ContainsFunc(m.config.Tables.Skip, func(pattern string) bool {
		return plan.Match(pattern, n.Name) || plan.Match(pattern, n.String())
	})
}

// table looks at one table, or relies on what is known of it.
func (v *surveying) table(ctx context.Context, t *schema.Table) {
	facts, err := v.look(ctx, t)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil:
		v.facts = append(v.facts, surveyed{t.Name, facts})
	case load.Passing(v.source.Dialect, err): // it says nothing about the table
		v.failed = errors.Join(v.failed, fmt.Errorf("read the values of %s: %w", t.Name, err))
	default:
		v.found = append(v.found, check.Denied(driver.Source, t.Name, "read the values", err, v.source.Dialect.Classify(err)))
	}
}

func (v *surveying) look(ctx context.Context, t *schema.Table) ([]driver.Fact, error) {
	now, err := digest(t)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(t.Columns, func(c *schema.Column) bool { return c.Made }) {
		now += v.m.config.New.Digest() // its values are made by the rules
	}
	asked, server := v.questions[t.Name], v.source.Info.Server+" "+v.source.Info.Name
	if v.looking == relying {
		var was calm
		there, err := v.m.state.Document(ctx, calmKey(t.Name), &was)
		if err != nil {
			return nil, err
		}
		age := time.Since(was.At)
		fresh := age >= 0 && age < calmFor // a clock that was set back says nothing
		if there && fresh && was.Digest == now && was.Server == server && was.Asked.Covers(asked) {
			v.rely(was.At)
			return nil, nil
		}
	}
	began := time.Now()
	facts, err := load.Patiently(ctx, v.source.Dialect, v.source.Dialect, func() ([]driver.Fact, error) {
		return v.source.Surveyor.Survey(ctx, t, asked)
	})
	if err != nil {
		return nil, err
	}
	if restless(facts, asked) {
		return facts, v.m.state.DeleteDocument(ctx, calmKey(t.Name))
	}
	return facts, v.m.state.NoteDocument(ctx, calmKey(t.Name), calm{began, server, now, asked})
}

// restless reports whether one of the facts answers a question.
func restless(facts []driver.Fact, asked driver.Questions) bool {
	return slices.ContainsFunc(facts, func(f driver.Fact) bool {
		if above, of := asked.Above(f.Column); f.What == driver.Longest {
			return of && f.Value > above
		}
		return f.Count > 0 && asked.Asks(f.Column, f.What)
	})
}

func (v *surveying) rely(at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.spared++; v.oldest.IsZero() || at.Before(v.oldest) {
		v.oldest = at
	}
}

// relied tells that not every table was looked at.
func (v *surveying) relied() []check.Finding {
	if v.spared == 0 {
		return nil
	}
	return []check.Finding{{
		Rule: "values-known", Level: driver.Note, Object: "source",
		Message: fmt.Sprintf("had nothing in the values of %d tables that the target can not hold, when they were last looked at, the first at %s",
			v.spared, v.oldest.Local().Format(time.DateTime)),
		Do: "To have them looked at again, run whimbrel check.",
	}}
}

// questions are what a survey must find out about each table for this target.
func (m *Move) questions(ctx context.Context, e *examination) (map[schema.Name]driver.Questions, error) {
	source, target, err := m.both(ctx)
	if err != nil {
		return nil, err
	}
	return translate.Questions(e.Schema, source.Info, target.Info, source.Dialect, target.Dialect, m.translating(), heavy), nil
}
