package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// guard keeps others from the target's tables, between our transactions too (HAZARDS 92).
//
// On MariaDB it is a CHECK that no row passes, and that our sessions do not look at: a target's sessions have
// check_constraint_checks off. So it costs our loads and replays nothing, and nobody else can insert or change a row; a
// trigger refuses deletions, for which there is no check. Who turns the server's looking at checks off in a session gets past, as who
// sets our variable would: the comparison before the open finds what such a session wrote. Adding a CHECK to a table that has rows would copy it, and MySQL
// knows no such switch: there, triggers for all three refuse sessions without our variable. They are row triggers and take
// about a quarter more of the server's processor time while a table of 13 columns is loaded, of which an empty trigger
// would take half.
type guard struct{ *database }

const refuseOthers = "IF @whimbrel_run IS NULL THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Whimbrel fills this table: it opens when the move has ended'; END IF"

// guards are the guard's triggers.
func guards(t *schema.Table, events ...string) []trigger {
	var all []trigger
	for _, e := range events {
		all = append(all, trigger{numberedNames(t, "guard_"+strings.ToLower(e))[0], "BEFORE", e, refuseOthers})
	}
	return all
}

// guardCheck is the name of the CHECK, which is what others read in their error.
func guardCheck(t *schema.Table) string {
	return "whimbrel_guard_" + strconv.Itoa(t.Number) + ": opens when the move has ended"
}

// Shut refuses others' writes to one table.
//
// What makes a guard ends transactions, so that no lock keeps the epoch what it is meanwhile. But who takes over ends this session, and a session
// that has ended makes none.
func (d guard) Shut(ctx context.Context, t *schema.Table, epoch int64) error {
	if t.Number == 0 {
		return errors.New("shut " + t.Name.String() + ": the table has no number")
	}
	err := d.control.with(ctx, func(s *session) error {
		if err := d.fence(ctx, s, epoch); err != nil {
			return err
		}
		wait := driver.Wait{Lock: 10 * time.Second}
		checked, err := d.check(ctx, s, t, wait)
		if err != nil {
			return err
		}
		if checked {
			return d.raise(ctx, s, t, guards(t, "DELETE"), wait)
		}
		return d.raise(ctx, s, t, guards(t, events...), wait)
	})
	if err != nil {
		return fmt.Errorf("shut %s: %w", t.Name, err)
	}
	return nil
}

// check makes the CHECK where that can be had; false where triggers must do.
func (d guard) check(ctx context.Context, s *session, t *schema.Table, w driver.Wait) (bool, error) {
	if !d.version.maria() || t.Options.Versioned { // the history of a versioned table forbids ALTER TABLE
		return false, nil
	}
	if there, err := d.checked(ctx, s, t); there || err != nil {
		return there, err
	}
	looks, err := s.row(ctx, "SELECT @@GLOBAL.check_constraint_checks")
	if err != nil || looks[0] == "0" { // nobody's session would look at it
		return false, err
	}
	some, err := s.rows(ctx, "SELECT 1 FROM "+d.dialect.name(t.Name)+" LIMIT 1")
	if err != nil || len(some) > 0 {
		return false, err
	}
	if err := patience(ctx, s, w); err != nil {
		return false, err
	}
	return true, s.run(ctx, "ALTER TABLE "+d.dialect.name(t.Name)+" ADD CONSTRAINT "+quote(guardCheck(t))+" CHECK (1 = 0)")
}

// checked reports whether the CHECK is there.
func (d guard) checked(ctx context.Context, s *session, t *schema.Table) (bool, error) {
	if !d.version.maria() {
		return false, nil
	}
	there, err := s.rows(ctx, "SELECT 1 FROM information_schema.check_constraints WHERE constraint_schema = ? AND table_name = ? AND constraint_name = ?",
		orElse(t.Name.Schema, d.schema), t.Name.Name, guardCheck(t))
	return len(there) > 0, err
}

// Stands reads the guard's triggers, each with the moment it was made, and whether the CHECK is there. A CHECK can not be put
// back while the table has rows that were there without it.
func (d guard) Stands(ctx context.Context, t *schema.Table) (stands string, err error) {
	err = d.control.with(ctx, func(s *session) error {
		checked, err := d.checked(ctx, s, t)
		if err != nil {
			return err
		}
		lines, err := s.rows(ctx, `SELECT trigger_name, event_manipulation, created, action_statement FROM information_schema.triggers
			WHERE event_object_schema = ? AND event_object_table = ? AND trigger_name LIKE 'whimbrel\_guard%' ORDER BY trigger_name`,
			orElse(t.Name.Schema, d.schema), t.Name.Name)
		if err != nil || len(lines) == 0 || !checked && len(lines) < len(events) {
			return err
		}
		stands = fmt.Sprint(checked, lines)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look at the guard of %s: %w", t.Name, err)
	}
	return stands, nil
}

// Open lets everybody write again, wherever an update has renamed the table to. Neither a trigger nor a CHECK takes time to drop that grows
// with the table.
func (d guard) Open(ctx context.Context, t *schema.Table) error {
	err := d.control.with(ctx, func(s *session) error {
		now, err := d.whereabouts(ctx, s, t)
		if err != nil || now == nil {
			return err
		}
		there, err := d.checked(ctx, s, now)
		if err != nil {
			return err
		}
		if err := d.lower(ctx, s, now, guardNames(t), driver.Wait{Lock: 10 * time.Second}); err != nil || !there {
			return err
		}
		return d.uncheck(ctx, s, now)
	})
	if err != nil {
		return fmt.Errorf("open %s: %w", t.Name, err)
	}
	return nil
}

// guardNames are the names of all triggers that a guard can have.
func guardNames(t *schema.Table) []string {
	return numberedNames(t, "guard_insert", "guard_update", "guard_delete", "guard_admit_insert", "guard_admit_update", "guard_admit_delete")
}

// whereabouts is the table on which a table's guard stands, under the name that it has now; nil where there is none. Only where none stands on the
// table of the name all others of the database are asked, which takes a while where they are many.
func (d guard) whereabouts(ctx context.Context, s *session, t *schema.Table) (*schema.Table, error) {
	names := guardNames(t)
	there, err := d.triggers(ctx, s, t)
	if err != nil || slices.ContainsFunc(there, func(h standing) bool { return slices.Contains(names, h.name) }) {
		return t, err
	}
	now := *t
	if there, err = d.byName(ctx, s, t.Name.Schema, names...); err != nil {
		return nil, err
	}
	if len(there) > 0 {
		now.Name.Name = there[0].on.Name
		return &now, nil
	}
	if !d.version.maria() {
		return nil, nil
	}
	found, err := s.rows(ctx, "SELECT table_name FROM information_schema.check_constraints WHERE constraint_schema = ? AND constraint_name = ?",
		orElse(t.Name.Schema, d.schema), guardCheck(t))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	now.Name.Name = found[0][0]
	return &now, nil
}

// uncheck takes the CHECK away.
func (d *database) uncheck(ctx context.Context, s *session, t *schema.Table) error {
	drop := "ALTER TABLE " + d.dialect.name(t.Name) + " DROP CONSTRAINT " + quote(guardCheck(t))
	err := s.run(ctx, drop+", ALGORITHM=INSTANT")
	if n := number(err); n == 1845 || n == 1846 { // a table that this server can not alter so is opened nevertheless
		err = s.run(ctx, drop)
	}
	return err
}
