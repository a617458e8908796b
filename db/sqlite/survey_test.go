package sqlite

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
)

// surveyEdges are values at the edges of what types hold, as SQL.
var surveyEdges = []string{
	"0", "1", "-1", "127", "32767", "32768", "-32768", "-32769", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "999", "1000", "-1000",
	"0.0", "-0.0", "0.5", "999.99", "999.994", "999.995", "1000.0", "-999.99", "-1000.01", "0.1", "0.12", "0.125", "1e15", "123456789012345.0", "1e300", "9e999", "0.30000000000000004",
	"''", "'a'", "'abc'", "'abcd'", "'ä'", "'äöü'", "'äöüß'", "CAST(x'ff' AS TEXT)", "CAST(x'c3' AS TEXT)", "CAST(x'61006200' AS TEXT)", "'12'", "'1.5'",
	"x''", "x'00'", "x'010203'", "x'01020304'", "NULL", "'2021-02-29'", "'0000-00-00'", "'2021-01-01'", "'{'", "'{}'", "'0000-01-01'", "'0001-01-01'", "'2021-13-01'", "'2021-12-28'", "'2021-02-00'", "'2021-00-10'", "'2021/01/10'", "'2021-01-1a'",
}

// TestCalmHidesNothing: what the short way calls calm has no fact when it is looked at the long way.
func TestCalmHidesNothing(t *testing.T) {
	types := []string{"INTEGER", "SMALLINT", "INT", "BIGINT", "TINYINT", "DECIMAL(5,2)", "DECIMAL(15,2)", "DECIMAL(3,0)", "NUMERIC", "REAL", "VARCHAR(3)", "TEXT", "BLOB", "DATE", "DATETIME", "BOOLEAN", "JSON", ""}
	var script strings.Builder
	script.WriteString("CREATE TABLE t (k INTEGER PRIMARY KEY")
	for i, name := range types {
		fmt.Fprintf(&script, ", c%d %s", i, name)
	}
	script.WriteString(");\n")
	for _, v := range surveyEdges {
		fmt.Fprintf(&script, "INSERT INTO t VALUES (NULL%s);\n", strings.Repeat(", "+v, len(types)))
	}
	d := openAt(t, newFile(t, script.String()), driver.Source)
	defer d.Close()
	table, _ := shaped(t, d, "t", 1)
	q := drivertest.Everything(table)
	for column := range q {
		for i := range q[column] {
			q[column][i].Above = 3
		}
	}
	db := d.Surveyor.(surveyor).d
	s, err := db.take(t.Context(), db.work)
	if err != nil {
		t.Fatal(err)
	}
	defer db.give(s)
	c, p, calm := newCensus(table, q, 1<<30), pageBy(table), 0
	st, _, err := s.conn.Prepare(p.query(table, c.asked))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for st.Step() {
		for i := range c.columns {
			var v value
			if v.scan(st, 1+i); !c.calm(i, &v) {
				continue
			}
			calm++
			if v.class.String() != "NULL" {
				c.look(st, 1, i, &v)
			}
			if facts := c.facts(); len(facts) > 0 {
				t.Fatalf("row %s, %s: %+v", c.sample(st, 1), types[i-1], facts)
			}
		}
	}
	if err := st.Err(); err != nil || calm < 100 {
		t.Fatal(calm, err)
	}
}

// TestASurveyLooksForWhatIsAsked: lengths are asked of the engine, and of nothing in a file that is smaller.
func TestASurveyLooksForWhatIsAsked(t *testing.T) {
	path := newFile(t, `CREATE TABLE t (k TEXT NOT NULL PRIMARY KEY, s TEXT, b BLOB, i SMALLINT);
		INSERT INTO t VALUES ('a', printf('%.*c', 100000, 'x'), x'00', 'x'), ('b', 'y', zeroblob(200000), 1)`)
	d := openAt(t, path, driver.Source)
	defer d.Close()
	table, _ := shaped(t, d, "t", 1)
	for _, test := range []struct {
		asked driver.Questions
		want  string
	}{
		{nil, "[]"},
		{driver.Questions{"i": {{What: driver.WrongClass}}}, "[{i wrong-class 1 0 'a'}]"},
		{driver.Questions{"s": {{What: driver.Longest, Above: 99999}}}, "[{s longest 1 100000 'a'}]"},
		{driver.Questions{"s": {{What: driver.Longest, Above: 100000}}, "b": {{What: driver.Longest, Above: 9}}}, "[{b longest 1 200000 'b'}]"},
		{driver.Questions{"s": {{What: driver.Longest, Above: 9}, {What: driver.BadText}}}, "[{s longest 1 100000 'a'}]"},
		{driver.Questions{"s": {{What: driver.Longest, Above: 1 << 30}}, "i": {{What: driver.Longest, Above: 0}}}, "[]"},
	} {
		facts, err := d.Surveyor.Survey(t.Context(), table, test.asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(facts); got != test.want {
			t.Errorf("%v: %s, not %s", test.asked, got, test.want)
		}
	}
	size, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if c := newCensus(table, driver.Questions{"s": {{What: driver.Longest, Above: size.Size()}}}, size.Size()); c.wanted {
		t.Error("a value is looked for that is longer than the file")
	}
}
