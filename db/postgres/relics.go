package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

//go:embed sql/lasting.sql
var lasting string

//go:embed sql/attached.sql
var attached string

// relics are the objects of a schema, and what scripts may have attached to those that stay: triggers, rules and policies.
type relics struct{ db *database }

// List names them, each by what it is and its full name.
func (r relics) List(ctx context.Context, schema string) ([]string, error) {
	l, err := r.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	all, err := r.objects(ctx, l.session, schema)
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(all))
	for i, o := range all {
		lines[i] = o.String()
	}
	slices.Sort(lines)
	return lines, nil
}

// objects are the objects that can be dropped by themselves. A whole schema of ours has none.
func (r relics) objects(ctx context.Context, s *session, schema string) ([]object, error) {
	if schema == "" {
		schema = r.db.home
	}
	if schema == sourceSchema || schema == targetSchema {
		return nil, nil
	}
	all, err := s.contents(ctx, schema)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(o object) bool { return o.part || o.what == "extension" })
	more, err := s.objects(ctx, attached, schema)
	if err != nil {
		return nil, fmt.Errorf("list what is attached to tables of the schema %s: %w", schema, err)
	}
	return append(all, more...), nil
}

// Remove drops them in one transaction, with what depends on them, which scripts must have made later: constraints and defaults of
// tables that stay, and columns of types that go. Another object that was there before and would go along is named, and then nothing
// is dropped.
func (r relics) Remove(ctx context.Context, schema string, keep []string) error {
	l, err := r.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := r.remove(ctx, l.session, schema, keep); err != nil {
		return fmt.Errorf("remove what scripts have made: %w", err)
	}
	return nil
}

func (r relics) remove(ctx context.Context, s *session, schema string, keep []string) error {
	if err := s.exec(ctx, alone()+"; "+patient); err != nil {
		return err
	}
	all, err := r.objects(ctx, s, schema)
	if err != nil {
		return err
	}
	kept := make(map[string]bool, len(keep))
	for _, line := range keep {
		kept[line] = true
	}
	all = slices.DeleteFunc(all, func(o object) bool { return kept[o.String()] })
	if len(all) == 0 {
		return nil
	}
	var sql strings.Builder
	for _, o := range all {
		name := fmt.Sprintf("(pg_identify_object(%s, %s, 0)).identity", o.class, o.id)
		fmt.Fprintf(&sql, "IF EXISTS (SELECT FROM pg_depend WHERE classid = %s AND objid = %s) THEN EXECUTE 'DROP %s ' || %s || ' CASCADE'; END IF;\n",
			o.class, o.id, o.keyword(), name) // unless one before has taken it along
	}
	if err := s.dropping(ctx, spared, all, "DO "+literal("BEGIN\n"+sql.String()+"END")); err != nil {
		return err
	}
	return s.commit(ctx)
}

// care is what may not go along with what is dropped.
type care string

// Objects of other places, or columns of their tables too.
const (
	spared    care = "false"
	untouched care = "true"
)

// dropping runs a statement that drops objects, in a transaction, and fails when others went along.
func (s *session) dropping(ctx context.Context, others care, all []object, statement string) error {
	before, err := s.query(ctx, lasting, string(others))
	if err != nil {
		return err
	}
	going := make(map[string]bool, len(all))
	for _, o := range all {
		going[o.class+" "+o.id] = true
	}
	if err := s.exec(ctx, "SAVEPOINT dropping; "+statement); err != nil {
		return err
	}
	after, err := s.query(ctx, lasting, string(others))
	if err != nil {
		return err
	}
	left := make(map[[3]string]bool, len(after.Rows))
	for _, v := range after.Rows {
		left[[3]string{string(v[0]), string(v[1]), string(v[2])}] = true
	}
	var lost [3][]string
	for _, v := range before.Rows {
		at := [3]string{string(v[0]), string(v[1]), string(v[2])}
		if left[at] || going[at[0]+" "+at[1]] {
			continue
		}
		for i := range lost {
			lost[i] = append(lost[i], at[i])
		}
	}
	if len(lost[0]) == 0 {
		return nil
	}
	if err := s.exec(ctx, "ROLLBACK TO SAVEPOINT dropping"); err != nil {
		return err
	}
	const describe = `SELECT DISTINCT pg_describe_object(o.class, o.id, o.sub) FROM unnest($1::oid[], $2::oid[], $3::integer[]) AS o(class, id, sub) ORDER BY 1`
	r, err := s.query(ctx, describe, nameArray(lost[0]), nameArray(lost[1]), nameArray(lost[2]))
	if err != nil {
		return err
	}
	return errors.New("what stands elsewhere depends on it and would go too: " + few(r.Rows) + ": drop that, or part it, and do this again")
}
