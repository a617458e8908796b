package move

import (
	"context"
	"fmt"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/translate"
)

// Grants are the rights that one side of a move needs of an account.
type Grants struct {
	Side   driver.Side
	Name   string // of the database, for people
	Rights []driver.Right
}

// Grants lists what each side needs of its account, or, where account is not empty, of that one. It changes nothing.
func (m *Move) Grants(ctx context.Context, account string) ([]Grants, error) {
	source, target, err := m.both(ctx)
	if err != nil {
		return nil, err
	}
	e := &examination{}
	if e.Schema, err = source.Inspector.Inspect(ctx, m.config.Source.Schemas); err != nil {
		return nil, fmt.Errorf("inspect the source: %w", err)
	}
	plan.Number(e.Schema.Tables)
	w, _ := m.wishes(e.Schema.Tables, m.procedure() == Standard().Name)
	choices, err := plan.Classify(e.Schema.Tables, w, nil)
	if err != nil {
		return nil, err
	}
	kept := make([]chosen, len(choices))
	for i, c := range choices {
		kept[i] = chosen{c.Table.Name, c.Class, c.Reason}
	}
	e.choose(kept)
	p, _ := m.planned(source, target, e)
	var all []Grants
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		db, err := m.side(ctx, side)
		if err != nil {
			return nil, err
		}
		g := Grants{Side: side, Name: db.Info.Name}
		if db.Rights != nil {
			scope := m.scope(side, e, p)
			scope.Account = account
			if g.Rights, err = db.Rights.Needed(ctx, scope); err != nil {
				return nil, fmt.Errorf("the %s: %w", side, err)
			}
		}
		all = append(all, g)
	}
	return all, nil
}

// scope is what a side of the move touches.
func (m *Move) scope(side driver.Side, e *examination, p *translate.Plan) driver.Scope {
	var s driver.Scope
	if m.config.New.Shadowed() && side == m.config.Shadow.At {
		s.Shadows = m.madeShadows()
	}
	if side == driver.Target {
		s.Schemas = append(s.Schemas, p.Schemas...)
		for _, q := range p.Pairs {
			s.Schemas = appendNew(s.Schemas, q.Target.Name.Schema)
		}
		return s
	}
	for _, t := range e.Schema.Tables {
		locked := e.ofRepository(t.Name)
		if !e.moves(t.Name) && !locked {
			continue
		}
		s.Schemas = appendNew(s.Schemas, t.Name.Schema)
		s.Tables = append(s.Tables, t)
		if e.classOf(t.Name).Class == plan.Uptime || locked && m.config.Shadow.Lock == Watch {
			s.Live = append(s.Live, t)
		}
	}
	for _, q := range e.Schema.Sequences {
		s.Sequences = append(s.Sequences, q.Name)
	}
	return s
}

// madeShadows are the shadows of this move.
func (m *Move) madeShadows() []driver.Shadow {
	u, err := m.config.builder()
	if err != nil {
		return nil // it is said where the shadow is needed
	}
	place, err := m.config.place()
	if err != nil {
		return nil
	}
	return []driver.Shadow{{Place: place, Account: account(u)}}
}

// rights finds what the accounts of both sides lack, and what they have that no move needs.
func (m *Move) rights(ctx context.Context, e *examination, p *translate.Plan) ([]check.Finding, error) {
	var found []check.Finding
	for _, side := range []driver.Side{driver.Source, driver.Target} {
		db, err := m.side(ctx, side)
		if err != nil {
			return nil, err
		}
		if db.Rights == nil {
			continue
		}
		needed, err := db.Rights.Needed(ctx, m.scope(side, e, p))
		if err != nil {
			return nil, fmt.Errorf("the %s: %w", side, err)
		}
		surplus, err := db.Rights.Surplus(ctx)
		if err != nil {
			return nil, fmt.Errorf("the %s: %w", side, err)
		}
		found = append(found, check.Rights(side, needed, surplus)...)
	}
	return found, nil
}
