package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// What another account may do stands in the server's own tables. Our account needs to be let look there (rights.go); the columns with
// passwords in them are not asked for.

// reaching are the rights by which an account could reach tables of others, or make itself some, as mysql.user names them.
var reaching = []string{
	"Select", "Insert", "Update", "Delete", "Create", "Drop", "References", "Index", "Alter", "Lock_tables", "Execute", "Create_view", "Show_view",
	"Create_routine", "Alter_routine", "Event", "Trigger", "File", "Grant", "Super", "Create_user",
	"Repl_slave", // reads the binary log, and with it every row that was changed
}

// building are the rights that an account needs in a shadow, as mysql.db names them.
var building = []string{
	"Select", "Insert", "Update", "Delete", "Create", "Drop", "References", "Index", "Alter", "Create_tmp_table", "Lock_tables", "Execute", "Create_view",
	"Show_view", "Create_routine", "Alter_routine", "Event", "Trigger",
}

// lookInto are the tables that must be read, each with the columns that are.
func (d *database) lookInto() [][2]string {
	columns := "Host, User, " + strings.Join(reaching, "_priv, ") + "_priv"
	if d.version.maria() {
		return [][2]string{{"user", columns}, {"db", ""}, {"tables_priv", ""}, {"procs_priv", ""}, {"roles_mapping", ""}, {"proc", ""}}
	}
	return [][2]string{{"user", columns}, {"db", ""}, {"tables_priv", ""}, {"procs_priv", ""}, {"role_edges", ""}}
}

// userOf cuts an account into its user and, where it is named, its host.
func userOf(account string) (user, host string) {
	at := strings.LastIndexByte(account, '@')
	if at < 0 {
		return account, ""
	}
	return account[:at], account[at+1:]
}

// accountName writes an account as statements name it. An administrator's session may take a backslash in a text for itself, by
// NO_BACKSLASH_ESCAPES; in a name every session does.
func accountName(user, host string) string {
	host = orElse(host, "%")
	if strings.Contains(user+host, `\`) {
		return quote(user) + "@" + quote(host)
	}
	return quoteText(user) + "@" + quoteText(host)
}

// accountsOf are the accounts of a name, as statements name them, and whether we may see which there are; where we may not it is the
// one that the name means by itself.
func (d *database) accountsOf(ctx context.Context, s *session, account string) (all []string, known bool) {
	user, host := userOf(account)
	lines, err := s.rows(ctx, "SELECT Host FROM mysql.user WHERE User = ? AND (? = '' OR Host = ?) ORDER BY 1", user, host, host)
	if err != nil {
		return []string{accountName(user, host)}, false
	}
	for _, l := range lines {
		all = append(all, accountName(user, l[0]))
	}
	return all, true
}

// exactly writes a database's name as a pattern of GRANT that means this one only.
func exactly(name string) string {
	return strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(name)
}

// means reports whether a database in a grant is this one and no other, or this one written without care for its blanks.
func means(pattern, place string) bool { return pattern == exactly(place) || pattern == place }

// roles are a user and the roles that it has, directly or by another role.
func (d *database) rolesOf(ctx context.Context, s *session, user string) ([]string, error) {
	query := "SELECT DISTINCT FROM_USER FROM mysql.role_edges WHERE TO_USER = ?"
	if d.version.maria() {
		query = "SELECT DISTINCT Role FROM mysql.roles_mapping WHERE User = ?"
	}
	all := []string{user}
	for i := 0; i < len(all); i++ {
		lines, err := s.rows(ctx, query, all[i])
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			if !slices.Contains(all, l[0]) {
				all = append(all, l[0])
			}
		}
	}
	return all, nil
}

// mayBuild reports whether the account may do what it likes in a place, by its own rights.
func (d *database) mayBuild(ctx context.Context, s *session, shadow driver.Shadow) (bool, error) {
	user, _ := userOf(shadow.Account)
	names, err := d.rolesOf(ctx, s, user)
	if err != nil {
		return false, err
	}
	has := map[string]bool{}
	for _, name := range names {
		lines, err := s.rows(ctx, "SELECT Db, CONCAT_WS(',', "+flags(building)+") FROM mysql.db WHERE User = ?", name)
		if err != nil {
			return false, err
		}
		for _, l := range lines {
			if like(shadow.Place, l[0]) {
				for _, right := range strings.Split(l[1], ",") {
					has[right] = true
				}
			}
		}
	}
	return !slices.ContainsFunc(building, func(right string) bool { return !has[spoken(right)] }), nil
}

// flags are expressions that are a right's name where it is there, else NULL.
func flags(columns []string) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = "IF(" + c + "_priv = 'Y', " + quoteText(spoken(c)) + ", NULL)"
	}
	return strings.Join(all, ", ")
}

// spoken is a right as GRANT names it.
func spoken(column string) string {
	return strings.ToUpper(strings.NewReplacer("Repl_", "Replication ", "_", " ").Replace(column))
}

// Outside reads the rights of all accounts of this user, whatever their hosts, of their roles, and of everybody where those reach
// databases of the tables; and whose views, routines, triggers and events are.
func (d shadows) Outside(ctx context.Context, s driver.Shadow, tables []*schema.Table) ([]string, error) {
	homes := []string{d.schema}
	for _, t := range tables {
		if home := d.full(t.Name).Schema; !slices.Contains(homes, home) {
			homes = append(homes, home)
		}
	}
	var all []string
	err := d.control.with(ctx, func(ses *session) error {
		account := s.Account
		if account == "" {
			line, err := ses.row(ctx, "SELECT CURRENT_USER()")
			if err != nil {
				return err
			}
			account = line[0]
		}
		user, _ := userOf(account)
		names, err := d.rolesOf(ctx, ses, user)
		if err == nil {
			all, err = d.reach(ctx, ses, names, s.Place, homes)
		}
		if err != nil {
			return err
		}
		owned, err := d.owned(ctx, ses, user, s.Place, homes)
		all = append(all, owned...)
		return err
	})
	if err != nil {
		if d.dialect.Classify(err) == driver.Refused {
			err = fmt.Errorf("%w; whimbrel check --grants prints the statements that let it look", err)
		}
		return nil, fmt.Errorf("look at what the account %s may do: %w", s.Account, err)
	}
	return all, nil
}

// reach says what a user, the roles after it and everybody may do outside of a place.
func (d *database) reach(ctx context.Context, s *session, names []string, place string, homes []string) ([]string, error) {
	var all []string
	for _, name := range append(slices.Clone(names), "PUBLIC", "") {
		everybody := name == "" || name == "PUBLIC"
		who := name
		if everybody {
			who = "everybody"
		} else if name != names[0] {
			who = names[0] + ", by the role " + name + ","
		}
		lines, err := s.rows(ctx, "SELECT 0, '', CONCAT_WS(', ', "+flags(reaching)+"), '' FROM mysql.user WHERE User = ? AND User <> ''"+
			" UNION SELECT 1, Db, CONCAT_WS(', ', "+flags(building)+"), '' FROM mysql.db WHERE User = ?"+
			" UNION SELECT 2, Db, CONCAT_WS(', ', NULLIF(Table_priv, ''), NULLIF(Column_priv, '')), Table_name FROM mysql.tables_priv WHERE User = ?"+
			" UNION SELECT 3, Db, Proc_priv, Routine_name FROM mysql.procs_priv WHERE User = ? ORDER BY 1, 2, 4", name, name, name, name)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			if l[2] == "" || l[0] != "0" && means(l[1], place) {
				continue
			}
			if everybody && l[0] != "0" && !slices.ContainsFunc(homes, func(h string) bool { return h == l[1] || l[0] == "1" && like(h, l[1]) }) {
				continue
			}
			switch l[0] {
			case "0":
				all = append(all, who+" has "+l[2]+" on the whole server")
			case "1":
				all = append(all, who+" has "+l[2]+" on the database "+l[1])
			case "2":
				all = append(all, who+" has "+l[2]+" on the table "+l[1]+"."+l[3])
			default:
				all = append(all, who+" has "+l[2]+" on the routine "+l[1]+"."+l[3])
			}
		}
	}
	return all, nil
}

// owned says what a user has made outside of a place: views and triggers in these databases, routines and events in any that we see.
func (d *database) owned(ctx context.Context, s *session, user, place string, homes []string) ([]string, error) {
	in := make([]string, len(homes))
	for i, h := range homes {
		in[i] = quoteText(h)
	}
	lines, err := s.rows(ctx, "SELECT 'view', table_schema, table_name, definer FROM information_schema.views WHERE table_schema IN ("+strings.Join(in, ", ")+")"+
		" UNION ALL SELECT 'trigger', trigger_schema, trigger_name, definer FROM information_schema.triggers WHERE trigger_schema IN ("+strings.Join(in, ", ")+")"+
		" UNION ALL SELECT LOWER(routine_type), routine_schema, routine_name, definer FROM information_schema.routines"+
		" UNION ALL SELECT 'event', event_schema, event_name, definer FROM information_schema.events ORDER BY 1, 2, 3")
	var all []string
	for _, l := range lines {
		if who, _ := userOf(l[3]); who == user && l[1] != place {
			all = append(all, user+" has made the "+l[0]+" "+l[1]+"."+l[2])
		}
	}
	return all, err
}
