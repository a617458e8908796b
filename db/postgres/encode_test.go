package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// edges are the values of each type that are hard to write in binary, in the server's own words.
var edges = map[string][]string{
	"boolean":          {"t", "f"},
	"smallint":         {"0", "-1", "32767", "-32768"},
	"integer":          {"0", "2147483647", "-2147483648"},
	"bigint":           {"0", "9223372036854775807", "-9223372036854775808", "1000000000000000000"},
	"oid":              {"0", "4294967295", "2147483648"},
	"real":             {"0", "-0", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e38", "0.1", "16777217"},
	"double precision": {"0", "-0", "NaN", "Infinity", "-Infinity", "5e-324", "1.7976931348623157e308", "0.1", "123456.789"},
	"numeric": {
		"0", "0.00", "1", "-1", "10000", "9999", "99990000", "100000000", "0.0001", "0.00001", "0.00010000", "1.0000", "10000.0001", "-0.5", "123456789.12345",
		"10000000000000000", "1.50", "1e100", "1e-100", "NaN", "Infinity", "-Infinity", "9e131071", "-9e131071", "1e-16383", "120000.000034", "0.0000000000000000", "1000.1",
	},
	"numeric(15,2)":               {"0.00", "-0.01", "9999999999999.99", "NaN", "10000.00"},
	"numeric(20,0)":               {"18446744073709551615", "0", "10000"},
	"numeric(65,30)":              {"12345678901234567890123456789012345.123456789012345678901234567890", "0.000000000000000000000000000001"},
	"numeric(5,-2)":               {"1200", "-9999900", "0"},
	"numeric(3,5)":                {"0.00123", "0.00001"},
	"text":                        {"", "a", `\N`, "tab\tnew\nline\\", "Zürich 🐦", strings.Repeat("x", 70_000)},
	"character varying(5)":        {"", "ab   ", "日本語日本"},
	"character(5)":                {"ab", "", "日本"},
	"bytea":                       {"", `\x00ff5c0a09`, `\x` + strings.Repeat("00ff", 40_000)},
	"date":                        {"2000-01-01", "1999-12-31", "0001-01-01", "0001-12-31 BC", "4714-11-24 BC", "5874897-12-31", "9999-12-31", "10000-01-01", "infinity", "-infinity", "2000-02-29", "1900-02-28", "1900-03-01", "0400-02-29", "0005-02-29 BC"},
	"time without time zone":      {"00:00:00", "24:00:00", "23:59:59.999999", "12:34:56.5", "00:00:00.000001"},
	"time(3) without time zone":   {"23:59:59.999", "10:00:00.1"},
	"timestamp without time zone": {"2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "0001-01-01 00:00:00.000001", "0044-03-15 12:00:00.5 BC", "4714-11-24 00:00:00 BC", "294276-12-31 23:59:59.999999", "10000-01-01 00:00:00", "9999-12-31 23:59:59", "infinity", "-infinity", "1970-01-01 00:00:00"},
	"timestamp(3) with time zone": {"2024-06-01 12:00:00.123+02", "1883-11-18 12:00:00+00", "infinity", "-infinity", "0001-01-01 00:00:00+00 BC"},
	"uuid":                        {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
	"json":                        {`{"b": 1,  "a": "\u0000"}`, "0", "[]"},
	"jsonb":                       {`{"b": 1, "a": [1, 2.50]}`, "null", `"` + strings.Repeat("x", 70_000) + `"`},
	"bit(3)":                      {"101", "000"},
	"bit(9)":                      {"101010101"},
	"bit varying":                 {"", "1", "10000000", "100000001"},
}

// TestTheBinaryFormIsTheServers: what the server writes in binary for a value, and what is made here from the value's
// cell, are the same bytes; and the cell is what the server's own text says.
func TestTheBinaryFormIsTheServers(t *testing.T) {
	p := pair(t, "SELECT")
	for name, values := range edges {
		t.Run(name, func(t *testing.T) {
			u := *p.app
			u.t = t
			quoted := make([]string, len(values))
			for i, v := range values {
				quoted[i] = fmt.Sprintf("(%d, %s)", i, literal(v))
			}
			u.do("DROP TABLE IF EXISTS public.edge; CREATE TABLE public.edge (id integer PRIMARY KEY, v " + name + "); INSERT INTO public.edge VALUES " + strings.Join(quoted, ", "))
			table := tableOf(t, p.source, "edge")
			shape := shapeOf(table)
			all := p.source.Reader.(*database).codecs(shape)
			if !binaries(all) {
				t.Fatal("it has no binary form")
			}
			got := rows(t, p.source.Reader, driver.Query{Table: table, Shape: shape, Order: driver.KeyOrder})
			fields := packedFields(t, &u, "SELECT v FROM public.edge ORDER BY id")
			texts := u.texts("SELECT v FROM public.edge ORDER BY id")
			for i := range values {
				cell := got.Cell(i, 1)
				wire, ok := all[1].appendWire([]byte("before"), cell)
				want := "before" + fields[i]
				if name == "numeric" && strings.HasSuffix(values[i], "Infinity") { // whose digits after the point say nothing
					wire, want = wire[:len(wire)-2], want[:len(want)-2]
				}
				if !ok || string(wire) != want {
					t.Errorf("%.80s as %.80q: %.200x, %t, the server %.200x", values[i], cell, wire, ok, want)
				}
				if want := plainCell(t, shape.Columns[1], texts[i]); string(cell) != want {
					t.Errorf("%.80s is %.80q, the server says %.80q", values[i], cell, want)
				}
			}
		})
	}
}

// texts are the one column of a query as the server writes it in our sessions.
func (u *user) texts(sql string) []string {
	u.t.Helper()
	all, err := u.conn.Exec(u.t.Context(), settings+sql).ReadAll()
	if err != nil {
		u.t.Fatal(err)
	}
	var texts []string
	for _, r := range all[len(all)-1].Rows {
		texts = append(texts, string(r[0]))
	}
	return texts
}

// packedFields are the one column of a query as COPY writes it in binary, each with its length.
func packedFields(t *testing.T, u *user, sql string) []string {
	t.Helper()
	var out bytes.Buffer
	if _, err := u.conn.CopyTo(t.Context(), &out, "COPY ("+sql+") TO STDOUT (FORMAT binary)"); err != nil {
		t.Fatal(err)
	}
	rest, found := bytes.CutPrefix(out.Bytes(), []byte(signature))
	if !found {
		t.Fatalf("the stream begins with %x", rest[:min(len(rest), 30)])
	}
	var fields []string
	for string(rest) != ending {
		size := binary.BigEndian.Uint32(rest[2:])
		fields = append(fields, string(rest[2:6+size]))
		rest = rest[6+size:]
	}
	return fields
}

// plainCell makes a cell of the server's text in the plainest way there is.
func plainCell(t *testing.T, c schema.ShapeColumn, text string) string {
	t.Helper()
	switch c.Column.Type.Kind {
	case row.Bool:
		return map[string]string{"t": "1", "f": "0"}[text]
	case row.Bytes:
		var b []byte
		if _, err := fmt.Sscanf(text, `\x%x`, &b); err != nil && text != `\x` {
			t.Fatal(err)
		}
		return string(b)
	case row.Float32, row.Float64:
		bits := map[row.Kind]int{row.Float32: 32, row.Float64: 64}[c.Column.Type.Kind]
		f, err := strconv.ParseFloat(text, bits)
		if err != nil {
			t.Fatal(err)
		}
		return string(row.AppendFloat(nil, f, bits))
	case row.Instant:
		return strings.Replace(text, "+00", "", 1)
	}
	return text
}

// TestBothLayoutsStoreTheSame: rows of random cells, loaded in binary and as text, are the same images in the server, and
// come back as the cells they were.
func TestBothLayoutsStoreTheSame(t *testing.T) {
	const ddl = `(id integer PRIMARY KEY, b boolean, i2 smallint, i4 integer, i8 bigint, n numeric, n2 numeric(30,7), f4 real, f8 double precision,
		s text, v varchar(12), by bytea, d date, ti time, ts timestamp, tt timestamptz(4), iv interval, u uuid, vb bit varying)`
	p := pair(t, "CREATE TABLE packed "+ddl+"; CREATE TABLE lines "+ddl)
	b := row.NewBatch(19)
	r := rand.New(rand.NewPCG(7, 11))
	for i := range 4000 {
		b.AppendString(itoa(i))
		for _, make := range randomCells {
			if r.IntN(12) == 0 {
				b.AppendNull()
			} else {
				b.AppendString(make(r))
			}
		}
	}
	db := p.target.Reader.(*database)
	for _, form := range []layout{packed, lines} {
		name := map[layout]string{packed: "packed", lines: "lines"}[form]
		table := tableOf(t, p.target, name)
		shape := durations(shapeOf(table))
		in := driver.Intake{Table: table, Shape: shape, Range: row.Range{Number: 1}, Epoch: p.epoch}
		l, err := db.worker(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all := db.codecs(shape)
		if got, err := l.layout(t.Context(), db.dialect().table(table.Name), shape, all); got != packed || err != nil {
			t.Fatalf("the layout is %d, %v", got, err)
		}
		c := l.copyAs(t.Context(), db.copyInto(in), all, form)
		if err := c.write(t.Context(), b); err != nil {
			t.Fatal(err, c.abort())
		}
		if n, err := c.end(t.Context()); n != 4000 || err != nil {
			t.Fatal(n, err)
		}
		l.release()
		after := rows(t, p.target.Reader, driver.Query{Table: table, Shape: shape, Order: driver.KeyOrder})
		for i := range b.Len() {
			if !bytes.Equal(after.Row(i), b.Row(i)) {
				t.Fatalf("%s, row %d:\n%q\n%q", name, i, b.Row(i), after.Row(i))
			}
		}
	}
	if n := p.there.ask("SELECT count(*) FROM packed p JOIN lines l ON p.id = l.id WHERE p::record OPERATOR(pg_catalog.*=) l::record"); n != "4000" {
		t.Errorf("%s of 4000 rows are stored alike", n)
	}
}

// durations reads and writes intervals as durations, as MariaDB's times travel.
func durations(s schema.Shape) schema.Shape {
	for i := range s.Columns {
		if s.Columns[i].Cell == row.Interval {
			s.Columns[i].Cell = row.Duration
		}
	}
	return s
}

// randomCells make a canonical cell for each column of the test above.
var randomCells = []func(*rand.Rand) string{
	func(r *rand.Rand) string { return itoa(r.IntN(2)) },
	func(r *rand.Rand) string { return itoa(int(int16(r.Uint32()))) },
	func(r *rand.Rand) string { return itoa(int(int32(r.Uint32()))) },
	func(r *rand.Rand) string { return itoa(int(r.Uint64()) >> r.IntN(64)) },
	func(r *rand.Rand) string { return randomDecimal(r, r.IntN(30), r.IntN(30)) },
	func(r *rand.Rand) string { return randomDecimal(r, r.IntN(24), 7) },
	func(r *rand.Rand) string { return randomFloat(r, 32) },
	func(r *rand.Rand) string { return randomFloat(r, 64) },
	func(r *rand.Rand) string { return randomText(r, r.IntN(300)) },
	func(r *rand.Rand) string { return randomText(r, r.IntN(13)) },
	func(r *rand.Rand) string {
		b := make([]byte, r.IntN(50))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	},
	func(r *rand.Rand) string { return randomTime(r).Format("2006-01-02") },
	func(r *rand.Rand) string { return randomTime(r).Format("15:04:05.999999") },
	func(r *rand.Rand) string { return randomTime(r).Format("2006-01-02 15:04:05.999999") },
	func(r *rand.Rand) string { return randomTime(r).Format("2006-01-02 15:04:05.9999") },
	func(r *rand.Rand) string {
		sign := []string{"", "-"}[r.IntN(2)]
		return fmt.Sprintf("%s%02d:%02d:%02d.%06d", sign, r.IntN(839), r.IntN(60), r.IntN(60), 1+10*r.IntN(99999))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<16), r.IntN(1<<16), r.Int64N(1<<48))
	},
	func(r *rand.Rand) string { return fmt.Sprintf("%b", r.Uint64()>>r.IntN(64)) },
}

func randomDecimal(r *rand.Rand, whole, fraction int) string {
	digits := func(n int) string {
		b := make([]byte, n)
		zeros := r.IntN(3) == 0
		for i := range b {
			if b[i] = byte('0' + r.IntN(10)); zeros && r.IntN(4) > 0 {
				b[i] = '0'
			}
		}
		return string(b)
	}
	text := strings.TrimLeft(digits(whole), "0")
	if text == "" {
		text = "0"
	}
	if fraction > 0 {
		text += "." + digits(fraction)
	}
	if r.IntN(2) == 0 && strings.Trim(text, "0.") != "" {
		text = "-" + text
	}
	return text
}

func randomFloat(r *rand.Rand, bits int) string {
	for {
		f := math.Float64frombits(r.Uint64())
		if bits == 32 {
			f = float64(math.Float32frombits(r.Uint32()))
		}
		if !math.IsNaN(f) {
			return string(row.AppendFloat(nil, f, bits))
		}
	}
}

func randomText(r *rand.Rand, size int) string {
	const some = "aZ \t\n\r\\\b\v'\"{}äß日🐦"
	var text []rune
	for range size {
		all := []rune(some)
		text = append(text, all[r.IntN(len(all))])
	}
	return string(text)
}

// randomTime is a moment of the years 1 to 9999.
func randomTime(r *rand.Rand) time.Time {
	return time.Date(1+r.IntN(9999), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 1000*r.IntN(1_000_000), time.UTC)
}

// TestWhatIsNoValueIsRefused: a cell that the server would carry over, round or fold is an error here.
func TestWhatIsNoValueIsRefused(t *testing.T) {
	for name, cells := range map[string][]string{
		"boolean":                     {"", "2", "t", "10"},
		"smallint":                    {"", "-", "32768", "-32769", "1.0", "1e3", " 1", "+1", "0x1"},
		"integer":                     {"2147483648", "-2147483649"},
		"bigint":                      {"9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999999999"},
		"oid":                         {"-1", "4294967296"},
		"numeric":                     {"", "-", ".", "-.", "1.2.3", "1e5", "1,5", "nan", "--1", "1-", "0x10", "1 ", strings.Repeat("9", 131073), "0." + strings.Repeat("0", 16384)},
		"real":                        {"", "x", "1e39"},
		"double precision":            {"", "x", "1e309", "1 "},
		"date":                        {"", "0000-00-00", "2023-02-29", "1900-02-29", "2024-04-31", "2024-13-01", "2024-00-01", "2024-01-00", "24-01-01", "2024-1-1", "2024-01-01 00:00:00", "2024-01-01 BC ", "5874898-01-01", "12345678-01-01", "Infinity", "2024/01/01", "0000-01-01", "-001-01-01", "202a-01-01", "2024-0a-01", "00100-01-01"},
		"time without time zone":      {"", "24:00:00.000001", "24:00:01", "25:00:00", "23:60:00", "23:59:60", "1:00:00", "10:00", "10:00:00.", "10:00:00.1234567", "10:00:00+02", "10:00:0a"},
		"timestamp without time zone": {"", "2024-01-01", "2024-01-01T00:00:00", "2024-01-01 24:00:00", "2024-01-01 23:59:60", "0000-00-00 00:00:00", "294277-01-01 00:00:00", "5874897-12-31 00:00:00", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00.0000001", "2024-02-30 00:00:00"},
		"timestamp with time zone":    {"2024-01-01 00:00:00+02"},
		"interval":                    {"", "1 day", "00:60:00", "1:00:00", "00:00", "--01:00:00", "00:00:00.1234567", "9999999999:00:00", "-"},
		"uuid":                        {"", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1é"[:36], "a0eebc99-9c0b-4ef8-bb6d--bb9bd380a11"},
		"bit varying":                 {"2", "1 ", "0b1"},
	} {
		c := wireCodec(t, name)
		for _, cell := range cells {
			if got, ok := c.appendWire(nil, []byte(cell)); ok {
				t.Errorf("%s %.40q is %x", name, cell, got)
			}
		}
	}
}

// wireCodec is the codec of one column.
func wireCodec(t testing.TB, raw string) *codec {
	t.Helper()
	made := describe(raw)
	cell := made.Kind
	if cell == row.Interval {
		cell = row.Duration
	}
	c := &schema.Column{Name: "c", Type: made}
	shape := schema.Shape{Columns: []schema.ShapeColumn{{Column: c, Cell: cell, Scale: made.Scale, Digits: 6}}}
	all := (&database{encoding: "UTF8"}).codecs(shape)
	if !binaries(all) {
		t.Fatalf("%s has no binary form", raw)
	}
	return &all[0]
}

// TestCellsThatAreAltered: the server would cut, round or refuse these, so that they are errors in both layouts.
func TestCellsThatAreAltered(t *testing.T) {
	p := pair(t, `CREATE TABLE narrow (id integer PRIMARY KEY, v varchar(3), n numeric(5,2), ts timestamp(3), s text, u uuid)`)
	table := tableOf(t, p.target, "narrow")
	good := []string{"1", "abc", "1.25", "2024-01-01 00:00:00.123", "x", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}
	for _, form := range []layout{packed, lines} {
		for column, bad := range map[int]string{1: "abc ", 2: "1.255", 3: "2024-01-01 00:00:00.1234", 4: "a\x00b"} {
			cells := slices.Clone(good)
			cells[column] = bad
			b := row.NewBatch(len(cells))
			for _, c := range cells {
				b.AppendString(c)
			}
			shape := shapeOf(table)
			if form == lines { // a domain has no wire
				other := *shape.Columns[5].Column
				other.Type.Raw = "xml"
				shape.Columns[5].Column = &other
			}
			in := driver.Intake{Table: table, Shape: shape, Range: row.Range{Number: 1}, Epoch: p.epoch}
			err := loadRange(t, p.target.Loader, in, b)
			var cell *driver.CellError
			if !errors.As(err, &cell) || cell.Column != shape.Columns[column].Column.Name || cell.Table != table.Name {
				t.Errorf("layout %d, %q: %v", form, bad, err)
			}
		}
	}
}

// TestATableThatIsNotAsPlanned is not given the bytes of another type.
func TestATableThatIsNotAsPlanned(t *testing.T) {
	p := pair(t, "CREATE TABLE moved (id integer PRIMARY KEY, at timestamp, n numeric(9,2))")
	from, to := tableOf(t, p.source, "moved"), tableOf(t, p.target, "moved")
	p.app.do("INSERT INTO moved VALUES (1, '2024-01-01', 1.5)")
	p.there.do("ALTER TABLE moved ALTER at TYPE bigint USING 0")
	b := rows(t, p.source.Reader, driver.Query{Table: from, Shape: shapeOf(from)})
	in := driver.Intake{Table: to, Shape: shapeOf(to), Range: row.Range{Number: 1}, Epoch: p.epoch}
	if err := loadRange(t, p.target.Loader, in, b); class(err) != driver.BadData {
		t.Errorf("loaded: %v", err)
	}
	var wire bytes.Buffer
	if _, err := p.source.Pipe.Out(t.Context(), driver.Query{Table: from, Shape: shapeOf(from)}, &wire); err != nil {
		t.Fatal(err)
	}
	if n, err := p.target.Pipe.In(t.Context(), in, &wire, nil); err == nil {
		t.Errorf("%d rows passed", n)
	}
	p.app.do("ALTER TABLE moved ALTER at TYPE bigint USING 7")
	for _, altered := range []string{"SELECT", "ALTER TABLE moved DROP at, ADD at timestamp; ALTER TABLE moved ALTER n TYPE numeric(9,3)"} {
		p.app.do(altered)
		c, err := p.source.Reader.Read(t.Context(), driver.Query{Table: from, Shape: shapeOf(from)})
		if err != nil {
			t.Fatal(err)
		}
		var cell *driver.CellError
		if err := c.Fill(t.Context(), b); !errors.As(err, &cell) || b.Len() != 0 {
			t.Errorf("read: %v, %d rows", err, b.Len())
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLargeValuesAreSentFromWhereTheyLie, in both layouts, and come back.
func TestLargeValuesAreSentFromWhereTheyLie(t *testing.T) {
	const ddl = "(id integer PRIMARY KEY, s text, by bytea, j json)"
	p := pair(t, "CREATE TABLE packed "+ddl+"; CREATE TABLE lines (LIKE packed, x xml)")
	size := 64 << 20
	if testing.Short() {
		size = 1 << 20
	}
	for _, name := range []string{"packed", "lines"} {
		table := tableOf(t, p.target, name)
		shape := shapeOf(table)
		b := row.NewBatch(shape.Width())
		b.AppendString("1")
		b.AppendString(strings.Repeat("ab\\c\n", size/5))
		b.End(append(b.Begin(), bytes.Repeat([]byte{0, 1, 255}, size/9)...))
		b.AppendString(`"` + strings.Repeat("x", piece+1) + `"`)
		if name == "lines" {
			b.AppendNull()
		}
		in := driver.Intake{Table: table, Shape: shape, Range: row.Range{Number: 1}, Epoch: p.epoch}
		if err := loadRange(t, p.target.Loader, in, b); err != nil {
			t.Fatal(name, err)
		}
		after := rows(t, p.target.Reader, driver.Query{Table: table, Shape: shape})
		if after.Len() != 1 || !bytes.Equal(after.Row(0), b.Row(0)) {
			t.Errorf("%s: %d rows, %d bytes of %d", name, after.Len(), after.Size(), b.Size())
		}
	}
}

// TestRowsAreCodedWithoutAllocating, in both directions.
func TestRowsAreCodedWithoutAllocating(t *testing.T) {
	cells := map[string]string{
		"boolean": "1", "smallint": "-5", "integer": "123456", "bigint": "1234567890123", "numeric(15,2)": "12345.67", "numeric": "1.5", "real": "0.1",
		"double precision": "1.2345678e+06", "text": "some text", "character(1)": "A", "bytea": "\x00\x01", "date": "2024-02-29",
		"time without time zone": "12:34:56.5", "timestamp without time zone": "2024-02-29 12:34:56.123456", "timestamp with time zone": "1970-01-01 00:00:00",
		"uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "json": "{}", "jsonb": "[1]", "bit varying": "10101", "interval": "-838:59:59.5",
	}
	b := row.NewBatch(len(cells))
	var all []codec
	var fields [][]byte
	for raw, cell := range cells {
		c := wireCodec(t, raw)
		all = append(all, *c)
		b.AppendString(cell)
		wire, ok := c.appendWire(nil, []byte(cell))
		if !ok {
			t.Fatalf("%s %q", raw, cell)
		}
		if binaryForms>>c.form&1 == 0 {
			wire = append([]byte("size"), cell...)
		}
		fields = append(fields, wire[4:])
	}
	c := &copying{layout: packed, codecs: all, buffer: make([]byte, 0, message)}
	if n := testing.AllocsPerRun(100, func() {
		c.buffer = c.buffer[:0]
		if err := c.row(b, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a row packed", n)
	}
	c.layout = lines
	if n := testing.AllocsPerRun(100, func() {
		c.buffer = c.buffer[:0]
		if err := c.row(b, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a row as text", n)
	}
	after := row.NewBatch(len(cells))
	read := func() {
		after.Reset()
		if err := appendRow(after, all, fields); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("%v allocations a row read", n)
	}
	for i, k := range all {
		if k.form != truth && !bytes.Equal(after.Cell(0, i), b.Cell(0, i)) {
			t.Errorf("%q came back as %q", b.Cell(0, i), after.Cell(0, i))
		}
	}
}
