package drivertest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

func plain(texts ...string) []Cell {
	cells := make([]Cell, len(texts))
	for i, t := range texts {
		cells[i] = Cell{Text: t}
	}
	return cells
}

func doubtful(fact driver.FactKind, texts ...string) []Cell {
	cells := plain(texts...)
	for i := range cells {
		cells[i].Fact = fact
	}
	return cells
}

func every() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
	}
	return b.String()
}

func integer(bits int) schema.Type { return schema.Type{Kind: row.Int, Precision: bits} }

func unsigned(bits int) schema.Type {
	return schema.Type{Kind: row.Int, Precision: bits, Unsigned: true}
}

func decimal(digits, scale int) schema.Type {
	return schema.Type{Kind: row.Decimal, Precision: digits, Scale: scale}
}

func timed(k row.Kind, scale int) schema.Type { return schema.Type{Kind: k, Scale: scale} }

// texts are values that a text format, a literal or a trimming column could spoil.
var texts = plain(
	"", " ", "a", "trailing ", " leading", "tab\there", "line\nbreak", "\r\n", `back\slash`, `\N`, `\.`, `\\`, `\x41`, "quote'quote",
	`double"quote`, "`", "NULL", "null", ",;|", "ünïcödé", "e\u0301", "ß", "ẞ", "日本語", "😀", "\u00a0", "\ufeff", "\u2028", "%", "_",
	"\x01", "\x7f", "\b\f\v", "{a,b}", "(1)", "0", "-0", "1e5", "true", strings.Repeat("x", 39),
)

var dates = plain("0001-01-01", "1000-01-01", "1582-10-10", "1899-12-31", "1970-01-01", "2000-02-29", "2038-01-20", "9999-12-31")

var moments = plain(
	"1000-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00", "2000-02-29 12:34:56.5", "2024-03-31 02:30:00",
	"2038-01-19 03:14:08", "2100-07-01 10:00:00.000001", "9999-12-31 23:59:59.999999",
)

var (
	notNumbers   = doubtful(driver.NotANumber, "NaN", "Infinity", "-Infinity")
	negativeZero = doubtful("negative-zero", "-0")
)

// samples are columns of every kind with the values at their borders.
var samples = []Sample{
	{"bool", schema.Type{Kind: row.Bool}, plain("0", "1")},
	{"int8", integer(8), plain("0", "1", "-1", "127", "-128")},
	{"int16", integer(16), plain("0", "32767", "-32768")},
	{"int24", integer(24), plain("0", "8388607", "-8388608")},
	{"int32", integer(32), plain("0", "2147483647", "-2147483648")},
	{"int64", integer(64), plain("0", "9007199254740993", "9223372036854775807", "-9223372036854775808")},
	{"uint8", unsigned(8), plain("0", "255")},
	{"uint32", unsigned(32), plain("0", "4294967295")},
	{"uint64", unsigned(64), plain("0", "9223372036854775808", "18446744073709551615")},
	{"decimal-5-0", decimal(5, 0), plain("0", "99999", "-99999")},
	{"decimal-12-2", decimal(12, 2), plain("0.00", "0.01", "-0.01", "9999999999.99", "-9999999999.99", "1.10")},
	{"decimal-38-10", decimal(38, 10), plain("0.0000000000", "9999999999999999999999999999.9999999999", "-0.0000000001",
		"12345678901234567890123456.0123456789")},
	{"decimal-38-38", decimal(38, 38), plain("0.00000000000000000000000000000000000001")},
	{"decimal-65-30", decimal(65, 30), plain("99999999999999999999999999999999999.999999999999999999999999999999")},
	{"decimal-free", decimal(0, -1), append(plain("0", "1.50", "-123456789012345678901234567890.123456789", "100"),
		doubtful(driver.NotANumber, "NaN")...)},
	{"float32", schema.Type{Kind: row.Float32}, slices.Concat(plain("0", "1", "-1.5", "0.1", "3.4028235e+38", "1e-45",
		"1.1754944e-38", "1.6777216e+07"), negativeZero, notNumbers)},
	{"float64", schema.Type{Kind: row.Float64}, slices.Concat(plain("0", "1", "-1.5", "0.1", "1.7976931348623157e+308", "5e-324",
		"2.2250738585072014e-308", "0.30000000000000004", "9.007199254740992e+15", "1e+23"), negativeZero, notNumbers)},
	{"text", longText, append(slices.Clone(texts), plain(strings.Repeat("long ", 20000), strings.Repeat("😀\\\t\n'", 1<<20/9))...)},
	{"text-40", shortText, append(slices.Clone(texts), plain(strings.Repeat("😀", 40), strings.Repeat("ß", 40))...)},
	{"char-10", schema.Type{Kind: row.Text, Length: 10, Fixed: true}, plain("", "a", "ten chars!", "é")},
	{"bytes", schema.Type{Kind: row.Bytes}, plain("", "\x00", "a\x00", "\x00\x00\x00", every(), `\x00`, "\\", "'", "\xff\xfe",
		strings.Repeat(every(), 4096))},
	{"bytes-300", schema.Type{Kind: row.Bytes, Length: 300}, plain("", "\x00", "tail\x00\x00", every())},
	{"date", schema.Type{Kind: row.Date}, dates},
	{"time", timed(row.Time, 6), plain("00:00:00", "00:00:00.000001", "12:34:56.5", "23:59:59.999999", "24:00:00")},
	{"timestamp", timed(row.Timestamp, 6), moments},
	{"timestamp-0", timed(row.Timestamp, 0), plain("1970-01-01 00:00:00", "2024-10-27 02:30:00")},
	{"instant", timed(row.Instant, 6), moments},
	{"duration", timed(row.Duration, 6), plain("00:00:00", "-00:00:00.000001", "23:59:59.999999", "100:00:00", "838:59:59", "-838:59:59")},
	{"interval", timed(row.Interval, 6), plain("00:00:00", "1 year 2 mons 3 days 04:05:06", "-1 days +02:03:00", "1 mon", "00:00:00.5")},
	{"uuid", schema.Type{Kind: row.UUID}, plain("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"0190163d-8694-739b-aea5-966c26f8ad90")},
	{"json", schema.Type{Kind: row.JSON}, plain("null", "0", `""`, "{}", "[]", `{"b": 1,  "a":[1, 2.50]}`, `"ü\n\\😀"`, `{"k":null}`)},
	{"bit-1", schema.Type{Kind: row.Bits, Length: 1, Fixed: true}, plain("0", "1")},
	{"bit-10", schema.Type{Kind: row.Bits, Length: 10, Fixed: true}, plain("0000000000", "1111111111", "0000000001", "1000000000")},
	{"bit-64", schema.Type{Kind: row.Bits, Length: 64, Fixed: true}, plain(strings.Repeat("0", 64), strings.Repeat("1", 64), strings.Repeat("10", 32))},
	{"enum", schema.Type{Kind: row.Text, Values: []string{"red", "green", "it's", ""}}, plain("red", "green", "it's", "")},
}

// kindCases loads and reads every kind of value.
func (cfg Config) kindCases() []oneCase {
	var cases []oneCase
	for _, sample := range append(slices.Clone(samples), cfg.Samples...) {
		own := sample.Type.Raw != ""
		cases = append(cases, oneCase{sample.Name, []string{"Executor", "Loader", "Ledger", "Reader"}, func(s *scene) {
			s.roundTrip(sample, own)
		}})
	}
	return cases
}

// carried is the cells that this product says it keeps; the reason when it keeps none.
func carried(d *driver.Database, sample Sample, inKey bool) (kept []Cell, refused string) {
	_, losses := d.Dialect.Carry(sample.Type, inKey)
	for _, l := range losses {
		if len(l.Unless) == 0 && (l.Level == driver.Lossy || l.Level == driver.Forbidden) {
			return nil, l.Message
		}
	}
	for _, c := range sample.Cells {
		at := slices.ContainsFunc(losses, func(l driver.Loss) bool { return c.Fact != "" && slices.Contains(l.Unless, c.Fact) })
		if !at && int64(len(c.Text)) <= d.Info.Limits.Value {
			kept = append(kept, c)
		}
	}
	return kept, ""
}

// roundTrip carries a type, makes a column of it, loads every value and NULL, and reads identical bytes; and once more by
// key, and through Apply.
func (s *scene) roundTrip(sample Sample, own bool) {
	d := s.open(driver.Target)
	kept := sample.Cells
	if !own {
		var refused string
		if kept, refused = carried(d, sample, false); refused != "" {
			s.Logf("not carried, and said so: %s", refused)
			return
		}
	}
	epoch := s.ledger(d)
	t, shape := s.table(d, design{
		name: "kinds", columns: []column{{name: "id", typ: int64Type}, {name: "value", typ: sample.Type, null: true, own: own}}, key: []string{"id"},
	})
	rows := [][]string{{"0", null}}
	for i, c := range kept {
		rows = append(rows, []string{strconv.Itoa(i + 1), c.Text})
	}
	s.check(s.load(d, intake(t, shape, epoch, 1), rows...))
	s.same("after Load", s.rows(d, t, shape), lines(rows...))
	if d.Applier == nil {
		return
	}
	keys := batch(1)
	for _, r := range rows {
		keys.AppendString(r[0])
	}
	s.check(d.Applier.Apply(s.ctx, driver.Delta{
		Table: t, Shape: shape, Epoch: epoch, Number: 1, Keys: keys, Images: batch(2, rows...),
	}))
	s.same("after Apply", s.all(d, driver.Query{Table: t, Shape: shape, Keys: keys}), lines(rows...))
}

// Kinds are columns of every kind with the values at their borders: the corpus of the suite.
func Kinds() []Sample { return slices.Clone(samples) }

// Carried is those of a sample's values that a product says it keeps, in a column that is part of no key; none where it says
// that it can not hold the type.
func Carried(d *driver.Database, sample Sample) []Cell {
	kept, _ := carried(d, sample, false)
	return kept
}
