package oracle

import (
	"fmt"
	"strings"
)

// Table is a table as the catalog shows it to the client.
type Table struct {
	Name    string
	Schema  string // PostgreSQL only
	Whole   bool   // PostgreSQL: the root of a partitioned table, whose rows are its partitions'
	Columns []Column
	Key     []string // the primary key's columns, for naming rows in a difference; may be empty
}

// Column is a column with its product's own word for its type, in lower case.
type Column struct {
	Name string
	Type string
}

// ours begins the name of everything that Whimbrel makes.
const ours = "whimbrel_"

// In these queries a name is printed in hexadecimal, as it may hold a tab.
const (
	postgresColumns = `SELECT encode(n.nspname::text::bytea,'hex'), encode(c.relname::text::bytea,'hex'), c.relkind, encode(a.attname::text::bytea,'hex'),
 encode(format_type(a.atttypid,a.atttypmod)::bytea,'hex'),
 coalesce((SELECT array_position(i.indkey::int[], a.attnum::int) FROM pg_index i WHERE i.indrelid=c.oid AND i.indisprimary), -1)
 FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace JOIN pg_attribute a ON a.attrelid=c.oid AND a.attnum>0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r','p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE 'whimbrel\_%' AND n.nspname<>'information_schema'
 ORDER BY 1,2,a.attnum`
	mariadbColumns = `SELECT '', HEX(c.table_name), 'r', HEX(c.column_name), HEX(c.column_type),
 IFNULL((SELECT s.seq_in_index FROM information_schema.statistics s WHERE s.table_schema=c.table_schema AND s.table_name=c.table_name
  AND s.index_name='PRIMARY' AND s.column_name=c.column_name), -1)
 FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE c.table_schema=DATABASE() AND t.table_type='BASE TABLE' ORDER BY c.table_name, c.ordinal_position`
	sqliteColumns = `SELECT '', hex(m.name), 'r', hex(c.name), hex(c.type), CASE c.pk WHEN 0 THEN -1 ELSE c.pk END
 FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) c WHERE m.type='table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND c.hidden IN (0,2,3) ORDER BY m.name, c.cid`
)

// Tables lists the application's tables: what Whimbrel made is left out.
func (d *Database) Tables() ([]*Table, error) {
	rows, err := d.Query(map[string]string{"postgres": postgresColumns, "mariadb": mariadbColumns, "sqlite": sqliteColumns}[d.Product])
	if err != nil {
		return nil, err
	}
	var tables []*Table
	keys := map[*Table]map[string]string{}
	for _, r := range rows {
		schema, name, column, kind := plain(r[0]), plain(r[1]), plain(r[3]), plain(r[4])
		if strings.HasPrefix(name, ours) {
			continue
		}
		if n := len(tables); n == 0 || tables[n-1].Name != name || tables[n-1].Schema != schema {
			t := &Table{Name: name, Schema: schema, Whole: r[2] == "p"}
			tables, keys[t] = append(tables, t), map[string]string{}
		}
		t := tables[len(tables)-1]
		t.Columns = append(t.Columns, Column{Name: column, Type: strings.ToLower(kind)})
		if r[5] != "-1" {
			keys[t][r[5]] = column
		}
	}
	for _, t := range tables {
		for i := 0; i <= len(t.Columns); i++ {
			if c, ok := keys[t][fmt.Sprint(i)]; ok {
				t.Key = append(t.Key, c)
			}
		}
	}
	return tables, nil
}

// name writes a table's name for a statement.
func (d *Database) name(t *Table) string {
	if t.Schema == "" {
		return d.quote(t.Name)
	}
	return d.quote(t.Schema) + "." + d.quote(t.Name)
}

// Links lists what stands beside the columns as one sentence each: keys, indexes, foreign keys. Those with an expression, a
// condition or a prefix are left out: products differ too much in them.
func (d *Database) Links() (map[string]bool, error) {
	rows, err := d.Query(map[string]string{"postgres": postgresLinks, "mariadb": mariadbLinks, "sqlite": sqliteLinks}[d.Product])
	if err != nil {
		return nil, err
	}
	links := map[string]bool{}
	for _, r := range rows {
		if s := plain(r[0]); !strings.Contains(s, " "+ours) {
			links[s] = true
		}
	}
	return links, nil
}

// A unique key is printed as an index too, so that an index that became a key is still found.
const (
	postgresLinks = `WITH i AS (SELECT c.relname t, i.indisunique u, i.indisprimary p,
  (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(i.indkey::int[]) WITH ORDINALITY k(att,n) JOIN pg_attribute a ON a.attrelid=c.oid AND a.attnum=k.att) cols
  FROM pg_index i JOIN pg_class c ON c.oid=i.indrelid JOIN pg_namespace n ON n.oid=c.relnamespace
  WHERE i.indpred IS NULL AND i.indexprs IS NULL AND i.indisvalid AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE 'whimbrel\_%')
 SELECT encode(x::bytea,'hex') FROM (
  SELECT 'index '||t||'('||cols||')' x FROM i UNION SELECT 'unique '||t||'('||cols||')' FROM i WHERE u UNION SELECT 'primary '||t||'('||cols||')' FROM i WHERE p
  UNION SELECT 'foreign '||c.relname||'('||(SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY k(att,n) JOIN pg_attribute a ON a.attrelid=f.conrelid AND a.attnum=k.att)
   ||') to '||p.relname||'('||(SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(f.confkey) WITH ORDINALITY k(att,n) JOIN pg_attribute a ON a.attrelid=f.confrelid AND a.attnum=k.att)
   ||') delete '||CASE f.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'NO ACTION' END
   FROM pg_constraint f JOIN pg_class c ON c.oid=f.conrelid JOIN pg_class p ON p.oid=f.confrelid WHERE f.contype='f' AND f.conparentid=0) s`
	mariadbLinks = `WITH i AS (SELECT table_name t, MAX(non_unique) n, index_name x, GROUP_CONCAT(column_name ORDER BY seq_in_index) cols, MAX(sub_part) p
  FROM information_schema.statistics WHERE table_schema=DATABASE() GROUP BY table_name, index_name)
 SELECT HEX(CONVERT(x USING utf8mb4)) FROM (
  SELECT CONCAT('index ',t,'(',cols,')') x FROM i WHERE p IS NULL UNION SELECT CONCAT('unique ',t,'(',cols,')') FROM i WHERE n=0 AND p IS NULL
  UNION SELECT CONCAT('primary ',t,'(',cols,')') FROM i WHERE x='PRIMARY'
  UNION SELECT CONCAT('foreign ',k.table_name,'(',GROUP_CONCAT(k.column_name ORDER BY k.ordinal_position),') to ',k.referenced_table_name,'(',
   GROUP_CONCAT(k.referenced_column_name ORDER BY k.ordinal_position),') delete ',IF(r.delete_rule='RESTRICT','NO ACTION',r.delete_rule))
   FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
    ON r.constraint_schema=k.constraint_schema AND r.constraint_name=k.constraint_name AND r.table_name=k.table_name
   WHERE k.table_schema=DATABASE() AND k.referenced_table_name IS NOT NULL GROUP BY k.table_name, k.constraint_name) s`
	sqliteLinks = `WITH t AS (SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'),
 i AS (SELECT t.name t, l."unique" u, l.origin o, (SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno)) cols,
   (SELECT min(cid) FROM pragma_index_info(l.name)) least FROM t JOIN pragma_index_list(t.name) l WHERE l.partial=0),
 p AS (SELECT t.name t, (SELECT group_concat(name) FROM (SELECT name FROM pragma_table_info(t.name) WHERE pk>0 ORDER BY pk)) cols FROM t),
 f AS (SELECT t.name t, k.id id, k."table" parent, max(k.on_delete) d, group_concat(k."from") a, group_concat(coalesce(k."to",
   (SELECT name FROM pragma_table_info(k."table") WHERE pk=k.seq+1))) b FROM t JOIN pragma_foreign_key_list(t.name) k GROUP BY t.name, k.id)
 SELECT hex(x) FROM (SELECT 'index '||t||'('||cols||')' x FROM i WHERE least>=0 UNION SELECT 'unique '||t||'('||cols||')' FROM i WHERE u AND least>=0
  UNION SELECT 'primary '||t||'('||cols||')' FROM p WHERE cols IS NOT NULL UNION SELECT 'unique '||t||'('||cols||')' FROM p WHERE cols IS NOT NULL
  UNION SELECT 'index '||t||'('||cols||')' FROM p WHERE cols IS NOT NULL
  UNION SELECT 'foreign '||t||'('||a||') to '||parent||'('||b||') delete '||CASE d WHEN 'RESTRICT' THEN 'NO ACTION' WHEN 'SET DEFAULT' THEN 'NO ACTION' ELSE d END FROM f)`
)

// Missing returns the links of d that other has not got.
func (d *Database) Missing(other *Database) ([]string, error) {
	mine, err := d.Links()
	if err != nil {
		return nil, err
	}
	theirs, err := other.Links()
	if err != nil {
		return nil, err
	}
	var missing []string
	for s := range mine {
		if !theirs[s] {
			missing = append(missing, s)
		}
	}
	return missing, nil
}
