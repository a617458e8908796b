package mysql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

const everyType = `CREATE TABLE every (
	id BIGINT UNSIGNED NOT NULL PRIMARY KEY, ti TINYINT, b1 TINYINT(1), si SMALLINT, mi MEDIUMINT UNSIGNED, i INT(8) ZEROFILL, bi BIGINT, ub BIGINT UNSIGNED,
	y YEAR, d DECIMAL(65,30), dz DECIMAL(10,2) ZEROFILL, f FLOAT, g DOUBLE, bt BIT(13), b64 BIT(64),
	c CHAR(10), v VARCHAR(100), l1 VARCHAR(100) CHARACTER SET latin1, u2 VARCHAR(100) CHARACTER SET ucs2, u16 TEXT CHARACTER SET utf16, cp VARCHAR(50) CHARACTER SET cp1251,
	sj VARCHAR(50) CHARACTER SET sjis, tx LONGTEXT, fb BINARY(8), vb VARBINARY(300), lb LONGBLOB, e ENUM('a','it''s','ü'), s SET('x','y','z'), el ENUM('ä','b') CHARACTER SET latin1,
	dt DATE, tm TIME(6), dtm DATETIME(6), dtm0 DATETIME, ts TIMESTAMP(6) NULL, j JSON, u UUID, i6 INET6, gm GEOMETRY, pt POINT,
	gen INT GENERATED ALWAYS AS (ti + 1) STORED)`

var everyRows = [][]string{
	{
		"18446744073709551615", "-128", "5", "32767", "16777215", "42", "-9223372036854775808", "18446744073709551615",
		"0", "12345678901234567890123456789012345.123456789012345678901234567890", "42.50", "1.6777216e+07", "-0.5", "1010101010101", strings.Repeat("1", 64),
		"ab", "tab\t nl\n bs\\ nul\x00 N \\N é 😀 trailing  ", "Grüße ÿ", "日本", "😀 utf16", "Привет", "日本語", "long'text\"", "ab\x00\x00\x00\x00\x00\x00", "\\N\x00\xff\n\t", "", "it's", "x,z", "ä",
		"0000-00-00", "-838:59:59.999999", "2024-02-29 23:59:59.5", "0000-00-00 00:00:00", "2037-12-31 23:59:59.123456", `{"a": 1,  "a":"é\n"}`, "123e4567-e89b-12d3-a456-426614174000", "2001:db8::1", "SRID=4326;POINT(0.30000000000000004 1)", "SRID=0;POINT(1 2)",
	},
	{
		"0", "0", "0", "-32768", "0", "0", "0", "0", "1901", "-0.000000000000000000000000000001", "0.00", "1.1754944e-38", "5e-324", "0000000000000", strings.Repeat("0", 64),
		"", "", "", "", "", "", "", "", strings.Repeat("\x00", 8), "", "\x00", "a", "", "b",
		"2024-00-15", "24:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "1970-01-01 00:00:01", "[]", "00000000-0000-0000-0000-000000000000", "::", "SRID=0;GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))", "SRID=0;POINT(-1e300 1.5e-7)",
	},
}

// TestEveryTypeComesBackAsItWent loads cells into every type, both ways in, and reads the same cells.
func TestEveryTypeComesBackAsItWent(t *testing.T) {
	s := target(t)
	s.do(everyType)
	tb := s.inspect("every")
	shape := shapeOf(tb)
	nulls := append([]string{"7"}, strings.Split(strings.Repeat("~,", shape.Width()-2)+"~", ",")...)
	want := batch(shape.Width(), everyRows[1], nulls, everyRows[0])
	epoch := s.takeOver()
	for i, way := range []string{"load data", "insert"} {
		s.d.infile = way == "load data"
		if err := s.Ledger.Clear(s.ctx, tb, epoch); err != nil {
			t.Fatal(err)
		}
		if err := s.load(epoch, tb, shape, i+1, want); err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		got, expected := s.read(driver.Query{Table: tb, Shape: shape, Order: driver.KeyOrder}), show(want)
		for r := range expected {
			g, w := strings.Split(got[r], "|"), strings.Split(expected[r], "|")
			for c := range w {
				w[c] = strings.ReplaceAll(w[c], "-1e300 1.5e-7", "-1e300 0.00000015")
				if g[c] != w[c] {
					t.Errorf("%s: column %s: got %q, want %q", way, shape.Columns[c].Column.Name, g[c], w[c])
				}
			}
		}
	}
}

// TestCarriedTypesRoundTrip makes a column for a foreign type of every kind and loads and reads its cells.
func TestCarriedTypesRoundTrip(t *testing.T) {
	s := target(t)
	foreign := []struct {
		typ   schema.Type
		scale int
		cells []string
	}{
		{schema.Type{Kind: row.Bool, Raw: "boolean"}, 0, []string{"0", "1"}},
		{schema.Type{Kind: row.Int, Precision: 16}, 0, []string{"-32768"}},
		{schema.Type{Kind: row.Int, Precision: 64}, 0, []string{"-9223372036854775808", "9223372036854775807"}},
		{schema.Type{Kind: row.Decimal, Precision: 20, Scale: 4}, 4, []string{"-1.5000", "0.0001"}},
		{schema.Type{Kind: row.Decimal, Scale: -1}, 30, []string{"1." + strings.Repeat("0", 29) + "1"}},
		{schema.Type{Kind: row.Decimal, Precision: 5, Scale: -2}, 0, []string{"1234500"}},
		{schema.Type{Kind: row.Float32}, 0, []string{"3.4028235e+38", "-3.4028235e+38", "0.1"}},
		{schema.Type{Kind: row.Float64}, 0, []string{"1.7976931348623157e+308", "0.1", "5e-324"}},
		{schema.Type{Kind: row.Text}, 0, []string{"", " a ", "a ", "\x00", "😀\\\t\n\r\x1a'\""}},
		{schema.Type{Kind: row.Text, Length: 5, Fixed: true}, 0, []string{"ab   "}},
		{schema.Type{Kind: row.Bytes}, 0, []string{"\x00\xff\\\n", ""}},
		{schema.Type{Kind: row.Date}, 0, []string{"0001-01-01", "9999-12-31"}},
		{schema.Type{Kind: row.Time, Scale: 6}, 6, []string{"00:00:00", "24:00:00", "10:20:30.123456"}},
		{schema.Type{Kind: row.Timestamp, Scale: 6}, 6, []string{"2024-02-29 01:02:03.1", "0001-01-01 00:00:00"}},
		{schema.Type{Kind: row.Instant, Scale: 6}, 6, []string{"2039-01-01 00:00:00.000001"}},
		{schema.Type{Kind: row.Duration, Scale: 6}, 6, []string{"-100:00:00.5", "838:59:59"}},
		{schema.Type{Kind: row.Interval}, 0, []string{"1 year 2 mons 3 days 04:05:06.789"}},
		{schema.Type{Kind: row.UUID}, 0, []string{"00000000-0000-0000-0000-0000000000ff"}},
		{schema.Type{Kind: row.JSON}, 0, []string{`{"b":1, "a" : 1e400, "b":2}`}},
		{schema.Type{Kind: row.Bits, Length: 5, Fixed: true}, 0, []string{"00101"}},
		{schema.Type{Kind: row.Bits}, 0, []string{"", "0", "0001"}},
		{schema.Type{Kind: row.Bits, Length: 100, Fixed: true}, 0, []string{strings.Repeat("01", 50)}},
		{schema.Type{Kind: row.Other, Raw: "tsvector"}, 0, []string{"'a':1 'b':2"}},
		{schema.Type{Kind: row.Text, Values: []string{"sad", "it's", "ÄÖ"}}, 0, []string{"it's", "ÄÖ"}},
		{schema.Type{Kind: row.Text, Values: []string{"trailing ", "x"}}, 0, []string{"trailing "}},
	}
	epoch := s.takeOver()
	for i, f := range foreign {
		for _, key := range []bool{false, true} {
			typ, _ := s.Dialect.Carry(f.typ, key)
			tb := &schema.Table{
				Name: schema.Name{Schema: s.Info.Schema, Name: fmt.Sprintf("carried_%d_%t", i, key)}, Number: 2*i + 1,
				Columns: []*schema.Column{{Name: "id", Type: schema.Type{Kind: row.Int, Raw: "int"}}, {Name: "v", Type: typ, Null: !key}},
			}
			tb.Primary = &schema.Key{Columns: []schema.Part{{Column: "id"}}}
			if key {
				tb.Number++
				tb.Primary = &schema.Key{Columns: []schema.Part{{Column: "v"}, {Column: "id"}}}
			}
			s.plan(s.Dialect.CreateTable(tb))
			s.plan(s.Dialect.CreateTable(tb))
			shape := schema.Shape{Columns: []schema.ShapeColumn{{Column: tb.Columns[0], Cell: row.Int}, {Column: tb.Columns[1], Cell: f.typ.Kind, Scale: f.scale, Digits: 6}}, Key: []int{0}}
			b := row.NewBatch(2)
			for n, cell := range f.cells {
				b.AppendString(fmt.Sprint(n))
				b.AppendString(cell)
			}
			if err := s.load(epoch, tb, shape, 1, b); err != nil {
				t.Fatalf("%s %+v: %v", typ.Raw, f.typ, err)
			}
			again := s.inspect(tb.Name.Name)
			if k := again.Column("v").Type.Kind; k == row.Other && f.typ.Kind != row.Other {
				t.Errorf("%s is inspected as other", typ.Raw)
			}
			got := s.read(driver.Query{Table: tb, Shape: shape})
			want := map[string]bool{}
			for _, line := range show(b) {
				want[line] = true
			}
			for _, line := range got {
				if !want[line] {
					t.Errorf("%s of %v: got %q of %q", typ.Raw, f.typ.Kind, line, f.cells)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: %d rows of %d", typ.Raw, len(got), len(want))
			}
		}
	}
}

func TestNothingIsAlteredOnTheWayIn(t *testing.T) {
	s := target(t)
	s.do("CREATE TABLE tight (id INT PRIMARY KEY, t TINYINT, v VARCHAR(3), l VARCHAR(9) CHARACTER SET latin1, d DATETIME, e ENUM('a'), n DECIMAL(4,2))")
	tb := s.inspect("tight")
	shape := shapeOf(tb)
	epoch := s.takeOver()
	for i, bad := range [][]string{
		{"1", "128", "a", "a", "~", "a", "1.00"},
		{"1", "1", "abcd", "a", "~", "a", "1.00"},
		{"1", "1", "a", "日", "~", "a", "1.00"},
		{"1", "1", "a", "a", "2024-13-01 00:00:00", "a", "1.00"},
		{"1", "1", "a", "a", "~", "b", "1.00"},
		{"1", "1", "a", "a", "~", "a", "123.00"},
		{"1", "1", "a", "a", "~", "a", "1.005"},
		{"x", "1", "a", "a", "~", "a", "1.00"},
		{"1", "1", "a\xff", "a", "~", "a", "1.00"},
	} {
		for _, s.d.infile = range []bool{true, false} {
			err := s.load(epoch, tb, shape, 100+i, batch(7, []string{"0", "1", "a", "a", "~", "a", "1.00"}, bad))
			s.class(err, driver.BadData)
			if strings.Contains(err.Error(), "2024-13") && s.d.infile {
				t.Errorf("the value is in the error: %v", err)
			}
		}
	}
	s.d.infile = true
	err := s.load(epoch, tb, shape, 1, batch(7, []string{"1", "1", "a", "a", "~", "a", "1.00"}, []string{"1", "2", "b", "b", "~", "a", "1.00"}))
	s.class(err, driver.Conflict)
	if got := s.read(driver.Query{Table: tb, Shape: shape}); len(got) != 0 {
		t.Fatalf("rows of failed loads: %q", got)
	}
	if ranges, _ := s.Ledger.Ranges(s.ctx, tb); len(ranges) != 0 {
		t.Fatalf("lines of failed loads: %v", ranges)
	}
}

func TestARangeIsLoadedOnce(t *testing.T) {
	s := target(t)
	s.do("CREATE TABLE once (id INT PRIMARY KEY)")
	tb := s.inspect("once")
	shape := shapeOf(tb)
	epoch := s.takeOver()
	if err := s.load(epoch, tb, shape, 3, batch(1, []string{"1"}, []string{"2"})); err != nil {
		t.Fatal(err)
	}
	s.class(s.load(epoch, tb, shape, 3, batch(1, []string{"9"})), driver.Exists)
	if r, err := s.Ledger.Ranges(s.ctx, tb); err != nil || len(r) != 1 || r[3] != 2 {
		t.Fatal(r, err)
	}

	l, err := s.Loader.Load(s.ctx, driver.Intake{Table: tb, Shape: shape, Range: row.Range{Number: 4}, Epoch: epoch})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Write(s.ctx, batch(1, []string{"4"})); err != nil {
		t.Fatal(err)
	}
	next := s.takeOver() // ends the session of the load
	if _, err := l.Commit(s.ctx); err == nil {
		t.Fatal("an older epoch committed")
	}
	_ = l.Close()
	_ = l.Close()
	s.class(s.load(epoch, tb, shape, 5, batch(1, []string{"5"})), driver.Fenced)
	if err := s.load(next, tb, shape, 4, batch(1, []string{"4"})); err != nil {
		t.Fatal(err)
	}
	same(t, "rows", s.read(driver.Query{Table: tb, Shape: shape, Order: driver.KeyOrder}), []string{"1", "2", "4"})
	if err := s.Ledger.Clear(s.ctx, tb, epoch); s.Dialect.Classify(err) != driver.Fenced {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Ledger.Clear(s.ctx, tb, next); err != nil {
			t.Fatal(err)
		}
	}
	if r, _ := s.Ledger.Ranges(s.ctx, tb); len(r) != 0 || len(s.read(driver.Query{Table: tb, Shape: shape})) != 0 {
		t.Fatal("not cleared")
	}
	for range 2 {
		if err := s.Ledger.Drop(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRowsThatAreNotStoredAreSeen: a statement that the server says nothing about, and that stored fewer rows than it was sent or more,
// is an error.
func TestRowsThatAreNotStoredAreSeen(t *testing.T) {
	for stored, fine := range map[int64]bool{2: false, 3: true, 4: false} {
		if err := (&sink{}).whole(t.Context(), nil, nil, stored, 3, 0); (err == nil) != fine {
			t.Errorf("%d rows of 3 were stored: %v", stored, err)
		}
	}
}
