package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// rights are the least that an account must be granted. At the source it may read the application's tables and stand triggers
// on them, and write to nothing but tables of ours, each of which is named: a GRANT may name a table that is not there yet.
type rights struct{ *database }

// The rights of each side. What a trigger of ours does, it does with the rights of the account that made it.
var (
	readRights = []string{"SELECT", "TRIGGER", "LOCK TABLES"}
	ownRights  = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP"}
	fillRights = []string{
		"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "TRIGGER", "CREATE TEMPORARY TABLES", "LOCK TABLES",
	}
)

// Needed lists the rights of this side.
func (d rights) Needed(ctx context.Context, s driver.Scope) ([]driver.Right, error) {
	var all []driver.Right
	err := d.control.with(ctx, func(ses *session) error {
		account, err := d.account(ctx, ses, s.Account)
		if err != nil {
			return err
		}
		has, err := ses.grants(ctx, d.version)
		if err != nil {
			return err
		}
		logs, err := ses.row(ctx, "SELECT @@GLOBAL.log_bin AND NOT @@GLOBAL.log_bin_trust_function_creators")
		if err != nil {
			return err
		}
		all = d.everywhere(has, account, logs[0] == "1")
		shadows, err := d.shadowed(ctx, ses, has, account, s)
		if err != nil {
			return err
		}
		all = append(all, shadows...)
		if d.options.Side == driver.Target {
			all = append(all, d.target(has, account, s)...)
		} else {
			all = append(all, d.source(has, account, s)...)
			above, err := d.above(ctx, ses, has, account, s)
			if err != nil {
				return err
			}
			all = append(all, above...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the rights: %w", err)
	}
	return all, nil
}

// account writes an account as statements name it: 'user'@'host'.
func (d rights) account(ctx context.Context, s *session, name string) (string, error) {
	if name == "" {
		line, err := s.row(ctx, "SELECT CURRENT_USER()")
		if err != nil {
			return "", err
		}
		name = line[0]
	}
	user, host := userOf(name)
	return accountName(user, host), nil
}

// everywhere are the rights that the server knows for all databases only.
func (d rights) everywhere(has granted, account string, logs bool) []driver.Right {
	global := func(rule string, level driver.Level, right, message string, instead ...string) driver.Right {
		lacks := !has.global(right)
		for _, other := range instead {
			lacks = lacks && !has.global(other)
		}
		return driver.Right{Rule: rule, Level: level, Lacks: lacks, Message: message, Grant: "GRANT " + right + " ON *.* TO " + account}
	}
	all := []driver.Right{
		global("process", driver.Forbidden, "PROCESS", "The account may not see other sessions' transactions, for which a move must wait."),
		global("reload", driver.Note, "RELOAD", "The account may not flush the server's log: it is made to by writes to a table of Whimbrel's own."),
	}
	if logs { // SUPER would let the account make triggers too, and much besides
		all = append(all, driver.Right{
			Rule: "trust-creators", Level: driver.Forbidden, Lacks: !has.global("SUPER"),
			Message: "The account may not make triggers while the server writes a binary log and log_bin_trust_function_creators is off.",
			Grant:   "SET GLOBAL log_bin_trust_function_creators = 1",
		})
	}
	if d.options.Side == driver.Target {
		return all
	}
	monitor := "REPLICATION CLIENT"
	if d.version.maria() {
		monitor = "REPLICA MONITOR"
	}
	all = append(all, global("replica-unknown", driver.Note, monitor, "The account may not see whether the server is a replica, whose rows fire no triggers.", "SUPER", "REPLICATION SLAVE ADMIN", "SLAVE MONITOR"))
	if !d.version.maria() {
		all = append(all, global("xa-recover", driver.Forbidden, "XA_RECOVER_ADMIN", "The account may not see prepared transactions, for which a move must wait."))
	}
	return all
}

// source are the rights on the databases that move, and on each table of ours.
func (d rights) source(has granted, account string, s driver.Scope) []driver.Right {
	var all []driver.Right
	for _, name := range d.schemas(s) {
		all = append(all, d.onDatabase(has, "right-read", "The account may not read the tables of "+name+", make triggers on them, and lock them for a moment.", name, account, readRights))
	}
	ours := []string{"owner", "lane", "mark"}
	if d.version.maria() {
		ours = append(ours, "flush")
	}
	if len(s.Shadows) > 0 {
		ours = append(ours, "shadow")
	}
	if slices.ContainsFunc(s.Tables, cascaded) {
		ours = append(ours, "helper")
	}
	for _, t := range s.Live {
		ours = append(ours, fmt.Sprintf("record_%d", t.Number))
		if cascaded(t) {
			ours = append(ours, fmt.Sprintf("walk_%d", t.Number))
		}
	}
	for _, what := range ours {
		table, needed := "whimbrel_source_"+what, ownRights
		if what == "flush" {
			needed = append(slices.Clone(ownRights), "ALTER")
		}
		lacks := false
		for _, right := range needed {
			lacks = lacks || !has.onTable(d.schema, table, right)
		}
		all = append(all, driver.Right{
			Rule: "right-own-table", Level: driver.Forbidden, Lacks: lacks,
			Message: "The account may not make and use " + table + ", a table of Whimbrel's own.",
			Grant:   "GRANT " + strings.Join(needed, ", ") + " ON " + quote(d.schema) + "." + quote(table) + " TO " + account,
		})
	}
	return all
}

// above are the rights on the databases from which foreign keys change rows of tables that move: helper triggers stand there too.
func (d rights) above(ctx context.Context, ses *session, has granted, account string, s driver.Scope) ([]driver.Right, error) {
	var names []schema.Name
	for _, t := range s.Tables {
		if cascaded(t) {
			names = append(names, d.full(t.Name))
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	all, err := d.cascades(ctx, ses)
	if err != nil {
		if classes[number(err)] == driver.Refused { // PROCESS is missing, which is a finding of its own
			return nil, nil
		}
		return nil, err
	}
	var rights []driver.Right
	seen := d.schemas(s)
	for _, n := range newWays(all, names...).above() {
		if !slices.Contains(seen, n.Schema) {
			seen = append(seen, n.Schema)
			rights = append(rights, d.onDatabase(has, "right-above",
				"The account may not make triggers on tables of "+n.Schema+", from which foreign keys change rows of tables that move.", n.Schema, account, readRights))
		}
	}
	return rights, nil
}

// target are the rights to make the tables and fill them.
func (d rights) target(has granted, account string, s driver.Scope) []driver.Right {
	var all []driver.Right
	for _, name := range d.schemas(s) {
		all = append(all, d.onDatabase(has, "right-fill", "The account may not make the tables of "+name+" and fill them.", name, account, fillRights))
	}
	return all
}

// schemas are the databases of a scope, and the connection's own, in which our tables lie.
func (d rights) schemas(s driver.Scope) []string {
	names := append([]string{}, s.Schemas...)
	for _, name := range names {
		if name == d.schema {
			return names
		}
	}
	if d.options.Side == driver.Target {
		names = append(names, d.schema)
	}
	return names
}

func (d rights) onDatabase(has granted, rule, message, name, account string, needed []string) driver.Right {
	lacks := false
	for _, right := range needed {
		lacks = lacks || !has.on(name, right)
	}
	return driver.Right{
		Rule: rule, Level: driver.Forbidden, Lacks: lacks, Message: message,
		Grant: "GRANT " + strings.Join(needed, ", ") + " ON " + quote(exactly(name)) + ".* TO " + account,
	}
}

// powers are rights that let an account do what no move does.
var powers = []string{
	"SUPER", "FILE", "SHUTDOWN", "CREATE USER", "GRANT OPTION", "DELETE HISTORY", "REPLICATION SLAVE ADMIN", "SYSTEM_USER", "SYSTEM_VARIABLES_ADMIN", "ROLE_ADMIN",
}

// Surplus names what the account may do beyond a move's needs.
func (d rights) Surplus(ctx context.Context) ([]driver.Notice, error) {
	var all []driver.Notice
	err := d.control.with(ctx, func(s *session) error {
		has, err := s.grants(ctx, d.version)
		if err != nil {
			return err
		}
		needed, err := s.row(ctx, "SELECT @@GLOBAL.log_bin AND NOT @@GLOBAL.log_bin_trust_function_creators")
		if err != nil {
			return err
		}
		var held []string
		for _, p := range powers {
			if has.global(p) && (p != "SUPER" || needed[0] != "1" || has.global("SHUTDOWN")) {
				held = append(held, p)
			}
		}
		if len(held) == 0 {
			return nil
		}
		all = append(all, driver.Notice{
			Rule: "surplus-right", Level: driver.Note, Message: "The account has " + strings.Join(held, ", ") + " on the whole server, which no move needs.",
			Do: "Give an account of its own to the move: whimbrel check --grants prints what it needs.",
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the account's rights: %w", err)
	}
	return all, nil
}
