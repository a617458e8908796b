package mysql

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
)

// TestSurveyFindsBytesThatAreNoText puts bytes under columns that no statement would let in: halves of a letter that would
// make it whole side by side. The tables are MyISAM's, whose files can be exchanged.
func TestSurveyFindsBytesThatAreNoText(t *testing.T) {
	s := source(t)
	const columns = " (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET %[1]s, b VARCHAR(9) CHARACTER SET %[1]s, c VARCHAR(9) CHARACTER SET %[2]s) ENGINE=MyISAM"
	for _, test := range []struct{ charset, other string }{
		{"utf8mb4 COLLATE utf8mb4_general_ci", "latin1"}, {"utf8mb3", "utf8mb4"}, {"utf8mb4", "utf8mb4 COLLATE utf8mb4_nopad_bin"},
	} {
		s.do("DROP TABLE IF EXISTS raw, text",
			"CREATE TABLE raw (id INT PRIMARY KEY, a VARBINARY(36), b VARBINARY(36), c VARBINARY(36)) ENGINE=MyISAM",
			"CREATE TABLE text"+fmt.Sprintf(columns, test.charset, test.other),
			"ALTER TABLE raw MODIFY a VARBINARY("+width(test.charset)+"), MODIFY b VARBINARY("+width(test.charset)+"), MODIFY c VARBINARY("+width(test.other)+")",
			`INSERT INTO raw VALUES (1, x'41C3', x'A942', 'c'), (2, 'ok', x'C3A9', NULL), (3, NULL, '', x'6E0075'), (4, 'no', x'4100', 'x')`,
			"FLUSH TABLES raw, text")
		home := filepath.Join(s.app().text("SELECT @@datadir"), s.Info.Schema)
		for _, kind := range []string{".MYD", ".MYI"} {
			data, err := os.ReadFile(filepath.Join(home, "raw"+kind))
			if err == nil {
				err = os.WriteFile(filepath.Join(home, "text"+kind), data, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		s.do("FLUSH TABLES text")
		for _, rows := range []struct {
			condition string
			want      map[string]string
		}{
			{"", map[string]string{"a bad-text": "1", "b bad-text": "1", "b nul-in-text": "4", "c nul-in-text": "3"}},
			{"id IN (1, 3, 4)", map[string]string{}},
		} {
			if rows.condition != "" {
				s.do("DELETE FROM text WHERE " + rows.condition)
			}
			table := s.inspect("text")
			facts, err := s.Surveyor.Survey(s.ctx, table, drivertest.Everything(table))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, f := range facts {
				if f.What != driver.Longest {
					got[f.Column+" "+string(f.What)] = f.Sample
				}
				if f.Count != 1 {
					t.Errorf("%+v", f)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(rows.want) {
				t.Errorf("%+v: found %v, want %v", test, got, rows.want)
			}
		}
	}
}

// width is that of nine characters in bytes.
func width(collated string) string {
	charset, _, _ := strings.Cut(collated, " ")
	return map[string]string{"latin1": "9", "utf8mb3": "27", "utf8mb4": "36"}[charset]
}

// TestASurveyLooksForWhatIsAsked and for nothing else: a table that nobody asks about is not read, and neither is a column
// whose type holds no value as long as is asked for.
func TestASurveyLooksForWhatIsAsked(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE v (id INT PRIMARY KEY, d DATE, t TEXT, m MEDIUMTEXT, l LONGTEXT)")
	s.app().do("SET sql_mode=''", "INSERT INTO v VALUES (1,'0000-00-00','a\\0b',REPEAT('x', 5000000),REPEAT('y', 6000000))")
	table := s.inspect("v")
	for _, test := range []struct {
		asked driver.Questions
		want  string
	}{
		{nil, "[]"},
		{driver.Questions{"t": {{What: driver.NulInText}}}, "[{t nul-in-text 1 0 1}]"},
		{driver.Questions{"d": {{What: driver.BeforeYear1}}}, "[]"},
		{driver.Questions{"d": {{What: driver.ZeroDate}}}, "[{d zero-date 1 0 1}]"},
		{driver.Questions{"t": {{What: driver.Longest, Above: 1 << 20}}, "m": {{What: driver.Longest, Above: 1 << 20}}}, "[{m longest 1 5000000 1}]"},
		{driver.Questions{"m": {{What: driver.Longest, Above: 5 << 20}}, "l": {{What: driver.Longest, Above: 5 << 20}}}, "[{l longest 1 6000000 1}]"},
	} {
		facts, err := s.Surveyor.Survey(s.ctx, table, test.asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(facts); got != test.want {
			t.Errorf("%v: %s, not %s", test.asked, got, test.want)
		}
	}
}
