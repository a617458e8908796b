package mysql

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

const shop = "CREATE TABLE customer (id INT UNSIGNED NOT NULL AUTO_INCREMENT, `Näme` VARCHAR(50) CHARACTER SET latin1 COLLATE latin1_german1_ci NOT NULL DEFAULT 'it''s \\\\ \"q\"' COMMENT 'who'," +
	" born DATE DEFAULT '0000-00-00', made DATETIME(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3), ts TIMESTAMP NULL," +
	" flags BIT(4) DEFAULT b'101', raw BINARY(3) DEFAULT 'ab', price DECIMAL(10,2) DEFAULT 1.5, kind ENUM('a','it''s') DEFAULT 'it''s', j JSON CHECK (JSON_VALID(j)), e INT DEFAULT (1 + 2)," +
	" u CHAR(36) DEFAULT (uuid()), hid INT INVISIBLE DEFAULT 7, total DECIMAL(12,2) AS (price * 2) VIRTUAL, kept INT AS (e + 1) STORED, tx LONGTEXT DEFAULT 'x', z TINYINT(1) NOT NULL DEFAULT 0, d DOUBLE DEFAULT -1e10," +
	" PRIMARY KEY (id), UNIQUE KEY `na me` (`Näme`, kind), KEY px (tx(20), id DESC), FULLTEXT KEY ft (tx), CONSTRAINT positive CHECK (price > 0)) COMMENT='the customers'"

const orders = `CREATE TABLE orders (a INT NOT NULL, b INT NOT NULL, c INT UNSIGNED, s GEOMETRY NOT NULL, UNIQUE KEY ab (a,b), KEY fk (c), SPATIAL KEY sp (s),
	CONSTRAINT orders_customer FOREIGN KEY (c) REFERENCES customer (id) ON DELETE CASCADE ON UPDATE SET NULL)`

// TestTablesAreMadeAsTheyWere inspects tables, makes them in another database and compares the server's own description.
func TestTablesAreMadeAsTheyWere(t *testing.T) {
	src, dst := source(t), target(t)
	src.do(shop, orders, "CREATE VIEW v AS SELECT 1 AS one", "CREATE PROCEDURE pr() SELECT 1", "CREATE TRIGGER tr BEFORE INSERT ON orders FOR EACH ROW SET @a = 1",
		"CREATE TABLE whimbrel_source_record_1 (id INT)")
	found, err := src.Inspector.Inspect(src.ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Tables) != 2 || len(found.Others) != 3 {
		t.Fatalf("%d tables, others %v", len(found.Tables), found.Others)
	}
	for _, tb := range found.Tables {
		made := *tb
		made.Name.Schema = dst.Info.Schema
		for range 2 {
			dst.plan(dst.Dialect.CreateTable(&made))
		}
		dst.plan(dst.Dialect.CreateKeys(&made))
	}
	for _, tb := range found.Tables {
		made := *tb
		made.Name.Schema = dst.Info.Schema
		for _, k := range made.Foreign {
			k.Parent.Schema = dst.Info.Schema
		}
		add, prove := dst.Dialect.CreateConstraints(&made)
		dst.plan(add)
		dst.plan(prove)
		numbers := regexp.MustCompile(` AUTO_INCREMENT=\d+`)
		of := func(s *side) string {
			lines := strings.Split(numbers.ReplaceAllString(s.app().text("SHOW CREATE TABLE "+quote(tb.Name.Name)), ""), "\n")
			return strings.Join(lines, "\n")
		}
		if a, b := sorted(of(src)), sorted(of(dst)); a != b {
			t.Errorf("source\n%s\ntarget\n%s", a, b)
		}
	}
	a := dst.app()
	a.do("SET foreign_key_checks=0", "INSERT INTO orders (a,b,c,s) VALUES (1,1,77,POINT(1,1))")
	child := dst.inspect("orders")
	_, prove := dst.Dialect.CreateConstraints(child)
	if err := dst.Executor.Execute(dst.ctx, prove[0]); err == nil {
		t.Error("an orphan was proven not to be there")
	}
	if got := a.text(dst.Dialect.Orphans(child, child.Foreign[0])); got != "1 1" {
		t.Error(got)
	}
	for range 2 {
		dst.plan(dst.Dialect.DropTable(child))
	}
}

// sorted orders the lines of keys, which are made in another order than they were.
func sorted(create string) string {
	lines := strings.Split(create, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], ",")
	}
	for i := 1; i < len(lines)-1; i++ {
		for j := i; j > 1 && strings.Contains(lines[j], "KEY") && lines[j] < lines[j-1] && strings.Contains(lines[j-1], "KEY"); j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return strings.Join(lines, "\n")
}

// everyForeign is a table with a column of each kind, as it comes from elsewhere.
func everyForeign(d dialect) *schema.Table {
	t := &schema.Table{Name: schema.Name{Schema: "shop", Name: "every kind"}, Number: 3}
	for _, k := range row.Kinds() {
		for _, f := range []struct {
			suffix string
			typ    schema.Type
		}{{"", schema.Type{Kind: k, Scale: -1}}, {"_sized", schema.Type{Kind: k, Length: 20, Precision: 16, Scale: 3, Fixed: true}}} {
			typ, _ := d.Carry(f.typ, false)
			t.Columns = append(t.Columns, &schema.Column{Name: k.String() + f.suffix, Type: typ, Null: true})
		}
		typ, _ := d.Carry(schema.Type{Kind: k}, true)
		t.Columns = append(t.Columns, &schema.Column{Name: k.String() + "_key", Type: typ})
	}
	id := t.Column("int_key")
	id.Identity.Kind = schema.ByDefault
	t.Column("text").Default = &schema.Default{Kind: schema.Literal, Text: `it's \`}
	t.Column("bits_sized").Default = &schema.Default{Kind: schema.Literal, Text: "00000000000000000101"}
	t.Column("timestamp").Default = &schema.Default{Kind: schema.Now}
	t.Column("date").Default = &schema.Default{Kind: schema.Now}
	t.Column("uuid").Default = &schema.Default{Kind: schema.RandomUUID}
	t.Primary = &schema.Key{Columns: []schema.Part{{Column: "int_key"}}}
	t.Uniques = []*schema.Key{{Name: "u", Columns: []schema.Part{{Column: "text_key"}, {Column: "uuid_key"}}}, {Name: "part", Columns: []schema.Part{{Column: "int"}}, Where: "int > 0"}}
	t.Indexes = []*schema.Index{{Name: "i", Columns: []schema.Part{{Column: "text"}, {Column: "int", Descending: true}}}, {Name: "x", Columns: []schema.Part{{Expression: "lower(`text`)"}}}}
	t.Foreign = []*schema.ForeignKey{{Name: "fk", Columns: []string{"int"}, Parent: schema.Name{Schema: "shop", Name: "p"}, ParentCols: []string{"id"}, OnDelete: schema.SetDefault, OnUpdate: schema.Cascade}}
	t.Checks = []*schema.Check{{Name: "c", Expression: "`int` > 0"}}
	return t
}

// TestPlansAreAsTheyWere holds the DDL of each product and version to golden files; MySQL has no server here.
func TestPlansAreAsTheyWere(t *testing.T) {
	for name, text := range map[string]string{"mariadb-10.6": "10.6.16-MariaDB", "mariadb-11.4": "11.4.2-MariaDB", "mysql-8.0": "8.0.36", "mysql-8.4": "8.4.0"} {
		d := dialect{version: parseVersion(text, ""), schema: "shop"}
		tb := everyForeign(d)
		var out strings.Builder
		write := func(sql string) { out.WriteString(sql + ";\n\n") }
		for _, st := range append(d.CreateTable(tb), d.CreateKeys(tb)...) {
			write(st.SQL)
		}
		add, prove := d.CreateConstraints(tb)
		for _, st := range append(add, prove...) {
			write(st.SQL)
		}
		write(d.Orphans(tb, tb.Foreign[0]))
		db := &database{dialect: d, version: d.version, schema: "shop"}
		db.options.Side = "source"
		key := []keyColumn{{"int_key", tb.Column("int_key").Type}, {"text_key", tb.Column("text_key").Type}}
		for _, tr := range append(append(db.recorders(tb, key), barriers(tb)...), guards(tb, events...)...) {
			write(tr.name + " " + tr.when + " " + tr.event + "\n" + tr.body)
		}
		file := "testdata/" + name + ".sql"
		if *update {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != out.String() {
			t.Errorf("%s differs: look at it, then run with -update\n%s", file, out.String())
		}
	}
}

// TestDefaultsOfMySQL reads what MySQL's catalog says, which is otherwise than MariaDB's.
func TestDefaultsOfMySQL(t *testing.T) {
	v := parseVersion("8.0.36", "MySQL Community Server - GPL")
	for _, c := range []struct {
		kind      row.Kind
		text      string
		generated bool
		want      schema.Default
	}{
		{row.Text, "it's", false, schema.Default{Kind: schema.Literal, Text: "it's"}},
		{row.Int, "5", false, schema.Default{Kind: schema.Literal, Text: "5"}},
		{row.Bits, "b'101'", false, schema.Default{Kind: schema.Literal, Text: "0101"}},
		{row.Instant, "CURRENT_TIMESTAMP(6)", true, schema.Default{Kind: schema.Now, Text: "CURRENT_TIMESTAMP(6)"}},
		{row.Text, "uuid()", true, schema.Default{Kind: schema.RandomUUID, Text: "uuid()"}},
		{row.Int, "(1 + 2)", true, schema.Default{Kind: schema.Expression, Text: "(1 + 2)"}},
		{row.Bytes, "0x616200", false, schema.Default{Kind: schema.Literal, Text: "ab\x00"}},
	} {
		if got := v.readDefault(schema.Type{Kind: c.kind, Length: 4}, c.text, c.generated); *got != c.want {
			t.Errorf("%s: %+v, want %+v", c.text, *got, c.want)
		}
	}
}
