package mysql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// keyTables are tables of keys that are hard to cut; each fills about 3,000 rows.
var keyTables = []struct{ name, columns, insert string }{
	{"dense", "id INT PRIMARY KEY", "SELECT seq FROM seq_1_to_3000"},
	{"skewed", "id BIGINT PRIMARY KEY", "SELECT IF(seq < 2900, seq, seq * 1000000000000000) FROM seq_1_to_3000"},
	{"negative", "id BIGINT PRIMARY KEY", "SELECT CAST(seq * seq AS SIGNED) - 9223372036854775807 FROM seq_1_to_1500 UNION SELECT 9223372036854775807 - seq FROM seq_1_to_1500"},
	{"large_ids", "id BIGINT UNSIGNED PRIMARY KEY", "SELECT 18446744073709551615 - seq * 7 FROM seq_1_to_3000"},
	{"decimals", "id DECIMAL(30,10) PRIMARY KEY", "SELECT seq / 7 - 100 FROM seq_1_to_3000"},
	{"texts", "id VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY", "SELECT CONCAT(ELT(1 + seq % 5, 'order-', 'ÄÖ', 'zz ', '', 'Customer'), MD5(seq)) FROM seq_1_to_3000"},
	{"same_start", "id VARCHAR(200) COLLATE utf8mb4_bin PRIMARY KEY", "SELECT CONCAT(REPEAT('x', 100), seq) FROM seq_1_to_3000"},
	{"latin", "id VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_german2_ci PRIMARY KEY", "SELECT CONCAT('ß', LPAD(seq, 6, '0'), 'é') FROM seq_1_to_3000"},
	{"hashes", "id BINARY(16) PRIMARY KEY", "SELECT UNHEX(MD5(seq)) FROM seq_1_to_3000"},
	{"uuids", "id UUID PRIMARY KEY", "SELECT UUID() FROM seq_1_to_3000"},
	{"days", "id DATETIME(6) PRIMARY KEY", "SELECT TIMESTAMPADD(MICROSECOND, seq * seq * 1000, '1969-12-31') FROM seq_1_to_2999 UNION SELECT '0000-00-00'"},
	{"wide", "a INT, b INT, c INT, PRIMARY KEY (a, b, c)", "SELECT seq % 2, seq DIV 1000, seq FROM seq_1_to_3000"},
	{"one_first", "a VARCHAR(9), b INT, PRIMARY KEY (a, b)", "SELECT 'tenant', seq FROM seq_1_to_3000"},
	{"enums", "a ENUM('z','a','m'), b INT, PRIMARY KEY (a, b)", "SELECT ELT(1 + seq % 3, 'z', 'a', 'm'), seq FROM seq_1_to_3000"},
	{"bad_enums", "a ENUM('z','a') NOT NULL, b INT, PRIMARY KEY (a, b)", "SELECT ELT(1 + seq % 3, 'z', 'a', 0), seq FROM seq_1_to_3000"},
	{"bits", "id BIT(40) PRIMARY KEY", "SELECT seq * 1000003 FROM seq_1_to_3000"},
	{"times", "a TIME(3), b INT, PRIMARY KEY (a, b)", "SELECT SEC_TO_TIME(seq), seq FROM seq_1_to_3000"},
	{"unique_only", "a INT NOT NULL, b INT, UNIQUE KEY u (a)", "SELECT seq, seq FROM seq_1_to_3000"},
	{"none", "id INT PRIMARY KEY", "SELECT 1 FROM DUAL WHERE 0"},
	{"few", "id INT PRIMARY KEY", "SELECT 5"},
}

// TestRangesCoverTheTableOnce: the ranges adjoin, are open at both ends, and every row is in exactly one of them.
func TestRangesCoverTheTableOnce(t *testing.T) {
	s := source(t)
	for _, k := range keyTables {
		t.Run(k.name, func(t *testing.T) {
			s := &side{Database: s.Database, t: t, ctx: t.Context(), d: s.d}
			s.app().do("SET sql_mode=''", "CREATE TABLE "+k.name+" ("+k.columns+")", "INSERT INTO "+k.name+" "+k.insert, "ANALYZE TABLE "+k.name)
			tb := s.inspect(k.name)
			shape := shapeOf(tb)
			want := s.read(driver.Query{Table: tb, Shape: shape, Order: driver.KeyOrder})
			for _, rows := range []int64{1000000, 400, 50} {
				var ranges []row.Range
				for r, err := range s.Splitter.Split(s.ctx, tb, shape, rows) {
					if err != nil {
						t.Fatal(err)
					}
					ranges = append(ranges, r)
				}
				var got []string
				largest := 0
				for i, r := range ranges {
					if r.Number != i+1 || i > 0 && !ranges[i-1].Adjoin(r) {
						t.Fatalf("range %d does not adjoin", i)
					}
					part := s.read(driver.Query{Table: tb, Shape: shape, Range: r, Order: driver.KeyOrder})
					largest = max(largest, len(part))
					got = append(got, part...)
				}
				if ranges[0].After != nil || ranges[len(ranges)-1].Upto != nil {
					t.Fatal("the ends are not open")
				}
				same(t, fmt.Sprint(rows), got, want)
				if len(want) > 2000 && (rows == 50 && (len(ranges) < 20 || largest > 600) || rows == 400 && len(ranges) < 4) {
					t.Errorf("%d ranges for %d rows each, the largest of %d", len(ranges), rows, largest)
				}
				if len(want) < 10 && len(ranges) > 1 {
					t.Errorf("%d ranges of a small table", len(ranges))
				}
			}
		})
	}
}

// TestRandomBoundsCutCleanly: for any key as a bound, the rows up to it and the rows after it are the table.
func TestRandomBoundsCutCleanly(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE cuts (a VARCHAR(9) COLLATE utf8mb4_unicode_ci, b TINYINT, c SET('p','q','r'), v INT, PRIMARY KEY (a, b, c))",
		"INSERT INTO cuts SELECT CONCAT(ELT(1 + seq % 4, 'a', 'B', 'ä', ''), seq % 9), CAST(seq % 5 AS SIGNED) - 2, seq % 8, seq FROM seq_1_to_360")
	tb := s.inspect("cuts")
	shape := shapeOf(tb)
	all := s.read(driver.Query{Table: tb, Shape: shape, Order: driver.KeyOrder})
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 40 {
		cells := strings.Split(all[rnd.IntN(len(all))], "|")
		bound := row.MakeKey([]byte(cells[0]), []byte(cells[1]), []byte(cells[2]))
		upto := s.read(driver.Query{Table: tb, Shape: shape, Range: row.Range{Upto: bound}, Order: driver.KeyOrder})
		after := s.read(driver.Query{Table: tb, Shape: shape, Range: row.Range{After: bound}, Order: driver.KeyOrder})
		same(t, fmt.Sprint(cells), slices.Concat(upto, after), all)
		if upto[len(upto)-1] != strings.Join(cells, "|") {
			t.Fatalf("the bound %q is not the last of its range: %q", cells, upto[len(upto)-1])
		}
	}
}

// TestRangesUseTheIndex looks at the plan of a range and of a key list of a composite key.
func TestRangesUseTheIndex(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE plans (a INT, b VARCHAR(9), v INT, PRIMARY KEY (a, b))", "INSERT INTO plans SELECT seq % 100, seq, 0 FROM seq_1_to_5000", "ANALYZE TABLE plans")
	tb := s.inspect("plans")
	key := keyColumns(shapeOf(tb))
	where, err := within(key, row.Range{After: row.MakeKey([]byte("7"), []byte("1")), Upto: row.MakeKey([]byte("9"), []byte("1"))})
	if err != nil {
		t.Fatal(err)
	}
	keys := row.NewBatch(2)
	for i := range 400 {
		keys.AppendString(fmt.Sprint(i % 100))
		keys.AppendString(fmt.Sprint(i))
	}
	for _, condition := range []string{where, among(key, keys, 0, keys.Len())} {
		plan := s.app().text("EXPLAIN SELECT t.v" + s.d.along(tb, key) + " WHERE " + condition)
		if !strings.Contains(plan, " range ") {
			t.Errorf("no range: %s", plan)
		}
	}
}
