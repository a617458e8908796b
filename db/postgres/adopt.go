package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/inway.sql
var inWay string

// Adopt moves everything in one transaction: what refers to another object does so by its number and goes on doing so. Whoever still
// builds is ended.
func (h shadows) Adopt(ctx context.Context, s driver.Shadow, into string) error {
	l, err := h.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if into == "" {
		into = h.db.home
	}
	if err := h.adopt(ctx, l.session, s, into); err != nil {
		return fmt.Errorf("adopt the shadow %s into the schema %s: %w", s.Place, into, err)
	}
	return nil
}

func (h shadows) adopt(ctx context.Context, s *session, from driver.Shadow, into string) error {
	err := h.inside(ctx, s, from.Place, alone())
	if classify(err) == driver.Missing {
		return nil // nothing is left to adopt
	}
	if err != nil {
		return err
	}
	all, err := s.contents(ctx, from.Place)
	if err != nil || len(all) == 0 {
		return err
	}
	if err := s.immovable(ctx, all); err != nil {
		return err
	}
	r, err := s.query(ctx, inWay, from.Place, into)
	if err != nil {
		return err
	}
	if len(r.Rows) > 0 {
		return &failure{class: driver.Exists, err: errors.New("the schema has such names already: " + few(r.Rows))}
	}
	if err := s.endBuild(ctx, from.Account); err != nil {
		return err
	}
	if err := s.exec(ctx, adoption(all, from.Place, into)); err != nil {
		return err
	}
	return s.commit(ctx)
}

// few joins the first column of some rows for people.
func few(rows [][][]byte) string {
	var names []string
	for i, line := range rows {
		if i == 10 {
			names = append(names, fmt.Sprintf("and %d more", len(rows)-i))
			break
		}
		names = append(names, string(line[0]))
	}
	return strings.Join(names, ", ")
}

// still are the kinds of objects that can not go into another schema, or that nobody can be given.
var still = []string{"extension", "text search parser", "text search template"}

// immovable names what we can not move: it is of such a kind, or belongs to a role that we are no member of. The server gives
// the functions of a range type to its first superuser.
func (s *session) immovable(ctx context.Context, all []object) error {
	var names, classes, ids []string
	for _, o := range all {
		if slices.Contains(still, o.what) {
			names = append(names, o.String())
			continue
		}
		classes, ids = append(classes, o.class), append(ids, o.id)
	}
	const others = `SELECT i.type || ' ' || i.identity FROM unnest($1::oid[], $2::oid[]) AS o(class, id), pg_identify_object(o.class, o.id, 0) AS i
		WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AND NOT EXISTS (SELECT FROM pg_shdepend x
			WHERE x.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND x.classid = o.class AND x.objid = o.id
				AND x.refclassid = 'pg_authid'::regclass AND x.deptype = 'o' AND pg_has_role(x.refobjid, 'USAGE'))
			AND NOT EXISTS (SELECT FROM pg_type m JOIN pg_depend x ON x.classid = 'pg_type'::regclass AND x.objid = m.oid AND x.deptype = 'i'
				WHERE o.class = 'pg_type'::regclass AND m.oid = o.id AND x.refclassid = 'pg_type'::regclass AND pg_has_role(m.typowner, 'USAGE'))
		ORDER BY 1`
	r, err := s.query(ctx, others, nameArray(classes), nameArray(ids))
	if err != nil {
		return err
	}
	for _, line := range r.Rows {
		names = append(names, string(line[0]))
	}
	if len(names) > 0 {
		return &failure{class: driver.Refused, err: errors.New("our role may not move " + strings.Join(names, ", ") + ": make it outside of the shadow, or give the move a role that may")}
	}
	return nil
}

// String is for people.
func (o object) String() string { return o.what + " " + o.name }

// keyword is what statements call an object of a kind.
func (o object) keyword() string {
	switch o.what {
	case "function", "procedure", "aggregate", "window function":
		return "ROUTINE"
	case "statistics object":
		return "STATISTICS"
	}
	return strings.ToUpper(o.what)
}

// adoption plans the move of objects in the server: the full name of one changes as soon as a type in it has moved.
func adoption(all []object, from, into string) string {
	var sql strings.Builder
	for _, o := range all {
		name := fmt.Sprintf("(pg_identify_object(%s, %s, 0)).identity", o.class, o.id)
		fmt.Fprintf(&sql, "EXECUTE 'ALTER %s ' || %s || %s;\n", o.keyword(), name, literal(" SET SCHEMA "+quote(into)))
		if !o.part {
			fmt.Fprintf(&sql, "EXECUTE 'ALTER %s ' || %s || ' OWNER TO CURRENT_USER';\n", o.keyword(), name)
		}
	}
	return "DO " + literal("DECLARE had text; BEGIN\n"+sql.String()+routinePaths(from, into)+"END")
}

// routinePaths plans another search path for routines that have moved and bring one of their own which begins with the place.
func routinePaths(from, into string) string {
	begin := "('search_path=' || quote_ident(" + literal(from) + "))"
	return `FOR had IN SELECT 'ALTER ROUTINE ' || p.oid::regprocedure || ' SET search_path = ' || ` + literal(quote(into)) + ` || substr(c.entry, length(` + begin + `) + 1)
		FROM pg_proc p, unnest(p.proconfig) AS c(entry) WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = ` + literal(into) + `)
			AND left(c.entry || ', ', length(` + begin + `) + 2) = ` + begin + ` || ', ' LOOP EXECUTE had; END LOOP; `
}

// Lend moves tables into the place, with their partitions, and gives them to the account.
func (h shadows) Lend(ctx context.Context, s driver.Shadow, tables []*schema.Table) error {
	if h.db.options.Side != driver.Target {
		return fmt.Errorf("lend tables to the shadow %s: tables of the source stay where they are: clone them", s.Place)
	}
	l, err := h.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	if err := h.inside(ctx, l.session, s.Place, alone()); err != nil {
		return fmt.Errorf("lend tables to the shadow %s: %w", s.Place, err)
	}
	for _, t := range tables {
		if err := h.lend(ctx, l.session, s, t); err != nil {
			return fmt.Errorf("lend %s to the shadow %s: %w", t.Name, s.Place, err)
		}
	}
	if err := h.apart(ctx, l.session, s); err != nil {
		return fmt.Errorf("lend tables to the shadow %s: %w", s.Place, err)
	}
	if err := l.commit(ctx); err != nil {
		return fmt.Errorf("lend tables to the shadow %s: %w", s.Place, err)
	}
	return nil
}

// lend moves one table unless it is in the place already. Its guard, which would keep the build out, goes.
func (h shadows) lend(ctx context.Context, s *session, to driver.Shadow, t *schema.Table) error {
	here, there := h.db.dialect().table(t.Name), quote(to.Place)+"."+quote(t.Name.Name)
	r, err := s.query(ctx, "SELECT to_regclass($1) IS NULL, to_regclass($2) IS NULL", here, there)
	if err != nil {
		return err
	}
	switch gone, absent := yes(r.Rows[0][0]), yes(r.Rows[0][1]); {
	case gone && absent:
		return &failure{class: driver.Missing, err: errors.New("there is no such table")}
	case !gone && !absent:
		return &failure{class: driver.Exists, err: errors.New("another table of this name is in it")}
	case gone:
		return nil
	}
	members, err := s.partitions(ctx, here)
	if err != nil {
		return err
	}
	sql := fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s;", trigger("guard", t), here)
	for _, m := range members {
		sql += "ALTER TABLE " + m + " SET SCHEMA " + quote(to.Place) + ";"
	}
	if err := s.exec(ctx, sql); err != nil {
		return err
	}
	if members, err = s.partitions(ctx, there); err != nil {
		return err
	}
	sql = ""
	for _, m := range members { // whom a table is given to must be allowed to make tables where it is
		sql += "ALTER TABLE " + m + " OWNER TO " + quote(to.Account) + ";"
	}
	return s.exec(ctx, sql)
}

// apart refuses foreign keys of tables that stay to tables that are lent: what the build deletes would go there too.
func (h shadows) apart(ctx context.Context, s *session, to driver.Shadow) error {
	const query = `SELECT k.conrelid::regclass || ' to ' || k.confrelid::regclass FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
		JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
		WHERE k.contype = 'f' AND n.nspname = $1 AND c.relnamespace <> n.oid ORDER BY 1`
	r, err := s.query(ctx, query, to.Place)
	if err == nil && len(r.Rows) > 0 {
		err = errors.New("foreign keys of tables that stay point to it: " + few(r.Rows) + ": lend those tables too, or drop the foreign keys")
	}
	return err
}
