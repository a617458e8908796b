package oracle

import (
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// zoo is the same table in three products, with the same four rows in their own words.
var zoo = map[string]string{
	"postgres": `CREATE TABLE "zoo é" (id bigint PRIMARY KEY, flag boolean, amount numeric(20,6), small real, large double precision, name varchar(40), code char(6), data bytea,
  day date, clock time(6), at timestamp(6), seen timestamptz(6), uid uuid, doc jsonb, mask bit(8), parent bigint REFERENCES "zoo é"(id), UNIQUE (name), CHECK (amount > -100000000));
 CREATE INDEX ON "zoo é" (day, at); CREATE INDEX ON "zoo é" (parent);
 INSERT INTO "zoo é" VALUES (1,true,12.500000,0.1,0.1,E'tab\tnew\nback\\end','ab','\x00ff5c0a','2024-02-29','10:00:00.5','2024-02-29 10:00:00','2024-02-29 10:00:00.25+00','0d5e1a2c-0000-4000-8000-00000000abcd','{"b": 1, "a": [1.50]}',B'00001010',NULL),
 (2,false,-0.000001,-1.5e30,1e-300,'NULL','','','1000-01-01','23:59:59','1999-12-31 23:59:59.999999','1970-01-01 00:00:01+00','0d5e1a2c-0000-4000-8000-00000000abce','"x"',B'11111111',1),
 (9223372036854775807,NULL,NULL,NULL,NULL,'Straße 日本 😀 ',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2),
 (4,false,100000,3,123456789.125,'','x','\x6e',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
 CREATE TABLE loose (a int, b text); INSERT INTO loose VALUES (1,'x'),(1,'x'),(2,NULL),(2,NULL),(2,'-')`,
	"mariadb": "CREATE TABLE `zoo é` (id bigint PRIMARY KEY, flag tinyint(1), amount decimal(20,6), small float, `large` double, name varchar(40) COLLATE utf8mb4_bin UNIQUE, code char(6), data blob, day date, clock time(6),\n" +
		` at datetime(6), seen timestamp(6) NULL, uid char(36), doc json, mask bit(8), parent bigint, FOREIGN KEY (parent) REFERENCES ` + "`zoo é`" + `(id), KEY (day, at)) CHARACTER SET utf8mb4;
 SET time_zone='+00:00';
 INSERT INTO ` + "`zoo é`" + ` VALUES (1,1,12.5,0.1,0.1,'tab\tnew\nback\\end','ab',x'00ff5c0a','2024-02-29','10:00:00.5','2024-02-29 10:00:00','2024-02-29 10:00:00.25','0d5e1a2c-0000-4000-8000-00000000abcd','{"a": [1.50], "b": 1}',b'00001010',NULL),
 (2,0,-0.000001,-1.5e30,1e-300,'NULL','','','1000-01-01','23:59:59','1999-12-31 23:59:59.999999','1970-01-01 00:00:01','0d5e1a2c-0000-4000-8000-00000000abce','"x"',b'11111111',1),
 (9223372036854775807,NULL,NULL,NULL,NULL,'Straße 日本 😀 ',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2),
 (4,0,100000,3,123456789.125,'','x','n',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
 CREATE TABLE loose (a int, b text); INSERT INTO loose VALUES (1,'x'),(1,'x'),(2,NULL),(2,NULL),(2,'-')`,
	"sqlite": `CREATE TABLE "zoo é" (id INTEGER PRIMARY KEY, flag BOOLEAN, amount DECIMAL(20,6), small REAL, large DOUBLE, name TEXT UNIQUE, code CHAR(6), data BLOB, day DATE, clock TIME,
  at DATETIME, seen DATETIME, uid TEXT, doc TEXT, mask TEXT, parent BIGINT REFERENCES "zoo é"(id));
 CREATE INDEX zoo_day ON "zoo é" (day, at); CREATE INDEX zoo_parent ON "zoo é" (parent);
 INSERT INTO "zoo é" VALUES (1,1,12.5,0.1,0.1,'tab' || char(9) || 'new' || char(10) || 'back\end','ab',x'00ff5c0a','2024-02-29','10:00:00.500','2024-02-29 10:00:00.0','2024-02-29T10:00:00.25Z','0d5e1a2c-0000-4000-8000-00000000abcd','{"a": [1.50], "b": 1}','00001010',NULL),
 (2,0,-0.000001,-1.5e30,1e-300,'NULL','',x'','1000-01-01','23:59:59','1999-12-31 23:59:59.999999','1970-01-01 00:00:01+00:00','0d5e1a2c-0000-4000-8000-00000000abce','"x"','11111111',1),
 (9223372036854775807,NULL,NULL,NULL,NULL,'Straße 日本 😀 ',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2),
 (4,0,100000,3,123456789.125,'','x',x'6e',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
 CREATE TABLE loose (a int, b text); INSERT INTO loose VALUES (1,'x'),(1,'x'),(2,NULL),(2,NULL),(2,'-')`,
}

// damages change one thing each; each must be seen, and its table named. %s stands for the quoted name of the zoo.
var damages = []struct{ table, sql string }{
	{"zoo é", "UPDATE %s SET flag=NULL WHERE id=2"},
	{"zoo é", "UPDATE %s SET amount=12.500001 WHERE id=1"},
	{"zoo é", "UPDATE %s SET amount=0 WHERE id=9223372036854775807"},
	{"zoo é", "UPDATE %s SET id=9223372036854775806 WHERE id=9223372036854775807"},
	{"zoo é", "UPDATE %s SET large=0.10000000000000002 WHERE id=1"},
	{"zoo é", "UPDATE %s SET small=0.10000001 WHERE id=1"},
	{"zoo é", "UPDATE %s SET name=NULL WHERE id=2"},
	{"zoo é", "UPDATE %s SET name=NULL WHERE id=4"},
	{"zoo é", "UPDATE %s SET name='Strasse 日本 😀 ' WHERE id=9223372036854775807"},
	{"zoo é", "UPDATE %s SET name='Straße 日本 😀' WHERE id=9223372036854775807"},
	{"zoo é", "UPDATE %s SET name='null' WHERE id=2"},
	{"zoo é", "UPDATE %s SET data=NULL WHERE id=2"},
	{"zoo é", "UPDATE %s SET day='2024-02-28' WHERE id=1"},
	{"zoo é", "UPDATE %s SET clock='10:00:00.05' WHERE id=1"},
	{"zoo é", "UPDATE %s SET at='1999-12-31 23:59:59.999998' WHERE id=2"},
	{"zoo é", "UPDATE %s SET doc='{\"a\": [1.51], \"b\": 1}' WHERE id=1"},
	{"zoo é", "UPDATE %s SET mask='00000101' WHERE id=4"},
	{"zoo é", "DELETE FROM %s WHERE id=4"},
	{"zoo é", "INSERT INTO %s (id) VALUES (5)"},
	{"loose", "INSERT INTO loose VALUES (1,'x')"},
	{"loose", "UPDATE loose SET b='' WHERE b IS NULL"},
	{"loose", "UPDATE loose SET b=NULL WHERE b='-'"},
	{"loose", "UPDATE loose SET a=3-a WHERE b='x'"},
	{"more", "CREATE TABLE more (a int)"},
	{"loose", "ALTER TABLE loose ADD COLUMN c int"},
}

func fresh(t *testing.T, product string) *Database {
	t.Helper()
	at := map[string]func(testing.TB) string{"postgres": testserver.Postgres, "mariadb": testserver.MariaDB, "sqlite": testserver.SQLite}[product](t)
	d, err := Open(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Script(zoo[product] + ";\n"); err != nil {
		t.Fatal(err)
	}
	return d
}

func products() []string { return []string{"postgres", "mariadb", "sqlite"} }

func TestTheSameRowsAreEqualInEveryPair(t *testing.T) {
	for _, a := range products() {
		for _, b := range products() {
			t.Run(a+"/"+b, func(t *testing.T) {
				source, target := fresh(t, a), fresh(t, b)
				v, err := Compare(source, target)
				if err != nil {
					t.Fatal(err)
				}
				if !v.Equal() || v.Rows["zoo é"] != 4 || v.Rows["loose"] != 5 {
					t.Fatalf("%v %v", v.Rows, v.Differences)
				}
				missing, err := source.Missing(target)
				if err != nil || len(missing) > 0 {
					t.Fatalf("missing %q, %v", missing, err)
				}
			})
		}
	}
}

func TestEveryDamageIsSeen(t *testing.T) {
	for i, a := range products() {
		b := products()[(i+1)%3]
		t.Run(a+"/"+b, func(t *testing.T) {
			source, target := fresh(t, a), fresh(t, b)
			whole := "DROP TABLE IF EXISTS " + target.quote("zoo é") + "; DROP TABLE IF EXISTS loose; DROP TABLE IF EXISTS more; " + zoo[b] + ";\n"
			for _, damage := range damages {
				if err := target.Script(whole); err != nil {
					t.Fatal(err)
				}
				sql := damage.sql
				if b == "postgres" {
					sql = strings.ReplaceAll(sql, "mask='00000101'", "mask=B'00000101'")
				}
				if b == "mariadb" {
					sql = strings.ReplaceAll(strings.ReplaceAll(sql, "mask='00000101'", "mask=b'00000101'"), "large=", "`large`=")
				}
				if err := target.Script(strings.ReplaceAll(sql, "%s", target.quote("zoo é")) + ";\n"); err != nil {
					t.Fatal(err)
				}
				v, err := Compare(source, target)
				if err != nil {
					t.Fatal(err)
				}
				if len(v.Differences) != 1 || v.Differences[0].Table != damage.table {
					t.Errorf("%s: %v", damage.sql, v.Differences)
				}
			}
		})
	}
}

func TestAMissingLinkIsSeen(t *testing.T) {
	for product, damage := range map[string]string{
		"postgres": `DROP INDEX "zoo é_day_at_idx"; ALTER TABLE "zoo é" DROP CONSTRAINT "zoo é_parent_fkey"`,
		"mariadb":  "ALTER TABLE `zoo é` DROP FOREIGN KEY `zoo é_ibfk_1`; DROP INDEX day ON `zoo é`",
	} {
		t.Run(product, func(t *testing.T) {
			source, target := fresh(t, "sqlite"), fresh(t, product)
			if err := target.Script(damage + ";\n"); err != nil {
				t.Fatal(err)
			}
			missing, err := source.Missing(target)
			slices.Sort(missing)
			want := []string{"foreign zoo é(parent) to zoo é(id) delete NO ACTION", "index zoo é(day,at)"}
			if err != nil || !slices.Equal(missing, want) {
				t.Fatalf("missing %q, %v", missing, err)
			}
		})
	}
}

func TestTheCatalogShowsWhatIsLeftBehind(t *testing.T) {
	for product, left := range map[string][]string{
		"postgres": {
			"CREATE SCHEMA whimbrel_source", "ALTER TABLE loose ADD CONSTRAINT c CHECK (a > 0)", "GRANT SELECT ON loose TO PUBLIC", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
			"ALTER TABLE loose ALTER COLUMN a SET NOT NULL",
		},
		"mariadb": {"CREATE TABLE whimbrel_target_epoch (a int)", "CREATE TRIGGER whimbrel_gate_1 BEFORE INSERT ON loose FOR EACH ROW SET @a=1"},
		"sqlite":  {"CREATE TABLE whimbrel_target_epoch (a int)", "CREATE TRIGGER whimbrel_gate_1 BEFORE INSERT ON loose BEGIN SELECT 1; END"},
	} {
		for _, sql := range left {
			d := fresh(t, product)
			if err := d.Script("DELETE FROM loose WHERE a IS NULL;\n"); err != nil {
				t.Fatal(err)
			}
			before, err := d.Catalog()
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Script(sql + ";\n"); err != nil {
				t.Fatal(err)
			}
			after, err := d.Catalog()
			if err != nil || slices.Equal(before, after) {
				t.Errorf("%s: %s leaves no trace (%v)", product, sql, err)
			}
		}
	}
}
