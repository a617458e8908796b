package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// Two files are not committed at one moment where one of them has a write-ahead log. So what moves from one to the other is copied
// in one transaction and taken away in the next, with a mark between them that says so: a call after a crash goes on with
// the taking away, and never finds the thing in neither.

// Clone copies tables, without triggers, from one read transaction.
func (b builders) Clone(ctx context.Context, s driver.Shadow, tables []*schema.Table) error {
	err := b.together(ctx, s.Place, func(ses *session) error {
		return b.d.snapshotInto(ctx, ses, func() error {
			for _, t := range tables {
				if _, err := ses.exec("DROP TABLE IF EXISTS " + placeSchema + "." + quote(t.Name.Name)); err != nil {
					return fmt.Errorf("%s: %w", t.Name, err)
				}
				sql, keys, err := ses.cloneSQL(t, tables)
				if err == nil {
					err = ses.copyTable(t.Name.Name, sql, "main", placeSchema)
				}
				for i := 0; i < len(keys) && err == nil; i++ {
					err = ses.conn.Exec(in(placeSchema, keys[i]))
				}
				if err == nil {
					err = ses.copyParts(t.Name.Name, "main", placeSchema, "index")
				}
				if err != nil {
					return fmt.Errorf("%s: %w", t.Name, err)
				}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("clone into the shadow %s: %w", s.Place, err)
	}
	return nil
}

// snapshotInto runs fn in a transaction that reads the database as it is at one moment and writes to the shadow only.
func (d *database) snapshotInto(ctx context.Context, s *session, fn func() error) error {
	d.wal.enter()
	defer d.wal.leave()
	if err := s.conn.Exec("BEGIN"); err != nil {
		return err
	}
	if err := s.one("SELECT count(*) FROM main.sqlite_schema", func(*sqlite3.Stmt) {}); err != nil { // the moment
		return errors.Join(err, s.end())
	}
	if err := fn(); err != nil {
		return errors.Join(err, s.end())
	}
	return s.commit(ctx)
}

// cloneSQL is the table's own statement, or, where foreign keys lead to tables that are not cloned, one without those, and then the
// statements of the unique keys that the table's own declares.
func (s *session) cloneSQL(t *schema.Table, tables []*schema.Table) (sql string, keys []string, err error) {
	outside := func(k *schema.ForeignKey) bool {
		return !slices.ContainsFunc(tables, func(p *schema.Table) bool { return strings.EqualFold(p.Name.Name, k.Parent.Name) })
	}
	if !slices.ContainsFunc(t.Foreign, outside) {
		sql, err = s.statement("main", t.Name.Name)
		return sql, nil, err
	}
	alone := *t
	alone.Foreign = slices.DeleteFunc(slices.Clone(t.Foreign), outside)
	alone.Indexes = nil
	alone.Uniques = slices.DeleteFunc(slices.Clone(t.Uniques), func(k *schema.Key) bool { return k.Name != "" && !builtIn(k.Name) })
	for _, st := range (dialect{}).CreateKeys(&alone) {
		keys = append(keys, strings.Replace(st.SQL, "INDEX IF NOT EXISTS ", "INDEX ", 1))
	}
	sql = dialect{}.CreateTable(&alone)[0].SQL
	return strings.Replace(sql, "TABLE IF NOT EXISTS ", "TABLE ", 1), keys, nil
}

// statement is what made something, as SQLite keeps it: CREATE, the kind, and then the name without its file.
func (s *session) statement(file, name string) (sql string, err error) {
	err = s.one("SELECT sql FROM "+file+".sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE", func(st *sqlite3.Stmt) { sql = st.ColumnText(0) }, text(name))
	if err == nil && sql == "" {
		err = missing("it is not there")
	}
	return sql, err
}

// in lets such a statement make its thing in one of the session's files.
func in(file, sql string) string {
	for _, start := range []string{"CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX ", "CREATE VIEW ", "CREATE TRIGGER "} {
		if strings.HasPrefix(sql, start) {
			return start + file + "." + sql[len(start):]
		}
	}
	return sql
}

// copyTable makes a table in another file, with its rows and the largest number that it ever drew.
func (s *session) copyTable(name, sql, from, to string) error {
	if strings.HasPrefix(sql, "CREATE VIRTUAL TABLE ") {
		return fmt.Errorf("%s is a virtual table, which can not be carried: make it where it is to be", name)
	}
	if err := s.conn.Exec(in(to, sql)); err != nil {
		return err
	}
	var columns []string
	err := s.each("SELECT name FROM pragma_table_xinfo(?1, ?2) WHERE hidden = 0 ORDER BY cid", func(st *sqlite3.Stmt) error {
		columns = append(columns, st.ColumnText(0))
		return nil
	}, text(name), text(from))
	if err != nil {
		return err
	}
	if len(columns) > 0 {
		list := quoteAll(columns)
		if _, err := s.exec("INSERT INTO " + to + "." + quote(name) + " (" + list + ") SELECT " + list + " FROM " + from + "." + quote(name)); err != nil {
			return err
		}
	}
	counted, err := s.holds(from, "sqlite_sequence")
	if err != nil || !counted {
		return err
	}
	last, there := int64(0), false
	err = s.one("SELECT seq FROM "+from+".sqlite_sequence WHERE name = ?1", func(st *sqlite3.Stmt) { last, there = st.ColumnInt64(0), true }, text(name))
	if err != nil || !there {
		return err
	}
	if _, err := s.exec("DELETE FROM "+to+".sqlite_sequence WHERE name = ?1", text(name)); err != nil {
		return err
	}
	_, err = s.exec("INSERT INTO "+to+".sqlite_sequence (name, seq) VALUES (?1, ?2)", text(name), number(last))
	return err
}

// copyParts makes a table's indexes or triggers in another file, but ours.
func (s *session) copyParts(table, from, to, kind string) error {
	var all []string
	err := s.each("SELECT name, sql FROM "+from+".sqlite_schema WHERE type = ?1 AND tbl_name = ?2 COLLATE NOCASE AND sql IS NOT NULL ORDER BY rowid", func(st *sqlite3.Stmt) error {
		if !ours(st.ColumnText(0)) {
			all = append(all, in(to, st.ColumnText(1)))
		}
		return nil
	}, text(kind), text(table))
	for i := 0; i < len(all) && err == nil; i++ {
		err = s.conn.Exec(all[i])
	}
	return err
}

// Lend copies each table into the shadow with its indexes and the application's triggers, and then drops it here.
func (b builders) Lend(ctx context.Context, s driver.Shadow, tables []*schema.Table) error {
	if b.d.side == driver.Source {
		return fmt.Errorf("lend to the shadow %s: the source's own tables stay where they are: clone them", s.Place)
	}
	err := b.both(ctx, s.Place, func(ses *session) error {
		var here, copied []*schema.Table
		for _, t := range tables {
			is, err := ses.holds("main", t.Name.Name)
			if err != nil {
				return err
			}
			there, err := ses.holds(placeSchema, t.Name.Name)
			if err != nil {
				return err
			}
			half, err := ses.beingLent(t)
			switch {
			case err != nil:
				return err
			case is && there && !half:
				return exists("%s is there, and in the shadow too: drop one of them", t.Name)
			case !is && !there:
				return missing("%s is neither there nor in the shadow", t.Name)
			case is && !half:
				here, copied = append(here, t), append(copied, t)
			case half:
				copied = append(copied, t)
			}
		}
		for _, t := range here {
			if err := b.d.within(ctx, ses, func() error { return ses.lend(b.d.run, t) }); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		for _, t := range copied {
			if err := b.d.within(ctx, ses, func() error { return ses.run("DROP TABLE IF EXISTS main." + quote(t.Name.Name)) }); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
			if _, err := ses.exec("DELETE FROM "+placeSchema+".whimbrel_shadow WHERE lent = ?1", text(t.Name.Name)); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("lend to the shadow %s: %w", s.Place, err)
	}
	return nil
}

func (s *session) run(sql string) error {
	_, err := s.exec(sql)
	return err
}

func (s *session) beingLent(t *schema.Table) (half bool, err error) {
	err = s.one("SELECT 1 FROM "+placeSchema+".whimbrel_shadow WHERE lent = ?1", func(*sqlite3.Stmt) { half = true }, text(t.Name.Name))
	return half, err
}

func (s *session) lend(run string, t *schema.Table) error {
	sql, err := s.statement("main", t.Name.Name)
	if err == nil {
		err = s.copyTable(t.Name.Name, sql, "main", placeSchema)
	}
	for _, kind := range []string{"index", "trigger"} {
		if err == nil {
			err = s.copyParts(t.Name.Name, "main", placeSchema, kind)
		}
	}
	if err == nil {
		_, err = s.exec("INSERT INTO "+placeSchema+".whimbrel_shadow (run, lent) VALUES (?1, ?2)", text(run), text(t.Name.Name))
	}
	return err
}

// both is together with this process's turn to write.
func (b builders) both(ctx context.Context, place string, do func(s *session) error) error {
	if err := b.d.turn(ctx); err != nil {
		return err
	}
	defer b.d.done()
	return b.together(ctx, place, do)
}

// within runs fn in one transaction that holds the write locks of both files, and commits it durably.
func (d *database) within(ctx context.Context, s *session, fn func() error) error {
	if err := d.begin(ctx, s, lockWait); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return errors.Join(err, s.end())
	}
	return s.commit(ctx)
}

// Adopt copies everything that is in the shadow and not ours, and then empties it.
func (b builders) Adopt(ctx context.Context, s driver.Shadow, home string) error {
	if home != "" && home != "main" {
		return fmt.Errorf("adopt the shadow %s: a file has no schema %s", s.Place, home)
	}
	err := b.both(ctx, s.Place, func(ses *session) error {
		half, err := ses.holds("main", "whimbrel_adopted")
		if err != nil {
			return err
		}
		objects, err := ses.objects(placeSchema)
		if err != nil || len(objects) == 0 && !half {
			return err
		}
		if !half {
			for _, o := range objects {
				if there, err := ses.holds("main", o.name); err != nil {
					return err
				} else if there {
					return exists("there is something called %s already: rename it or drop it, then adopt again", o.name)
				}
			}
			if err := b.d.within(ctx, ses, func() error { return ses.adopt(objects) }); err != nil {
				return err
			}
		}
		if err := b.d.within(ctx, ses, func() error { return ses.clear(placeSchema, objects) }); err != nil {
			return err
		}
		return b.d.within(ctx, ses, func() error { return ses.run("DROP TABLE IF EXISTS main.whimbrel_adopted") })
	})
	if err != nil {
		return fmt.Errorf("adopt the shadow %s: %w", s.Place, err)
	}
	return nil
}

// adopt copies objects, tables first, and leaves the mark.
func (s *session) adopt(objects []object) error {
	for _, kind := range []string{"table", "index", "view", "trigger"} {
		for _, o := range objects {
			if o.kind != kind {
				continue
			}
			var err error
			if kind == "table" {
				err = s.copyTable(o.name, o.sql, placeSchema, "main")
			} else {
				err = s.conn.Exec(in("main", o.sql))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", o, err)
			}
		}
	}
	return s.conn.Exec("CREATE TABLE main.whimbrel_adopted (one INTEGER)")
}
