package mysql

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

// A clone is made by the server: CREATE TABLE LIKE, then the rows of one snapshot. INSERT … SELECT would not do: in a transaction
// that keeps its snapshot it locks the rows that it reads, and in one that locks none each table has a snapshot of its own. So a
// procedure reads with a cursor, which locks nothing, and inserts row by row, about 100,000 a second; no row leaves the server.
// The application's triggers are not cloned: what they do to rows is in the rows, and what they do elsewhere has no place here.

// Clone makes tables anew in the shadow.
func (d shadows) Clone(ctx context.Context, s driver.Shadow, tables []*schema.Table) error {
	err := d.apart(ctx, func(ses *session) error {
		if err := d.made(ctx, ses, s.Place); err != nil {
			return err
		}
		c := &cloning{d.database, ses, s.Place, tables, map[schema.Name]bool{}}
		for _, t := range tables {
			if c.names[schema.Name{Name: t.Name.Name}] {
				return exists("two tables have the name %s, and a shadow can have one of them only", t.Name.Name)
			}
			c.names[schema.Name{Name: t.Name.Name}], c.names[d.full(t.Name)] = true, true
		}
		for _, step := range []func(context.Context) error{c.settings, c.structure, c.rows, c.generators, c.foreign} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("clone into the shadow %s: %w", s.Place, err)
	}
	return nil
}

type cloning struct {
	d      *database
	s      *session
	place  string
	tables []*schema.Table
	names  map[schema.Name]bool
}

func (c *cloning) clone(t *schema.Table) string { return quote(c.place) + "." + quote(t.Name.Name) }

// settings let rows be as they are: what once passed by a check or a foreign key is a row like any other.
func (c *cloning) settings(ctx context.Context) error {
	isolation, checks := "transaction_isolation", ""
	if c.d.version.maria() {
		isolation, checks = "tx_isolation", ", check_constraint_checks=0"
	}
	return c.s.run(ctx, "SET "+isolation+"='REPEATABLE-READ', foreign_key_checks=0"+checks)
}

// structure makes the tables without foreign keys, and without our guard where the tables have one.
func (c *cloning) structure(ctx context.Context) error {
	for _, t := range c.tables {
		if err := c.s.run(ctx, "DROP TABLE IF EXISTS "+c.clone(t)); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		if err := c.s.run(ctx, "CREATE TABLE "+c.clone(t)+" LIKE "+c.d.dialect.name(t.Name)); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	if !c.d.version.maria() {
		return nil
	}
	guards, err := c.s.rows(ctx, `SELECT table_name, constraint_name FROM information_schema.check_constraints
		WHERE constraint_schema = ? AND constraint_name LIKE 'whimbrel\_guard\_%'`, c.place)
	if err != nil {
		return err
	}
	for _, g := range guards {
		if err := c.s.run(ctx, "ALTER TABLE "+quote(c.place)+"."+quote(g[0])+" DROP CONSTRAINT "+quote(g[1])); err != nil {
			return err
		}
	}
	return nil
}

// rows fills the tables. The procedures are made before the transaction begins, which making one would end.
func (c *cloning) rows(ctx context.Context) error {
	for i, t := range c.tables {
		if err := c.s.run(ctx, "DROP PROCEDURE IF EXISTS "+c.procedure(i)); err != nil {
			return err
		}
		if err := c.s.run(ctx, "CREATE PROCEDURE "+c.procedure(i)+"() "+c.body(t)); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	if err := c.s.run(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return err
	}
	c.s.open = true
	for i, t := range c.tables {
		if err := c.s.run(ctx, "CALL "+c.procedure(i)+"()"); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	if err := c.s.commit(ctx); err != nil {
		return err
	}
	for i := range c.tables {
		if err := c.s.run(ctx, "DROP PROCEDURE IF EXISTS "+c.procedure(i)); err != nil {
			return err
		}
	}
	return nil
}

func (c *cloning) procedure(i int) string {
	return quote(c.place) + "." + quote("whimbrel_clone_"+strconv.Itoa(i))
}

func (c *cloning) body(t *schema.Table) string {
	var names, variables []string
	declare := "BEGIN DECLARE whimbrel_end BOOL DEFAULT FALSE; "
	for i, col := range t.Columns {
		if col.Generated != nil {
			continue
		}
		variable, kind := "whimbrel_"+strconv.Itoa(i), typed(col.Type, col.Type.Raw)
		if c.d.version.maria() {
			kind = "TYPE OF " + c.d.dialect.name(t.Name) + "." + quote(col.Name)
		}
		names, variables = append(names, col.Name), append(variables, variable)
		declare += "DECLARE " + variable + " " + kind + "; "
	}
	return declare + "DECLARE whimbrel_rows CURSOR FOR SELECT " + list(names) + " FROM " + c.d.dialect.name(t.Name) +
		"; DECLARE CONTINUE HANDLER FOR NOT FOUND SET whimbrel_end = TRUE; OPEN whimbrel_rows; whimbrel_each: LOOP FETCH whimbrel_rows INTO " +
		strings.Join(variables, ", ") + "; IF whimbrel_end THEN LEAVE whimbrel_each; END IF; INSERT INTO " + c.clone(t) + " (" + list(names) +
		") VALUES (" + strings.Join(variables, ", ") + "); END LOOP; CLOSE whimbrel_rows; END"
}

// generators sets the counters to where those of the tables are, and gives defaults that take numbers from a sequence one of their own.
func (c *cloning) generators(ctx context.Context) error {
	for _, t := range c.tables {
		col := numbering(t)
		if col == nil {
			continue
		}
		next, err := c.d.counter(ctx, c.s, t.Name, col.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		if err := c.s.run(ctx, "ALTER TABLE "+c.clone(t)+" AUTO_INCREMENT = "+next.String()); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	defaults, err := c.s.sequenceDefaults(ctx, c.place)
	if err != nil {
		return err
	}
	var cloned []schema.Name
	for _, def := range defaults {
		text := def.text
		for _, q := range def.sequences {
			own := schema.Name{Schema: c.place, Name: q.Name}
			if q.Schema == c.place || !c.names[schema.Name{Name: def.table}] {
				continue
			}
			if !slices.Contains(cloned, q) {
				cloned = append(cloned, q)
				if err := c.sequence(ctx, q, own); err != nil {
					return fmt.Errorf("sequence %s: %w", q, err)
				}
			}
			text = strings.ReplaceAll(text, c.d.dialect.name(q), c.d.dialect.name(own))
		}
		if text != def.text {
			if err := c.s.setDefault(ctx, c.place, def, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// sequence makes a sequence like another one, and as far.
func (c *cloning) sequence(ctx context.Context, of, own schema.Name) error {
	q, err := c.s.row(ctx, "SELECT start_value, increment, minimum_value, maximum_value, cycle_option, cache_size, next_not_cached_value FROM "+c.d.dialect.name(of))
	if err != nil {
		return err
	}
	cycle := " NOCYCLE"
	if q[4] == "1" {
		cycle = " CYCLE"
	}
	for _, sql := range []string{
		"DROP SEQUENCE IF EXISTS " + c.d.dialect.name(own),
		"CREATE SEQUENCE " + c.d.dialect.name(own) + " START WITH " + q[0] + " INCREMENT BY " + q[1] + " MINVALUE " + q[2] + " MAXVALUE " + q[3] +
			" CACHE " + q[5] + cycle,
	} {
		if err := c.s.run(ctx, sql); err != nil {
			return err
		}
	}
	_, err = c.s.rows(ctx, "SELECT SETVAL("+c.d.dialect.name(own)+", "+q[6]+", 0)")
	return err
}

// foreign makes the foreign keys between the tables. They are not checked: the rows are those of one moment.
func (c *cloning) foreign(ctx context.Context) error {
	for _, t := range c.tables {
		for _, k := range t.Foreign {
			if !c.names[c.d.full(k.Parent)] {
				continue
			}
			sql := "ALTER TABLE " + c.clone(t) + " ADD " + named("CONSTRAINT", k.Name) + "FOREIGN KEY (" + list(k.Columns) + ") REFERENCES " +
				quote(c.place) + "." + quote(k.Parent.Name) + " (" + list(k.ParentCols) + ")" + acting(" ON DELETE ", k.OnDelete) + acting(" ON UPDATE ", k.OnUpdate)
			if err := c.s.run(ctx, sql); err != nil {
				return fmt.Errorf("%s, foreign key %s: %w", t.Name, k.Name, err)
			}
		}
	}
	return nil
}

// acting writes a foreign key's action where it has one: for InnoDB, to restrict is to have none.
func acting(word string, a schema.Action) string {
	if !a.Moves() {
		return ""
	}
	return action(word, a)
}

// sequenceDefault is a column's default that takes numbers from sequences.
type sequenceDefault struct {
	table, column, text string
	sequences           []schema.Name
}

var sequenceUse = regexp.MustCompile("(?i)nextval\\(`((?:[^`]|``)+)`\\.`((?:[^`]|``)+)`\\)")

// sequenceDefaults finds the defaults of a database that take numbers from sequences, which are named there with their database.
func (s *session) sequenceDefaults(ctx context.Context, home string) ([]sequenceDefault, error) {
	lines, err := s.rows(ctx, `SELECT table_name, column_name, column_default FROM information_schema.columns
		WHERE table_schema = ? AND column_default LIKE '%nextval(%'`, home)
	if err != nil {
		return nil, err
	}
	var all []sequenceDefault
	for _, l := range lines {
		def := sequenceDefault{table: l[0], column: l[1], text: l[2]}
		for _, m := range sequenceUse.FindAllStringSubmatch(l[2], -1) {
			def.sequences = append(def.sequences, schema.Name{Schema: strings.ReplaceAll(m[1], "``", "`"), Name: strings.ReplaceAll(m[2], "``", "`")})
		}
		all = append(all, def)
	}
	return all, nil
}

func (s *session) setDefault(ctx context.Context, home string, def sequenceDefault, text string) error {
	err := s.run(ctx, "ALTER TABLE "+quote(home)+"."+quote(def.table)+" ALTER COLUMN "+quote(def.column)+" SET DEFAULT ("+text+")")
	if err != nil {
		return fmt.Errorf("%s.%s: %w", def.table, def.column, err)
	}
	return nil
}
