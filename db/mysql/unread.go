package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// renew closes the copies of a table that the server has in its cache. It asks for a trigger behind one that is not there: the server waits
// some seconds for the table, looks at its triggers, makes nothing, whoever has done what meanwhile, and closes the copies. On MySQL it
// does nothing.
func (d *database) renew(ctx context.Context, s *session, t *schema.Table, wait int) error {
	if !d.version.maria() {
		return nil
	}
	const nobody = 4031 // ER_REFERENCED_TRG_DOES_NOT_EXIST; on MySQL this number is another one's
	none := trigger{"whimbrel_renew", "BEFORE", "INSERT", "FOLLOWS whimbrel_nobody " + inert}
	err := d.create(ctx, s, "SET STATEMENT lock_wait_timeout="+strconv.Itoa(wait)+" FOR CREATE TRIGGER "+d.definition(t, none))
	switch {
	case number(err) == nobody:
		return nil
	case err == nil:
		return errors.Join(fmt.Errorf("%s has a trigger whimbrel_nobody, a name that none must have: drop it", t.Name), s.run(ctx, d.dropping(t.Name.Schema, none.name)))
	}
	return err
}

// mend looks at an error of a statement that wrote to a table of the target: where the table's triggers may have been unread, the table is
// opened anew, and the error is one that passes.
func (d *database) mend(ctx context.Context, t *schema.Table, err error) error {
	if !d.unread(err) {
		return err
	}
	failed := d.control.with(ctx, func(s *session) error { return d.renew(ctx, s, t, waiting(driver.Wait{})) })
	switch d.dialect.Classify(failed) {
	case driver.Transient, driver.Lost: // it is tried again
	default:
		if failed != nil {
			return fmt.Errorf("open %s anew: %w, after: %w", t.Name, failed, err)
		}
	}
	return &waitError{"a session may have been killed while it read the table's triggers; the table is opened anew: " + err.Error()}
}

// blocked opens the tables anew on which capture's triggers stand, where sessions were killed since it looked last. One whose triggers are
// seen to be unread is waited for; that somebody holds it is an error. Others are opened when nobody holds them, or after a minute, by then
// with a second of waiting. With Galera that would end the application's transactions: there the others are looked at for a while, and
// left. The clause is always empty: to take capture off would need the same lock.
func (d *database) blocked(ctx context.Context) (why string, err error) {
	return "", d.control.with(ctx, func(s *session) error { return d.review(ctx, s) })
}

// suspicion is what is known of kills, and of the tables that were not opened anew since.
type suspicion struct {
	sync.Mutex
	kills  uint64                    // of all sessions since the server's start
	looks  int                       // that are still to be had at all tables: who is killed may read triggers a moment later
	tables map[schema.Name]time.Time // since when nobody was kept waiting for each
	last   time.Time
}

// patient is how long a table that is suspected is opened anew only where nobody holds it.
const patient = time.Minute

func (d *database) review(ctx context.Context, s *session) error {
	if !d.version.maria() {
		return nil
	}
	const bySomebody, byTime, byGalera, nodes = "Com_kill", "Max_statement_time_exceeded", "wsrep_local_bf_aborts", "wsrep_cluster_size"
	counted, err := s.counters(ctx, bySomebody, byTime, byGalera, nodes)
	if err != nil {
		return err
	}
	d.suspected.Lock()
	defer d.suspected.Unlock()
	d.suspected.last = time.Now()
	if kills := counted[bySomebody] + counted[byTime] + counted[byGalera]; kills != d.suspected.kills {
		d.suspected.kills, d.suspected.looks = kills, 2
	}
	if d.suspected.looks > 0 {
		all, err := d.capturing(ctx, s)
		if err != nil {
			return err
		}
		d.suspected.looks--
		before := d.suspected.tables
		d.suspected.tables = map[schema.Name]time.Time{}
		for _, t := range all {
			d.suspected.tables[t] = time.Now()
			if since, was := before[t]; was {
				d.suspected.tables[t] = since
			}
		}
	}
	var failed []error
	for t := range d.suspected.tables {
		if err := d.reread(ctx, s, t, counted[nodes] > 0); err != nil {
			failed = append(failed, err)
		}
		if s.gone() || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// reviewInstalled reviews between two tables of an install, which has every session open each table anew, and takes long where they are
// many. What fails here is seen by the next review.
func (d *database) reviewInstalled(ctx context.Context, s *session) error {
	d.suspected.Lock()
	due := time.Since(d.suspected.last) > 2*time.Second
	d.suspected.Unlock()
	if !due {
		return nil
	}
	if err := d.review(ctx, s); s.gone() {
		return err
	}
	return nil
}

// capturing returns the tables on which triggers of ours stand.
func (d *database) capturing(ctx context.Context, s *session) (on []schema.Name, err error) {
	homes := "trigger_schema = ?"
	if there, err := s.rows(ctx, "SELECT 1 FROM "+d.own("helper")+" LIMIT 1"); err == nil && len(there) > 0 {
		homes = "trigger_schema IN (SELECT ? UNION SELECT home FROM " + d.own("helper") + ")"
	} else if err != nil && classes[number(err)] != driver.Missing {
		return nil, err
	}
	all, err := d.standing(ctx, s, homes, d.schema)
	for _, h := range all {
		if h.ours() {
			on = append(on, h.on)
		}
	}
	return slices.Compact(on), err
}

// reread opens a table anew that is suspected, as blocked says.
func (d *database) reread(ctx context.Context, s *session, name schema.Name, galera bool) error {
	t := &schema.Table{Name: name}
	seen, err := d.seen(ctx, s, t)
	if err != nil {
		return err
	}
	long := time.Since(d.suspected.tables[name]) > patient
	if galera && !seen {
		if long {
			delete(d.suspected.tables, name)
		}
		return nil
	}
	wait := 0
	if seen || long {
		wait, d.suspected.tables[name] = 1, time.Now()
	}
	err = d.renew(ctx, s, t, wait)
	switch {
	case err == nil, classes[number(err)] == driver.Missing:
		delete(d.suspected.tables, name)
		return nil
	case seen:
		return fmt.Errorf("triggers of %s are unread, so that writes to it fail, and it could not be opened anew: %w", name, err)
	case number(err) != 1205:
		return fmt.Errorf("open %s anew: %w", name, err)
	}
	return nil
}

// seen reports that the copy of a table that a session meets now has unread triggers. What is unread behind the name of the last one is
// not to be seen.
func (d *database) seen(ctx context.Context, s *session, t *schema.Table) (bool, error) {
	there, err := d.triggers(ctx, s, t)
	for i := 0; i < len(there) && err == nil; i++ {
		_, err = s.rows(ctx, "SHOW CREATE TRIGGER "+quote(t.Name.Schema)+"."+quote(there[i].name))
		if number(err) == 1602 {
			return true, nil
		}
		if classes[number(err)] == driver.Missing {
			err = nil
		}
	}
	return false, err
}

// takeOff takes triggers of ours away from a table, where before stood, and sees to it that they are gone and that the application's are
// there. The table was just opened anew: only who was killed since can have left triggers unread.
func (d *database) takeOff(ctx context.Context, s *session, t *schema.Table, before, going []standing) error {
	var err error
	for i := 0; i < len(going) && err == nil; i++ {
		err = s.run(ctx, d.dropping(t.Name.Schema, going[i].name))
	}
	if !d.version.maria() {
		return err
	}
	after, failed := d.onTable(ctx, s, t)
	if failed != nil {
		return errors.Join(err, failed)
	}
	for i := 0; i < len(going) && err == nil; i++ {
		if slices.ContainsFunc(after, going[i].armed) {
			err = d.disarm(ctx, s, t, going[i])
		}
	}
	var lost []string
	for _, b := range before {
		if b.ours() || slices.ContainsFunc(after, b.namesake) {
			continue
		}
		elsewhere, failed := d.byName(ctx, s, t.Name.Schema, b.name)
		if failed != nil {
			err = errors.Join(err, failed)
		}
		if len(elsewhere) == 0 { // its table was not just renamed
			user, host := userOf(b.definer)
			lost = append(lost, "SET sql_mode='"+b.mode+"'; CREATE DEFINER="+quote(user)+"@"+quote(host)+" TRIGGER "+d.definition(t, b.trigger))
		}
	}
	if lost != nil {
		err = errors.Join(err, fmt.Errorf("triggers of ours were dropped from %s, and others are gone since: the server takes them away too where a session is killed at that moment. "+
			"Make them again, unless somebody else has dropped them:\n%s", t.Name, strings.Join(lost, ";\n")))
	}
	return err
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
	if err := s.run(ctx, d.dropping(t.Name.Schema, g.name)); err != nil {
		return err
	}
	now, err := d.onTable(ctx, s, t)
	if err == nil && slices.ContainsFunc(now, g.armed) {
		err = nameless(g.name, t)
	}
	return err
}

// nameless is the error for a trigger that the server does not find by its name. Of two triggers of one name the server locks the tables of
// the first only, so that the application's writes would fail at what the second one writes to.
func nameless(name string, t *schema.Table) error {
	const do = "ALTER TABLE … RENAME to another name and back gives it its name again, and then it can be dropped"
	return exists("the trigger %s is left on %s, where the server does not find it by its name: %s", name, t.Name, do)
}

// dropping is the statement that drops a trigger.
func (d *database) dropping(home, name string) string {
	return "DROP TRIGGER IF EXISTS " + quote(orElse(home, d.schema)) + "." + quote(name)
}

// definition is what follows CREATE TRIGGER.
func (d *database) definition(t *schema.Table, g trigger) string {
	return quote(orElse(t.Name.Schema, d.schema)) + "." + quote(g.name) + " " + g.when + " " + g.event + " ON " + d.dialect.name(t.Name) + " FOR EACH ROW " + g.body
}
