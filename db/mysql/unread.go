package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// A session that is killed while its statement opens a table, in the microseconds in which it reads the table's triggers, leaves the table
// in MariaDB's cache with triggers that are not read (seen with 10.11: KILL, max_statement_time, and Galera, where DDL ends the
// transactions in its way). Whatever statement meets this copy later fails at its first row with error 1064, until the copy is closed.
// CREATE TRIGGER fails on it too, and closes all copies. DROP TRIGGER does not fail: it takes the name away and leaves the trigger, which
// nothing can drop then, or takes the triggers behind an unread one away with its own, the application's too.

// mostUnread is how often CREATE TRIGGER is tried on copies that are unread: each time closes those that are there.
const mostUnread = 10

// unread reports that a statement of ours, whose syntax is right, may have failed because it met a copy with unread triggers.
func (d *database) unread(err error) bool { return d.version.maria() && number(err) == 1064 }

// create makes a trigger, again where it met unread triggers.
func (d *database) create(ctx context.Context, s *session, sql string) error {
	err := s.run(ctx, sql)
	for tries := 1; d.unread(err) && tries < mostUnread; tries++ {
		err = s.run(ctx, sql)
	}
	return err
}

// renew closes the copies of a table that the server has in its cache. It asks for a trigger to be made that is there already: the server
// waits for the table as if it made it, and leaves it as it is. Where none of ours is there, or on MySQL, nothing is done.
func (d *database) renew(ctx context.Context, s *session, t *schema.Table, there []standing) error {
	if !d.version.maria() || len(there) == 0 {
		return nil
	}
	return d.create(ctx, s, "CREATE TRIGGER IF NOT EXISTS "+d.definition(t, there[0].trigger))
}

// mend looks at an error of a statement that wrote to a table: where the table's triggers may have been unread, the table is opened anew, and
// the error is one that passes.
func (d *database) mend(ctx context.Context, t *schema.Table, err error) error {
	if !d.unread(err) {
		return err
	}
	failed := d.control.with(ctx, func(s *session) error {
		there, err := d.triggers(ctx, s, t)
		if err != nil || len(there) == 0 {
			return err
		}
		if err := patience(ctx, s, driver.Wait{}); err != nil {
			return err
		}
		return d.renew(ctx, s, t, there)
	})
	if failed != nil && d.dialect.Classify(failed) != driver.Transient {
		return fmt.Errorf("%w (and its triggers could not be read anew: %w)", err, failed)
	}
	return &waitError{"a session was killed while it read the table's triggers; they are read anew: " + err.Error()}
}

// blocked looks at the triggers that capture has put on tables when sessions were killed since it looked last, and three times more: a session
// may read them a moment later. Tables whose triggers are unread are opened anew; why is what keeps the server from it. What is unread behind
// the last trigger's name only is not to be seen: so the other tables are opened anew too, where nobody has to wait for it. With Galera
// that would end the application's transactions, and they are left.
func (d *database) blocked(ctx context.Context) (why string, err error) {
	err = d.control.with(ctx, func(s *session) error {
		why, err = d.review(ctx, s)
		return err
	})
	return why, err
}

func (d *database) review(ctx context.Context, s *session) (why string, err error) {
	d.reviewed.Store(time.Now().UnixMilli())
	if !d.version.maria() {
		return "", nil
	}
	const bySomebody, byTime, byGalera, nodes = "Com_kill", "Max_statement_time_exceeded", "wsrep_local_bf_aborts", "wsrep_cluster_size"
	counted, err := s.counters(ctx, bySomebody, byTime, byGalera, nodes)
	if err != nil {
		return "", err
	}
	if kills := counted[bySomebody] + counted[byTime] + counted[byGalera]; d.kills.Swap(kills) != kills {
		d.looks.Store(4)
	}
	if d.looks.Load() <= 0 {
		return "", nil
	}
	why, err = d.reread(ctx, s, counted[nodes] > 0)
	if err == nil && why == "" {
		d.looks.Add(-1)
	}
	return why, err
}

// reread opens tables of capture's anew whose triggers are unread; why is what failed.
func (d *database) reread(ctx context.Context, s *session, galera bool) (why string, err error) {
	homes := "trigger_schema = ?"
	if there, err := s.rows(ctx, "SELECT 1 FROM "+d.own("helper")+" LIMIT 1"); err == nil && len(there) > 0 {
		homes = "trigger_schema IN (SELECT ? UNION SELECT home FROM " + d.own("helper") + ")"
	} else if err != nil && classes[number(err)] != driver.Missing {
		return "", err
	}
	all, err := d.standing(ctx, s, homes, d.schema)
	if err != nil {
		return "", err
	}
	for _, there := range byTable(all) {
		ours := slices.DeleteFunc(there, func(h standing) bool { return !h.ours() })
		if len(ours) == 0 {
			continue
		}
		t := &schema.Table{Name: ours[0].on}
		seen, err := d.seen(ctx, s, t, ours)
		if err != nil {
			return "", err
		}
		wait := "1"
		if !seen && galera {
			continue
		} else if !seen {
			wait = "0" // for nobody
		}
		if err := s.run(ctx, "SET lock_wait_timeout="+wait); err != nil {
			return "", err
		}
		switch err := d.renew(ctx, s, t, ours); {
		case err != nil && s.gone():
			return "", err
		case err != nil && seen:
			why = fmt.Sprintf("the server has not read the triggers of %s, and could not be made to: %v", t.Name, err)
		}
	}
	return why, nil
}

// seen reports that the copy of a table that a session meets now has unread triggers.
func (d *database) seen(ctx context.Context, s *session, t *schema.Table, ours []standing) (bool, error) {
	for _, h := range ours {
		_, err := s.rows(ctx, "SHOW CREATE TRIGGER "+quote(orElse(t.Name.Schema, d.schema))+"."+quote(h.name))
		if number(err) == 1602 {
			return true, nil
		}
		if err != nil && classes[number(err)] != driver.Missing {
			return false, err
		}
	}
	return false, nil
}

// byTable parts triggers by the tables they stand on; those of a table stand together.
func byTable(all []standing) (parts [][]standing) {
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(h standing) bool { return h.on != all[0].on })
		if n < 0 {
			n = len(all)
		}
		parts, all = append(parts, all[:n:n]), all[n:]
	}
	return parts
}

// takeOff takes triggers of ours away from a table, where before stood, and sees to it that they, and no others, are gone. What is unread
// now has become it since the table was renewed.
func (d *database) takeOff(ctx context.Context, s *session, t *schema.Table, before, going []standing) error {
	if len(going) == 0 {
		return nil
	}
	for _, g := range going {
		if err := s.run(ctx, d.dropping(t, g.name)); err != nil {
			return err
		}
	}
	if !d.version.maria() {
		return nil
	}
	after, err := d.onTable(ctx, s, t)
	if err != nil {
		return err
	}
	for _, g := range going {
		if slices.ContainsFunc(after, g.armed) {
			if err := d.disarm(ctx, s, t, g); err != nil {
				return err
			}
		}
	}
	var lost []string
	for _, b := range before {
		if !slices.ContainsFunc(going, b.namesake) && !slices.ContainsFunc(after, b.namesake) {
			user, host := userOf(b.definer)
			lost = append(lost, "SET sql_mode='"+b.mode+"'; CREATE DEFINER="+quote(user)+"@"+quote(host)+" TRIGGER "+d.definition(t, b.trigger))
		}
	}
	if lost != nil {
		return fmt.Errorf("a session was killed while triggers of ours were dropped from %s, and the server has taken others away with them. Make them again:\n%s",
			t.Name, strings.Join(lost, ";\n"))
	}
	return nil
}

// inert is the body of a trigger that does nothing.
const inert = "BEGIN END"

func (g standing) namesake(h standing) bool { return h.name == g.name }

// armed reports that another one is of its name and does something.
func (g standing) armed(h standing) bool { return h.name == g.name && h.body != inert }

// disarm makes a trigger do nothing whose name was taken away and which stayed: DROP TRIGGER can not find it by its name, and where
// a second one of that name is made, finds the first.
func (d *database) disarm(ctx context.Context, s *session, t *schema.Table, g standing) error {
	g.body = inert
	if err := d.create(ctx, s, "CREATE TRIGGER "+d.definition(t, g.trigger)); err != nil {
		return err
	}
	if err := s.run(ctx, d.dropping(t, g.name)); err != nil {
		return err
	}
	now, err := d.onTable(ctx, s, t)
	if err == nil && slices.ContainsFunc(now, g.armed) {
		err = nameless(g.name, t)
	}
	return err
}

// nameless is the error for a trigger that the server does not find by its name. Were another one made of that name, the server would prepare
// for the first one only, and what the second one writes to would be missing.
func nameless(name string, t *schema.Table) error {
	const do = "ALTER TABLE … RENAME to another name and back gives it its name again, and then it can be dropped"
	return exists("the trigger %s is left on %s, where the server does not find it by its name: %s", name, t.Name, do)
}

// dropping is the statement that drops a trigger.
func (d *database) dropping(t *schema.Table, name string) string {
	return "DROP TRIGGER IF EXISTS " + quote(orElse(t.Name.Schema, d.schema)) + "." + quote(name)
}

// definition is what follows CREATE TRIGGER.
func (d *database) definition(t *schema.Table, g trigger) string {
	return quote(orElse(t.Name.Schema, d.schema)) + "." + quote(g.name) + " " + g.when + " " + g.event + " ON " + d.dialect.name(t.Name) + " FOR EACH ROW " + g.body
}
