package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
)

// rights are the least that a role must be granted. PostgreSQL lets nobody but a table's owner, and members of it, switch a
// trigger on for every session (ENABLE ALWAYS) or drop one, so that the source's role must be a member of the owners.
type rights struct{ db *database }

// need is a right that is asked for with one query: true where the role of the session has it.
type need struct {
	driver.Right
	ask    string
	params []string
}

// Needed lists the rights of this side.
func (r rights) Needed(ctx context.Context, s driver.Scope) ([]driver.Right, error) {
	l, err := r.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	role, err := r.account(ctx, l.session, s.Account)
	if err != nil {
		return nil, fmt.Errorf("list the rights: %w", err)
	}
	needs := r.common(role, s)
	if r.db.options.Side == driver.Target {
		needs = append(needs, r.target(role, s)...)
	} else {
		more, err := r.source(ctx, l.session, role, s)
		if err != nil {
			return nil, fmt.Errorf("list the rights: %w", err)
		}
		needs = append(needs, more...)
	}
	needs = append(needs, r.shadows(role, s)...)
	all := make([]driver.Right, len(needs))
	for i, n := range needs {
		all[i] = n.Right
		got, err := l.query(ctx, n.ask, n.params...)
		if err != nil {
			return nil, fmt.Errorf("ask for the right %s: %w", n.Rule, err)
		}
		all[i].Lacks = len(got.Rows) == 0 || !yes(got.Rows[0][0])
	}
	return all, nil
}

// account is the quoted role that statements are written for.
func (r rights) account(ctx context.Context, s *session, name string) (string, error) {
	if name != "" {
		return quote(name), nil
	}
	got, err := s.query(ctx, "SELECT current_user")
	if err != nil {
		return "", err
	}
	return quote(string(got.Rows[0][0])), nil
}

// common are the rights on the database.
func (r rights) common(role string, scope driver.Scope) []need {
	database := quote(r.db.config.Database)
	ours := []string{"whimbrel_" + string(r.db.options.Side)}
	message := "The role may not create the schema " + ours[0] + ", in which Whimbrel's own tables lie"
	for _, s := range scope.Shadows {
		ours = append(ours, s.Place)
		message += ", or " + s.Place + ", in which the new release is built"
	}
	return []need{
		{driver.Right{
			Rule: "right-connect", Level: driver.Forbidden, Message: "The role may not connect to the database.",
			Grant: "GRANT CONNECT ON DATABASE " + database + " TO " + role,
		}, "SELECT has_database_privilege(current_database(), 'CONNECT')", nil},
		{driver.Right{
			Rule: "schema-right", Level: driver.Forbidden, Message: message + ".",
			Grant: "GRANT CREATE ON DATABASE " + database + " TO " + role,
		}, `SELECT has_database_privilege(current_database(), 'CREATE') OR NOT EXISTS (SELECT FROM unnest($1::text[]) AS w(name)
			WHERE name NOT IN (SELECT nspname FROM pg_namespace))`, []string{nameArray(ours)}},
	}
}

// source are the rights to read the tables, to stand triggers on them, and to see who writes.
func (r rights) source(ctx context.Context, s *session, role string, scope driver.Scope) ([]need, error) {
	var needs []need
	for _, name := range scope.Schemas {
		needs = append(needs, usage(name, role))
	}
	const owners = `SELECT DISTINCT pg_get_userbyid(c.relowner) FROM unnest($1::text[], $2::text[]) AS w(space, name)
		JOIN pg_namespace n ON n.nspname = w.space JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name ORDER BY 1`
	var spaces, names []string
	for _, t := range scope.Tables {
		spaces, names = append(spaces, t.Name.Schema), append(names, t.Name.Name)
	}
	for _, q := range scope.Sequences {
		spaces, names = append(spaces, q.Schema), append(names, q.Name)
	}
	got, err := s.query(ctx, owners, nameArray(spaces), nameArray(names))
	if err != nil {
		return nil, err
	}
	for _, line := range got.Rows {
		owner := string(line[0])
		if quote(owner) == role {
			continue
		}
		needs = append(needs, need{driver.Right{
			Rule: "right-owner", Level: driver.Forbidden,
			Message: "The role is no member of " + owner + ", who owns tables of the move, and may not make triggers on them that fire in every session.",
			Grant:   "GRANT " + quote(owner) + " TO " + role,
		}, "SELECT pg_has_role($1, 'USAGE')", []string{owner}})
	}
	return append(needs, need{driver.Right{
		Rule: "right-activity", Level: driver.Note,
		Message: "The role may not see what other sessions do, so that nobody is named who still writes.",
		Grant:   "GRANT pg_read_all_stats TO " + role,
	}, "SELECT pg_has_role('pg_read_all_stats', 'USAGE')", nil}), nil
}

// target are the rights to make tables and to fill them without any trigger.
func (r rights) target(role string, scope driver.Scope) []need {
	needs := []need{{driver.Right{
		Rule: "right-temporary", Level: driver.Forbidden, Message: "The role may not make temporary tables, which replay needs.",
		Grant: "GRANT TEMPORARY ON DATABASE " + quote(r.db.config.Database) + " TO " + role,
	}, "SELECT has_database_privilege(current_database(), 'TEMPORARY')", nil}}
	for _, name := range scope.Schemas {
		create := usage(name, role)
		create.Rule, create.Message = "right-create", "The role may not make tables in the schema "+name+"."
		create.Grant = "GRANT USAGE, CREATE ON SCHEMA " + quote(name) + " TO " + role
		create.ask = "SELECT to_regnamespace($1) IS NULL OR has_schema_privilege($2, 'USAGE') AND has_schema_privilege($2, 'CREATE')"
		needs = append(needs, create)
	}
	n := need{driver.Right{
		Rule: "replication-role", Level: driver.Note,
		Message: "The role may not set session_replication_role: triggers that stand on the target's tables would fire while rows are written.",
		Grant:   "GRANT SET ON PARAMETER session_replication_role TO " + role,
	}, "SELECT $1 = 'true'", []string{fmt.Sprint(r.db.silent)}}
	if r.db.version < 150000 { // before, only a superuser may set it
		n.Grant = ""
	}
	return append(needs, n)
}

// shadows are the rights that the accounts of shadows need, and those to take over what they make.
func (r rights) shadows(role string, scope driver.Scope) []need {
	var needs []need
	for _, s := range scope.Shadows {
		if s.Account == "" {
			continue // which is said where it builds
		}
		needs = append(needs, need{driver.Right{
			Rule: "shadow-connect", Level: driver.Forbidden,
			Message: "The role " + s.Account + ", which builds the new release, is not there or may not connect to the database.",
			Grant:   "GRANT CONNECT ON DATABASE " + quote(r.db.config.Database) + " TO " + quote(s.Account),
		}, "SELECT has_database_privilege(oid, current_database(), 'CONNECT') FROM pg_roles WHERE rolname = $1", []string{s.Account}})
		if quote(s.Account) == role {
			continue
		}
		needs = append(needs, need{driver.Right{
			Rule: "shadow-account", Level: driver.Forbidden,
			Message: "The role is no member of " + s.Account + ", which builds the new release, and may not take over what it makes.",
			Grant:   "GRANT " + quote(s.Account) + " TO " + role,
		}, "SELECT " + r.db.takesOver() + " FROM pg_roles WHERE rolname = $1", []string{s.Account}})
	}
	return needs
}

func usage(name, role string) need {
	return need{driver.Right{
		Rule: "right-usage", Level: driver.Forbidden, Message: "The role may not use the schema " + name + ".",
		Grant: "GRANT USAGE ON SCHEMA " + quote(name) + " TO " + role,
	}, "SELECT to_regnamespace($1) IS NULL OR has_schema_privilege($2, 'USAGE')", []string{quote(name), name}}
}

// powers are what a role may be beyond what a move needs. BYPASSRLS is none of them: tables with row security need it.
var powers = []struct{ ask, what, do string }{
	{"rolsuper", "is a superuser", "NOSUPERUSER"},
	{"rolcreaterole", "may make roles", "NOCREATEROLE"},
	{"rolcreatedb", "may make databases", "NOCREATEDB"},
	{"rolreplication", "may replicate the whole server", "NOREPLICATION"},
}

var memberships = []string{"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"}

// Surplus names what the role is beyond a move's needs.
func (r rights) Surplus(ctx context.Context) ([]driver.Notice, error) {
	l, err := r.db.keeper(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	columns := make([]string, len(powers))
	for i, p := range powers {
		columns[i] = p.ask
	}
	for _, m := range memberships {
		columns = append(columns, "pg_has_role("+literal(m)+", 'USAGE')")
	}
	got, err := l.query(ctx, "SELECT "+strings.Join(columns, ", ")+", current_user FROM pg_roles WHERE rolname = current_user")
	if err != nil || len(got.Rows) == 0 {
		return nil, err
	}
	values := got.Rows[0]
	role := quote(string(values[len(columns)]))
	var what, do []string
	for i, p := range powers {
		if yes(values[i]) {
			what, do = append(what, p.what), append(do, p.do)
		}
	}
	if slices.Contains(do, "NOSUPERUSER") { // is a member of every role
		return []driver.Notice{surplus(what, "Give a role of its own to the move: whimbrel check --grants prints what it needs.")}, nil
	}
	var all []driver.Notice
	if len(what) > 0 {
		all = append(all, surplus(what, "ALTER ROLE "+role+" "+strings.Join(do, " ")+"."))
	}
	for i, m := range memberships {
		if yes(values[len(powers)+i]) {
			all = append(all, surplus([]string{"is a member of " + m}, "REVOKE "+m+" FROM "+role+"."))
		}
	}
	return all, nil
}

func surplus(what []string, do string) driver.Notice {
	return driver.Notice{
		Rule: "surplus-right", Level: driver.Note, Message: "The role " + strings.Join(what, ", ") + ", which no move needs.", Do: do,
	}
}
