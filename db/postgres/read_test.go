package postgres

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// every has a column of each type and rows with the values that are hard to keep.
const every = `CREATE TYPE mood AS ENUM ('glad', 'so ''so''', 'traurig'); CREATE DOMAIN posint AS integer CHECK (value > 0);
CREATE TYPE pairing AS (a integer, b text);
CREATE TABLE every (id bigint PRIMARY KEY, b boolean, i2 smallint, i4 integer, i8 bigint, n numeric, n2 numeric(65,30), n0 numeric(20,0),
	f4 real, f8 double precision, t text, v varchar(20), c char(5), c1 "char", nm name, by bytea, d date, ti time, ti3 time(3), tz timetz,
	ts timestamp, ts3 timestamp(3), tt timestamptz, iv interval, u uuid, j json, jb jsonb, b3 bit(3), vb bit varying, inet inet, a integer[],
	ta text[], m mood, p posint, co pairing, r int4range, mo money, x xml, tsv tsvector, pt point, o oid);
INSERT INTO every VALUES
(1, true, -32768, -2147483648, -9223372036854775808, 'NaN', -12345678901234567890123456789012345.123456789012345678901234567890, 18446744073709551615,
	'NaN', '-Infinity', E'tab\there\nnew\\line\rret', E'\\N', 'ab', 'x', 'nm', '\x00ff5c0a09', '0044-03-15 BC', '24:00:00', '10:00:00.5', '10:00:00+02',
	'infinity', '2024-02-29 23:59:59.999', '2024-06-01 12:00:00+02', '1 year 2 mons 3 days 04:05:06.7', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
	'{"b": 1,  "a": "\u0000"}', '{"b":1,"a":2}', B'101', B'10101', '10.0.0.0/8', '{1,NULL,3}', ARRAY['a"b', E'c\\d', NULL, '{'], 'so ''so''', 7, ROW(1, 'x,"y'),
	'[1,5)', 12.34, '<a>1</a>', 'a:1 b:2', '(1.5,2)', 4294967295),
(2, false, 0, 0, 0, 1e-20, 0, 0, 1.5e-45, 4.9406564584124654e-324, '', '', '', '', '', '', '0001-01-01', '00:00:00', '00:00:00', '00:00:00+00',
	'0001-01-01 00:00:00.000001', '10000-01-01 00:00:00', '-infinity', '0', '00000000-0000-0000-0000-000000000000', '0', 'null', B'000', B'', '::1', '{}',
	'{}', 'glad', 1, ROW(NULL, NULL), 'empty', -1, '', '', '(0,0)', 0),
(3, NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,
	NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
(4, true, 1, 1, 1, 1.10, 1.5, 1, '-0', 1e22, 'Zürich 🐦 日本', repeat('ü', 20), 'a', 'y', 'n', decode(repeat('00ff', 40000), 'hex'), '9999-12-31', '23:59:59.999999',
	'23:59:59.999', '23:59:59-12', '1999-12-31 23:59:59.1', '2000-01-01', '1883-11-18 12:00:00', '-1 days +02:03:04', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
	'[]', '[]', B'111', B'0', '1.2.3.4', '{{1,2},{3,4}}', '{x}', 'traurig', 2, NULL, '(,)', 0, NULL, NULL, NULL, 1);`

func TestEveryTypeComesBack(t *testing.T) {
	p := pair(t, every)
	p.there.do("TRUNCATE every")
	from, to := tableOf(t, p.source, "every"), tableOf(t, p.target, "every")
	before := rows(t, p.source.Reader, driver.Query{Table: from, Shape: shapeOf(from), Order: driver.KeyOrder})
	in := driver.Intake{Table: to, Shape: shapeOf(to), Range: row.Range{Number: 1}, Epoch: p.epoch}
	if err := loadRange(t, p.target.Loader, in, before); err != nil {
		t.Fatal(err)
	}
	after := rows(t, p.target.Reader, driver.Query{Table: to, Shape: shapeOf(to), Order: driver.KeyOrder})
	if after.Len() != 4 {
		t.Fatalf("%d rows", after.Len())
	}
	for i := range after.Len() {
		if !bytes.Equal(after.Row(i), before.Row(i)) {
			t.Errorf("row %d:\n%q\n%q", i, before.Row(i), after.Row(i))
		}
	}
	const all = "SELECT md5(string_agg(every::text, '|' ORDER BY id)) FROM every"
	if a, b := p.app.ask(all), p.there.ask(all); a != b {
		t.Errorf("the servers' own texts differ: %s %s", a, b)
	}
}

func TestCellsAreCanonical(t *testing.T) {
	p := pair(t, every)
	table := tableOf(t, p.source, "every")
	shape := shapeOf(table)
	b := rows(t, p.source.Reader, driver.Query{Table: table, Shape: shape, Order: driver.KeyOrder})
	want := map[string][2]string{
		"b": {"1", "0"}, "f4": {"NaN", "1e-45"}, "f8": {"-Infinity", "5e-324"}, "by": {"\x00\xff\x5c\x0a\x09", ""},
		"ti3": {"10:00:00.5", "00:00:00"}, "tt": {"2024-06-01 10:00:00", "-infinity"}, "n0": {"18446744073709551615", "0"},
		"ts3": {"2024-02-29 23:59:59.999", "10000-01-01 00:00:00"}, "u": {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"},
		"j": {`{"b": 1,  "a": "\u0000"}`, "0"}, "b3": {"101", "000"}, "d": {"0044-03-15 BC", "0001-01-01"}, "c": {"ab   ", "     "},
		"n2": {"-12345678901234567890123456789012345.123456789012345678901234567890", "0.000000000000000000000000000000"},
		"iv": {"1 year 2 mons 3 days 04:05:06.7", "00:00:00"}, "m": {"so 'so'", "glad"}, "o": {"4294967295", "0"},
	}
	for i, c := range shape.Columns {
		if w, ok := want[c.Column.Name]; ok {
			if string(b.Cell(0, i)) != w[0] || string(b.Cell(1, i)) != w[1] {
				t.Errorf("%s (%s): %q %q, want %q", c.Column.Name, c.Cell, b.Cell(0, i), b.Cell(1, i), w)
			}
		}
	}
	for i := range shape.Columns {
		shape.Columns[i].Lenient, shape.Columns[i].Digits = true, 2
	}
	b = rows(t, p.source.Reader, driver.Query{Table: table, Shape: shape, Order: driver.KeyOrder})
	for name, w := range map[string][2]string{"d": {"", "0001-01-01"}, "ts": {"", "0001-01-01 00:00:00"}, "ts3": {"2024-02-29 23:59:59.99", ""}} {
		for i, c := range shape.Columns {
			if c.Column.Name == name && (string(b.Cell(0, i)) != w[0] || string(b.Cell(1, i)) != w[1]) {
				t.Errorf("lenient %s: %q %q, want %q", name, b.Cell(0, i), b.Cell(1, i), w)
			}
			if c.Column.Name == "d" && string(b.Cell(3, i)) != "9999-12-31" { // the last day that every product has
				t.Errorf("lenient %s: %q", name, b.Cell(3, i))
			}
		}
	}
}

// TestCarriedKindsComeBack: whatever a foreign type becomes, its cells come back from it as they were.
func TestCarriedKindsComeBack(t *testing.T) {
	cases := []struct {
		t     schema.Type
		cells []string
	}{
		{schema.Type{Kind: row.Bool}, []string{"0", "1"}},
		{schema.Type{Kind: row.Int, Precision: 8}, []string{"-128", "127"}},
		{schema.Type{Kind: row.Int, Precision: 8, Unsigned: true}, []string{"255"}},
		{schema.Type{Kind: row.Int, Precision: 16, Unsigned: true}, []string{"65535"}},
		{schema.Type{Kind: row.Int, Precision: 24, Unsigned: true}, []string{"16777215"}},
		{schema.Type{Kind: row.Int, Precision: 32, Unsigned: true}, []string{"4294967295"}},
		{schema.Type{Kind: row.Int, Precision: 64}, []string{"-9223372036854775808"}},
		{schema.Type{Kind: row.Int, Precision: 64, Unsigned: true}, []string{"18446744073709551615", "0"}},
		{schema.Type{Kind: row.Int}, []string{"9223372036854775807"}},
		{schema.Type{Kind: row.Decimal, Precision: 65, Scale: 30}, []string{"-" + strings.Repeat("9", 35) + "." + strings.Repeat("9", 30), "0." + strings.Repeat("0", 30)}},
		{schema.Type{Kind: row.Decimal, Precision: 5, Scale: 0}, []string{"-12345"}},
		{schema.Type{Kind: row.Decimal, Scale: -1}, []string{"1.10", "1.1", "100000000000000000000000000"}},
		{schema.Type{Kind: row.Float32}, []string{"3.4028235e+38", "1e-45", "-0", "0.1"}},
		{schema.Type{Kind: row.Float64}, []string{"1.7976931348623157e+308", "5e-324", "0.1", "NaN"}},
		{schema.Type{Kind: row.Text, Length: 3}, []string{"a  ", "", "日本語"}},
		{schema.Type{Kind: row.Text, Length: 3, Fixed: true, Collation: "latin1_swedish_ci"}, []string{"a", "a "}},
		{schema.Type{Kind: row.Text, Values: []string{"a", "b"}, Set: true}, []string{"a,b", ""}},
		{schema.Type{Kind: row.Text}, []string{"\\N", "\\", "\t\n\r\v\b"}},
		{schema.Type{Kind: row.Bytes, Length: 4, Fixed: true}, []string{"a\x00\x00\x00"}},
		{schema.Type{Kind: row.Bytes}, []string{"", "\x00", "\\x", "\xff\xfe"}},
		{schema.Type{Kind: row.Date}, []string{"1000-01-01", "9999-12-31"}},
		{schema.Type{Kind: row.Time, Scale: 6}, []string{"23:59:59.999999", "24:00:00"}},
		{schema.Type{Kind: row.Timestamp, Scale: 3}, []string{"2024-01-01 00:00:00.123", "1000-01-01 00:00:00"}},
		{schema.Type{Kind: row.Instant, Scale: 6}, []string{"2038-01-19 03:14:07.999999", "1970-01-01 00:00:01"}},
		{schema.Type{Kind: row.Duration, Scale: 6}, []string{"838:59:59.999999", "-838:59:59.999999", "00:00:00", "-00:00:01", "-00:00:00.5", "100:00:00"}},
		{schema.Type{Kind: row.Interval}, []string{"1 year 2 mons -3 days +04:05:06"}},
		{schema.Type{Kind: row.UUID}, []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
		{schema.Type{Kind: row.JSON}, []string{`{"a":  1, "a": 2}`}},
		{schema.Type{Kind: row.Bits, Length: 64, Fixed: true}, []string{strings.Repeat("10", 32)}},
		{schema.Type{Kind: row.Bits, Length: 64}, []string{"1", ""}},
		{schema.Type{Kind: row.Other, Raw: "point"}, []string{"POINT(1 2)"}},
	}
	kinds := map[row.Kind]bool{}
	p := pair(t, "SELECT")
	for i, c := range cases {
		kinds[c.t.Kind] = true
		made, _ := p.target.Dialect.Carry(c.t, false)
		id := &schema.Column{Name: "id", Type: schema.Type{Kind: row.Int, Raw: "integer"}}
		value := &schema.Column{Name: "the value", Type: made, Null: true}
		table := &schema.Table{
			Name: schema.Name{Schema: "public", Name: "c" + itoa(i)}, Number: i + 1, Columns: []*schema.Column{id, value},
			Primary: &schema.Key{Columns: []schema.Part{{Column: "id"}}},
		}
		run(t, p.target, p.target.Dialect.CreateTable(table), p.target.Dialect.CreateKeys(table))
		shape := schema.Shape{Key: []int{0}, Columns: []schema.ShapeColumn{
			{Column: id, Cell: row.Int}, {Column: value, Cell: c.t.Kind, Scale: c.t.Scale, Digits: min(c.t.Scale, 6)},
		}}
		b := row.NewBatch(2)
		for j, cell := range append(c.cells, "") {
			b.AppendString(itoa(j))
			if j == len(c.cells) {
				b.AppendNull()
			} else {
				b.AppendString(cell)
			}
		}
		in := driver.Intake{Table: table, Shape: shape, Range: row.Range{Number: 1}, Epoch: p.epoch, Sole: true}
		if err := loadRange(t, p.target.Loader, in, b); err != nil {
			t.Errorf("%v as %s: %v", c.t, made.Raw, err)
			continue
		}
		after := rows(t, p.target.Reader, driver.Query{Table: table, Shape: shape, Order: driver.KeyOrder})
		if text(after) != text(b) {
			t.Errorf("%v as %s: %q came back as %q", c.t, made.Raw, text(b), text(after))
		}
	}
	for _, k := range row.Kinds() {
		if !kinds[k] {
			t.Errorf("no case for %s", k)
		}
	}
}

func run(t testing.TB, db *driver.Database, all ...[]driver.Statement) {
	t.Helper()
	for _, statements := range all {
		for _, s := range statements {
			if err := db.Executor.Execute(t.Context(), s); err != nil {
				t.Fatalf("%v\n%s", err, s.SQL)
			}
		}
	}
}

// TestRangesMissNothing: the ranges of a split hold every row once, for keys of every kind.
func TestRangesMissNothing(t *testing.T) {
	keys := map[string]string{
		"ints":      "CREATE TABLE %t (k bigint PRIMARY KEY, x text); INSERT INTO %t SELECT (random() * 1e15)::bigint - 500000000000000 + g, repeat('x', 50) FROM generate_series(1, 20000) g",
		"uuids":     "CREATE TABLE %t (k uuid PRIMARY KEY, x text); INSERT INTO %t SELECT gen_random_uuid(), repeat('x', 50) FROM generate_series(1, 20000) g",
		"texts":     "CREATE TABLE %t (k text PRIMARY KEY, x text); INSERT INTO %t SELECT md5(g::text) || E'\\\\''\"' || chr(200 + g % 300), repeat('x', 50) FROM generate_series(1, 20000) g",
		"composite": "CREATE TABLE %t (a smallint, b timestamptz, c bytea, x text, PRIMARY KEY (a, b, c)); INSERT INTO %t SELECT g % 3, '2020-01-01'::timestamptz + g * interval '1.5 s', int4send(g), repeat('x', 50) FROM generate_series(1, 20000) g",
		"skewed":    "CREATE TABLE %t (k numeric(30,10) PRIMARY KEY, x text); INSERT INTO %t SELECT CASE WHEN g < 19000 THEN g * 1e-9 ELSE g * 1e12 END, repeat('x', 50) FROM generate_series(1, 20000) g",
		"icu":       "CREATE COLLATION IF NOT EXISTS de (provider = icu, locale = 'de'); CREATE TABLE %t (k varchar(40) COLLATE de PRIMARY KEY, x text); INSERT INTO %t SELECT chr(97 + g % 26) || CASE g % 2 WHEN 0 THEN 'Ä' ELSE 'a' END || g, repeat('x', 50) FROM generate_series(1, 20000) g",
		"parts":     "CREATE TABLE %t (k integer PRIMARY KEY, x text) PARTITION BY HASH (k); CREATE TABLE %t1 PARTITION OF %t FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE %t2 PARTITION OF %t FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO %t SELECT g, repeat('x', 50) FROM generate_series(1, 20000) g",
	}
	p := pair(t, "SELECT")
	for name, ddl := range keys {
		t.Run(name, func(t *testing.T) {
			u := p.app
			u.t = t
			u.do(strings.ReplaceAll(ddl, "%t", name))
			table := tableOf(t, p.source, name)
			shape := shapeOf(table)
			var total, number int
			seen := map[string]bool{}
			last := row.Range{}
			for r, err := range p.source.Splitter.Split(t.Context(), table, shape, 2000) {
				if err != nil {
					t.Fatal(err)
				}
				number++
				if r.Number != number || number > 1 && !last.Adjoin(r) || number == 1 && r.After != nil {
					t.Fatalf("range %d does not adjoin: %v", number, r)
				}
				last = r
				b := rows(t, p.source.Reader, driver.Query{Table: table, Shape: shape.Keys(), Range: r})
				total += b.Len()
				if b.Len() > 6000 {
					t.Errorf("range %d has %d rows", number, b.Len())
				}
				for i := range b.Len() {
					seen[string(b.Row(i))] = true
				}
			}
			if last.Upto != nil || total != 20000 || len(seen) != 20000 || number < 5 {
				t.Fatalf("%d rows, %d keys in %d ranges", total, len(seen), number)
			}
		})
	}
}

// TestKeysAreCompared byte by byte, in the column's own type.
func TestKeysAreComparedByteByByte(t *testing.T) {
	p := pair(t, `CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		CREATE TABLE a (k text COLLATE ci PRIMARY KEY, v integer); INSERT INTO a VALUES ('Anna', 1), ('bob', 2), ('o"k\', 3);
		CREATE TABLE c (k char(5), n numeric, b bytea, PRIMARY KEY (k, n, b)); INSERT INTO c VALUES ('ab', 1.50, '\x5c22'), ('', 0, '')`)
	a := tableOf(t, p.source, "a")
	keys := row.NewBatch(1)
	for _, k := range []string{"anna", "bob", "bob", "nobody", `o"k\`} {
		keys.AppendString(k)
	}
	if got := text(rows(t, p.source.Reader, driver.Query{Table: a, Shape: shapeOf(a), Keys: keys, Order: driver.KeyOrder})); got != `bob,2;o"k\,3` {
		t.Errorf("got %q", got)
	}
	c := tableOf(t, p.source, "c")
	all := rows(t, p.source.Reader, driver.Query{Table: c, Shape: shapeOf(c), Order: driver.KeyOrder})
	all.AppendString("ab   ")
	all.AppendString("1.5")
	all.AppendString(`\"`)
	got := rows(t, p.source.Reader, driver.Query{Table: c, Shape: shapeOf(c), Keys: all, Order: driver.KeyOrder})
	if text(got) != `     ,0,;ab   ,1.50,\"` {
		t.Errorf("got %q", text(got))
	}
}

func TestReadingAllocatesNothingPerRow(t *testing.T) {
	p := pair(t, `CREATE TABLE big AS SELECT g::bigint AS id, g * 1.25::numeric(10,2) AS n, 'text ' || g AS t, now() + g * interval '1 s' AS at, decode(md5(g::text), 'hex') AS b,
		g::float8 / 3 AS f, g % 2 = 0 AS yes FROM generate_series(1, 200000) g; ALTER TABLE big ADD PRIMARY KEY (id)`)
	table := tableOf(t, p.source, "big")
	c, err := p.source.Reader.Read(t.Context(), driver.Query{Table: table, Shape: shapeOf(table)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := row.NewBatch(len(table.Columns))
	n := 0
	allocs := testing.AllocsPerRun(20, func() {
		if err := c.Fill(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		n = max(n, b.Len())
	})
	if n < 1000 || allocs > 20 {
		t.Errorf("%v allocations for %d rows", allocs, n)
	}
	in := driver.Intake{Table: tableOf(t, p.target, "big"), Shape: shapeOf(table), Range: row.Range{Number: 1}, Epoch: p.epoch}
	p.there.do("TRUNCATE big; ALTER TABLE big DROP CONSTRAINT big_pkey")
	l, err := p.target.Loader.Load(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	allocs = testing.AllocsPerRun(20, func() {
		if err := l.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 20 {
		t.Errorf("%v allocations for %d rows written", allocs, b.Len())
	}
}

func TestACursorClosedEarlyLeavesThePoolUsable(t *testing.T) {
	p := pair(t, "CREATE TABLE big AS SELECT g AS id, repeat('x', 1000) FROM generate_series(1, 20000) g")
	table := tableOf(t, p.source, "big")
	b := row.NewBatch(2)
	for range 6 + rand.IntN(2) {
		c, err := p.source.Reader.Read(t.Context(), driver.Query{Table: table, Shape: shapeOf(table)})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Fill(t.Context(), b); err != nil || b.Len() == 0 {
			t.Fatalf("%v after %d rows", err, b.Len())
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := rows(t, p.source.Reader, driver.Query{Table: table, Shape: shapeOf(table)}).Len(); n != 20000 {
		t.Errorf("%d rows", n)
	}
}
