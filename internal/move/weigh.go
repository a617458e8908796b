package move

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/check"
	"github.com/whimbrel/whimbrel/internal/plan"
	"github.com/whimbrel/whimbrel/internal/transform"
	"github.com/whimbrel/whimbrel/schema"
)

// wishes are what the configuration and the release say of the tables, with what is wrong about it.
func (m *Move) wishes(tables []*schema.Table, standard standardness) (plan.Wishes, []check.Finding) {
	w := plan.Wishes{Skip: m.config.Tables.Skip, Standard: bool(standard)}
	for _, l := range m.config.Listed {
		w.Uptime = append(w.Uptime, plan.Entry{Name: l.Name, File: l.Place})
	}
	if m.config.New == nil {
		return w, nil
	}
	var found []check.Finding
	taken := map[schema.Name]bool{}
	for _, p := range m.config.New.Repository {
		matched := false
		for _, t := range tables {
			if !plan.Match(p.Text, t.Name.Name) && !plan.Match(p.Text, t.Name.String()) {
				continue
			}
			matched = true
			if !taken[t.Name] {
				taken[t.Name] = true
				w.Repository = append(w.Repository, plan.Entry{Name: t.Name.String(), File: p.Place})
			}
		}
		if !matched {
			found = append(found, check.Finding{
				Rule: "repository-nothing", Level: driver.Forbidden, Object: p.Text, Message: "is in the release's repository and matches no table of the source",
				Detail: p.Place, Do: "Mend it or take it out.",
			})
		}
	}
	return w, found
}

// weigh finds what forbids the release on these two databases.
func (m *Move) weigh(ctx context.Context, e *examination) ([]check.Finding, error) {
	r := m.config.New
	if r == nil {
		return nil, nil
	}
	source, target, err := m.both(ctx)
	if err != nil {
		return nil, err
	}
	found := m.origin(ctx)
	object := "release " + r.String()
	forbid := func(rule, message, do string) {
		found = append(found, check.Finding{Rule: rule, Level: driver.Forbidden, Object: object, Message: message, Do: do})
	}
	if !r.RunsOn(target.Info.Product) {
		forbid("release-product", fmt.Sprintf("runs on %s and not on %s", strings.Join(r.Databases, ", "), target.Info.Product), "Move to one of these, or ask the release's maintainer.")
	}
	if !r.Update.Empty() && (target.Scripts == nil || target.Relics == nil || target.Guard != nil && target.Admitter == nil) {
		forbid("release-update", "has an update, and scripts can not be let into this target", "Move to another product.")
	}
	if !r.Update.Empty() && m.config.updatesAsItself() {
		found = append(found, check.Finding{
			Rule: "update-account", Level: driver.Note, Object: object,
			Message: "changes the shut target by the move's own account: whoever else comes by this account can write there too, from the update until the target opens",
			Do:      "Name an account in update.url that nobody else uses.",
		})
	}
	if !r.Shadowed() {
		return found, nil
	}
	db, err := m.side(ctx, m.config.Shadow.At)
	if err != nil {
		return nil, err
	}
	switch {
	case db.Shadows == nil || db.Scripts == nil || target.Relics == nil:
		forbid("release-shadow", fmt.Sprintf("has tables of its own, and the %s can not hold a shadow", m.config.Shadow.At), "Set shadow.at to the other side.")
		return found, nil
	case m.config.Shadow.At == driver.Source && !r.RunsOn(source.Info.Product):
		forbid("release-product", fmt.Sprintf("runs on %s, and its shadow is to be built at the source, on %s", strings.Join(r.Databases, ", "), source.Info.Product), "Set shadow.at to target.")
	}
	found = append(found, m.weighTables(ctx, e, source)...)
	reach, err := m.weighAccount(ctx, e)
	return append(found, reach...), err
}

// origin asks the source for the release that it has now.
func (m *Move) origin(ctx context.Context) []check.Finding {
	from := m.config.New.From
	if from.Query == "" {
		return nil
	}
	is, err := m.first(ctx, driver.Source, from.Query)
	if err == nil && is == from.Answer {
		return nil
	}
	f := check.Finding{
		Rule: "release-from", Level: driver.Forbidden, Object: "release " + m.config.New.String(), Detail: from.Place,
		Message: fmt.Sprintf("starts from %s and the source has %s", from.Answer, is), Do: "Update the application at the source to that release first, or take a release that starts from this one.",
	}
	if err != nil {
		f.Message, f.Do = "can not tell whether the source has the release it starts from: "+err.Error(), "Mend the query."
	}
	return []check.Finding{f}
}

// weighTables looks at the tables of the repository.
func (m *Move) weighTables(ctx context.Context, e *examination, source *driver.Database) []check.Finding {
	var found []check.Finding
	home, several := "", false
	for _, t := range e.Schema.Tables {
		if e.classOf(t.Name).Class != plan.Repository {
			continue
		}
		several = several || home != "" && home != t.Name.Schema
		home = t.Name.Schema
		if i := slices.IndexFunc(m.config.New.Rules, func(r transform.Rule) bool { return r.Table == t.Name.Name || r.Table == t.Name.String() }); i >= 0 {
			found = append(found, check.Finding{
				Rule: "repository-rule", Level: driver.Forbidden, Table: t.Name, Message: "is in the release's repository and has a rule of transform too", Detail: m.config.New.Rules[i].Place,
				Do: "The build changes its own tables itself: take one of the two out.",
			})
		}
		if source.Gate == nil || m.config.Shadow.Lock == Watch {
			found = append(found, m.weighWatch(ctx, source, t, e)...)
		}
	}
	if several {
		found = append(found, check.Finding{
			Rule: "repository-schemas", Level: driver.Forbidden, Object: "repository", Message: "has tables of several schemas, and a shadow is one",
			Do: "Name tables of one schema.",
		})
	}
	return found
}

// weighWatch says why changes of a table can not be noted.
func (m *Move) weighWatch(ctx context.Context, source *driver.Database, t *schema.Table, e *examination) []check.Finding {
	forbid := func(message string) []check.Finding {
		return []check.Finding{{
			Rule: "repository-watch", Level: driver.Forbidden, Table: t.Name, Message: message,
			Do: "Set shadow.lock to refuse, or give it a key.",
		}}
	}
	if source.Capturer == nil || source.Recorder == nil {
		return forbid("can not be watched: this source notes no changes")
	}
	if t.LiveKey() == nil {
		return forbid("can not be watched: it has no primary key and no unique key without NULL")
	}
	target, err := m.target(ctx)
	if err != nil {
		return forbid("can not be watched: " + err.Error())
	}
	p, _ := m.plannedOf(source, target, e, e.ofRepository)
	pair := p.Pair(t.Name)
	if pair == nil {
		return nil
	}
	gaps, err := source.Capturer.Gaps(ctx, t, pair.Load.Source)
	if err != nil {
		return forbid("can not be watched: " + err.Error())
	}
	for _, g := range gaps {
		if g.Level == driver.NotLive || g.Level == driver.Forbidden {
			return forbid("can not be watched: it " + g.Message)
		}
	}
	return nil
}

// weighAccount looks at what the account that builds can reach.
func (m *Move) weighAccount(ctx context.Context, e *examination) ([]check.Finding, error) {
	s, err := m.shadow(ctx)
	if err != nil {
		return nil, err
	}
	f := check.Finding{
		Rule: "shadow-account", Level: driver.Forbidden, Object: "shadow " + s.shadow.Place,
		Do: "Name an account in shadow.url that may do nothing but log in; whimbrel check --grants says how to make it.",
	}
	outside, err := m.reaches(ctx, s, e)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		f.Message = "can not be built: " + err.Error()
	case len(outside) > 0:
		f.Message, f.Detail = fmt.Sprintf("is to be built by %s, which can reach more than it", s.shadow.Account), strings.Join(outside[:min(len(outside), 10)], "; ")
	default:
		return nil, nil
	}
	return []check.Finding{f}, nil
}
