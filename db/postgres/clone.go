package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/schema"
)

//go:embed sql/clone.sql
var cloneTables string

//go:embed sql/drawn.sql
var drawnSequences string

//go:embed sql/keyed.sql
var keyedTables string

// cloning makes tables anew in a place, in one transaction whose snapshot begins when all of them are locked as a reader locks them:
// the rows of all are of one moment, and nobody empties or alters a table meanwhile.
type cloning struct {
	session *session
	to      driver.Shadow
	from    []string          // quoted names in full
	made    []string          // of the clones
	parted  []string          // by what each is parted, empty for a plain table
	parts   []string          // partitions of the clones
	drawn   map[string]string // sequences and what they became, by quoted names in full
	free    map[string]bool   // those of the made ones that belong to no column
	words   map[string]string // defaults as they are by now, by table and column
}

// Clone makes the tables anew.
func (h shadows) Clone(ctx context.Context, s driver.Shadow, tables []*schema.Table) error {
	l, err := h.db.keeper(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	defer l.rollback(ctx)
	c := &cloning{session: l.session, to: s, from: h.db.names(tables), drawn: map[string]string{}, free: map[string]bool{}, words: map[string]string{}}
	if err := c.begin(ctx, h); err != nil {
		return fmt.Errorf("clone tables into the shadow %s: %w", s.Place, err)
	}
	for i, t := range tables {
		if err := c.table(ctx, i, h.db.dialect().from(t)); err != nil {
			return fmt.Errorf("clone %s into the shadow %s: %w", t.Name, s.Place, err)
		}
	}
	if err := c.finish(ctx); err != nil {
		return fmt.Errorf("clone tables into the shadow %s: %w", s.Place, err)
	}
	return nil
}

// begin locks the tables before the snapshot is taken, and takes earlier clones away.
func (c *cloning) begin(ctx context.Context, h shadows) error {
	begin := "BEGIN ISOLATION LEVEL REPEATABLE READ; " + patient
	if len(c.from) > 0 {
		begin += "LOCK TABLE " + strings.Join(c.from, ", ") + " IN ACCESS SHARE MODE"
	}
	if err := h.inside(ctx, c.session, c.to.Place, begin); err != nil {
		return err
	}
	r, err := c.session.query(ctx, cloneTables, nameArray(c.from))
	if err != nil {
		return err
	}
	for _, line := range r.Rows {
		made := quote(c.to.Place) + "." + quote(string(line[0]))
		if slices.Contains(c.made, made) {
			return &failure{class: driver.Exists, err: fmt.Errorf("two of the tables are named %s", line[0])}
		}
		c.made, c.parted = append(c.made, made), append(c.parted, string(line[1]))
		if err := c.session.exec(ctx, "DROP TABLE IF EXISTS "+made+" CASCADE"); err != nil {
			return err
		}
	}
	return nil
}

// table makes one table with its rows, without what can be made faster, or only, when all rows of all tables are there.
func (c *cloning) table(ctx context.Context, i int, from string) error {
	like := fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS)", c.made[i], c.from[i])
	if c.parted[i] != "" {
		like += " PARTITION BY " + c.parted[i]
	}
	if err := c.session.exec(ctx, like); err != nil {
		return err
	}
	if err := c.partitions(ctx, i); err != nil {
		return err
	}
	const columns = `SELECT coalesce(string_agg(quote_ident(attname), ', ' ORDER BY attnum), '') FROM pg_attribute
		WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`
	r, err := c.session.query(ctx, columns, c.from[i])
	if err != nil {
		return err
	}
	names := string(r.Rows[0][0])
	if names == "" {
		return nil
	}
	return c.session.exec(ctx, "INSERT INTO "+c.made[i]+" ("+names+") OVERRIDING SYSTEM VALUE SELECT "+names+" FROM "+from)
}

// partitions makes those of a table, with what they have from it and nothing of their own.
func (c *cloning) partitions(ctx context.Context, i int) error {
	if c.parted[i] == "" {
		return nil
	}
	const tree = `SELECT c.relname, p.relname, pg_get_expr(c.relpartbound, c.oid), coalesce(' PARTITION BY ' || pg_get_partkeydef(c.oid), '')
		FROM pg_partition_tree($1::regclass) AS t JOIN pg_class c ON c.oid = t.relid JOIN pg_class p ON p.oid = t.parentrelid
		WHERE t.level > 0 ORDER BY t.level, c.relname`
	r, err := c.session.query(ctx, tree, c.from[i])
	if err != nil {
		return err
	}
	for _, v := range r.Rows {
		place := quote(c.to.Place) + "."
		part, of := place+quote(string(v[0])), place+quote(string(v[1]))
		if err := c.session.exec(ctx, fmt.Sprintf("DROP TABLE IF EXISTS %[1]s CASCADE; CREATE TABLE %[1]s PARTITION OF %[2]s %[3]s%[4]s", part, of, v[2], v[3])); err != nil {
			return err
		}
		c.parts = append(c.parts, part)
	}
	return nil
}

// finish makes generators, keys and indexes, then foreign keys, and gives everything to the account.
func (c *cloning) finish(ctx context.Context) error {
	for _, part := range []struct {
		query string
		line  func(ctx context.Context, v [][]byte) error
	}{{drawnSequences, c.generator}, {keyedTables, c.key}} {
		r, err := c.session.query(ctx, part.query, nameArray(c.from))
		if err != nil {
			return err
		}
		for _, v := range r.Rows {
			if err := part.line(ctx, v); err != nil {
				return err
			}
		}
	}
	for _, one := range slices.Concat(slices.Collect(maps.Keys(c.free)), c.made, c.parts) { // what is said of a table goes for a sequence
		if err := c.session.exec(ctx, "ALTER TABLE "+one+" OWNER TO "+quote(c.to.Account)); err != nil {
			return err
		}
	}
	return c.session.commit(ctx)
}

// generator gives a column a generator of its own that goes on where the other one is. Whoever draws from a sequence that belongs to
// no column draws from one in the place.
func (c *cloning) generator(ctx context.Context, v [][]byte) error {
	i := int(number(v[0]))
	table, column, sequence, owned := c.made[i], string(v[1]), string(v[2]), yes(v[5])
	if yes(v[4]) {
		return c.session.exec(ctx, fmt.Sprintf("SELECT setval(pg_get_serial_sequence(%s, %s), last_value, is_called) FROM %s",
			literal(table), literal(column), sequence))
	}
	made := quote(c.to.Place) + "." + quote(string(v[3]))
	if c.drawn[sequence] == "" {
		if err := c.sequence(ctx, sequence, made, v); err != nil {
			return err
		}
	}
	if owned {
		delete(c.free, made)
		if err := c.session.exec(ctx, "ALTER SEQUENCE "+made+" OWNED BY "+table+"."+quote(column)); err != nil {
			return err
		}
	}
	at := table + "." + quote(column)
	if _, known := c.words[at]; !known {
		c.words[at] = string(v[6])
	}
	drawn := literal(sequence) + "::regclass"
	if !strings.Contains(c.words[at], drawn) {
		if owned {
			return nil // and drawn from by others, or by nobody
		}
		return fmt.Errorf("the default of %s draws from the sequence %s in a way that can not be copied", at, sequence)
	}
	c.words[at] = strings.ReplaceAll(c.words[at], drawn, literal(made)+"::regclass")
	return c.session.exec(ctx, "ALTER TABLE "+table+" ALTER COLUMN "+quote(column)+" SET DEFAULT "+c.words[at])
}

// sequence makes a sequence like another one.
func (c *cloning) sequence(ctx context.Context, from, made string, v [][]byte) error {
	for _, other := range c.drawn {
		if other == made {
			return &failure{class: driver.Exists, err: fmt.Errorf("two of the sequences are named %s", v[3])}
		}
	}
	cycle := " NO CYCLE"
	if yes(v[13]) {
		cycle = " CYCLE"
	}
	c.drawn[from], c.free[made] = made, true
	return c.session.exec(ctx, fmt.Sprintf(`DROP SEQUENCE IF EXISTS %[1]s CASCADE;
		CREATE SEQUENCE %[1]s AS %[2]s START WITH %[3]s MINVALUE %[4]s MAXVALUE %[5]s INCREMENT BY %[6]s CACHE %[7]s%[8]s;
		SELECT setval(%[9]s, last_value, is_called) FROM %[10]s`,
		made, v[7], v[8], v[9], v[10], v[11], v[12], cycle, literal(made), from))
}

// key makes a key, a check, an index or a foreign key by the server's own words, in which the table that they name is changed.
func (c *cloning) key(ctx context.Context, v [][]byte) error {
	i, name, words := int(number(v[0])), string(v[1]), string(v[3])
	if named := string(v[5]); named != "" {
		head := string(v[4])
		rest, found := strings.CutPrefix(words, head+named)
		if !found {
			return fmt.Errorf("%s of %s is defined in words that are not known: %s", name, c.from[i], words)
		}
		words = strings.TrimSuffix(head, "ONLY ") + c.made[number(v[6])] + rest // a partitioned table's indexes are its partitions' too
	}
	if yes(v[2]) {
		words = "ALTER TABLE " + c.made[i] + " ADD CONSTRAINT " + name + " " + words
	}
	return c.session.exec(ctx, words)
}
