package bench

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
)

// The two tables of every benchmark: line is narrow and typical of business data, wide has a column of most types.
const (
	// PostgreSQL's come without keys: what is quickest adds them after the rows.
	postgresTables = `CREATE TABLE line (l_orderkey bigint NOT NULL, l_linenumber int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL,
 l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL,
 l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
 l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL, l_comment varchar(80) NOT NULL);
CREATE TABLE wide (id bigint NOT NULL, small smallint NOT NULL, num int, amount numeric(20,6) NOT NULL, ratio double precision, flag boolean NOT NULL,
 day date NOT NULL, ts timestamp(6) NOT NULL, uid uuid NOT NULL, name varchar(100) NOT NULL, note text, doc json NOT NULL, payload bytea);`
	lineKey = `ALTER TABLE line ADD PRIMARY KEY (l_orderkey, l_linenumber)`
	wideKey = `ALTER TABLE wide ADD PRIMARY KEY (id)`

	mariadbTables = `CREATE TABLE line (l_orderkey bigint NOT NULL, l_linenumber int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL,
 l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL,
 l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
 l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL, l_comment varchar(80) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
CREATE TABLE wide (id bigint PRIMARY KEY, small smallint NOT NULL, num int, amount decimal(20,6) NOT NULL, ratio double, flag tinyint(1) NOT NULL,
 day date NOT NULL, ts datetime(6) NOT NULL, uid char(36) NOT NULL, name varchar(100) NOT NULL, note text, doc longtext NOT NULL, payload blob);`

	sqliteTables = `CREATE TABLE line (l_orderkey bigint NOT NULL, l_linenumber int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL,
 l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL,
 l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
 l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL, l_comment varchar(80) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
CREATE TABLE wide (id integer NOT NULL PRIMARY KEY, small smallint NOT NULL, num int, amount decimal(20,6) NOT NULL, ratio double, flag boolean NOT NULL,
 day date NOT NULL, ts timestamp NOT NULL, uid char(36) NOT NULL, name varchar(100) NOT NULL, note text, doc text NOT NULL, payload blob);`
)

// The rows of the tables at scale 1.
const (
	lineRows = 2_000_000
	wideRows = 300_000
)

// sums asks for what must be the same at both sides after a copy, however the product keeps its types: how many rows there
// are, and the sums of their numbers and of their values' lengths. Each statement answers one row.
func sums(product, table string) string {
	micros := "CAST(ROUND(%s * 1000000) AS bigint)"
	length, bytes, flag := "LENGTH(%s)", "OCTET_LENGTH(%s)", "CAST(flag AS int)"
	switch product {
	case "mariadb":
		micros, length, flag = "CAST(ROUND(%s * 1000000) AS signed)", "CHAR_LENGTH(%s)", "flag"
	case "sqlite":
		micros, bytes, flag = "CAST(ROUND(%s * 1000000) AS integer)", "LENGTH(%s)", "flag"
	}
	each := func(form string, columns ...string) (list []string) {
		for _, c := range columns {
			list = append(list, "SUM("+fmt.Sprintf(form, c)+")")
		}
		return list
	}
	list := []string{"COUNT(*)"}
	if table == "line" {
		list = append(list, each("%s", "l_orderkey", "l_linenumber", "l_partkey", "l_suppkey")...)
		list = append(list, each(micros, "l_quantity", "l_extendedprice", "l_discount", "l_tax")...)
		list = append(list, each(length, "l_returnflag", "l_linestatus", "l_shipinstruct", "l_shipmode", "l_comment")...)
		list = append(list, "MIN(l_shipdate)", "MAX(l_commitdate)", "COUNT(DISTINCT l_receiptdate)")
	} else {
		list = append(list, each("%s", "id", "small", "num", flag)...)
		list = append(list, each(micros, "amount")...)
		list = append(list, each(length, "name", "note", "uid")...)
		list = append(list, each(bytes, "payload")...)
		list = append(list, "MIN(day)", "MAX(day)", "COUNT(num)", "COUNT(ratio)", "COUNT(note)", "COUNT(payload)", "COUNT(DISTINCT ts)")
		if product == "postgres" {
			return "SELECT " + strings.ReplaceAll(strings.Join(list, ", "), "(uid)", "(CAST(uid AS text))") + " FROM " + table
		}
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + table
}

var vocabulary = []string{
	"silver", "harbour", "evening", "Größe", "crème", "signal", "orders", "against", "北京", "amber", "margins", "drift", "boldly",
	"under", "seven", "ledgers", "reckon", "idle", "wagons", "œuvre", "softly", "common", "lanterns", "façade", "keenly", "swift", "notes", "stir",
}

func phrase(b []byte, rng *rand.Rand, words int) []byte {
	for i := range words {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, vocabulary[rng.IntN(len(vocabulary))]...)
	}
	return b
}

func money(b []byte, n int) []byte {
	return append(strconv.AppendInt(b, int64(n/100), 10), '.', byte('0'+n/10%10), byte('0'+n%10))
}

func day(b []byte, rng *rand.Rand) []byte {
	return fmt.Appendf(b, "%d-%02d-%02d", 1992+rng.IntN(30), 1+rng.IntN(12), 1+rng.IntN(28))
}

// format says how rows are written: as a text form that a product loads, or as SQL.
type format struct {
	begin, separator, end string // of a row
	null                  string
	quote                 string // around a value that is no number
	bytes, endBytes       string // around hexadecimal digits
	awkward               string // a text with a tab, quotes, a backslash and the end of a line
}

var (
	copyText = format{separator: "\t", end: "\n", null: `\N`, bytes: `\\x`, awkward: `\tqu"o'te\\ \n end`}
	loadData = format{separator: "\t", end: "\n", null: `\N`, awkward: `\tqu"o'te\\ \n end`}
	lineSQL  = format{begin: "INSERT INTO line VALUES(", separator: ",", end: ");\n", null: "NULL", quote: "'", bytes: "X'", endBytes: "'", awkward: "\tqu\"o''te\\ \n end"}
	wideSQL  = format{begin: "INSERT INTO wide VALUES(", separator: ",", end: ");\n", null: "NULL", quote: "'", bytes: "X'", endBytes: "'", awkward: "\tqu\"o''te\\ \n end"}
)

// text appends a value that is no number, and the separator.
func (f format) text(b []byte, value func([]byte) []byte) []byte {
	b = append(b, f.quote...)
	return append(append(value(b), f.quote...), f.separator...)
}

// maybe appends NULL one time in n, else the value.
func (f format) maybe(b []byte, rng *rand.Rand, n int, value func([]byte) []byte) []byte {
	if rng.IntN(n) == 0 {
		return append(b, f.null...)
	}
	return value(b)
}

// lines writes n rows of the table line; the same rows every time.
func lines(w io.Writer, n int, f format) error {
	out := bufio.NewWriterSize(w, 1<<20)
	rng := rand.New(rand.NewPCG(1, 1))
	var b []byte
	one := func(words ...string) func([]byte) []byte {
		return func(b []byte) []byte { return append(b, words[rng.IntN(len(words))]...) }
	}
	date := func(b []byte) []byte { return day(b, rng) }
	for i := range n {
		b = append(b[:0], f.begin...)
		for _, v := range []int{i/4 + 1, i%4 + 1, 1 + rng.IntN(200_000), 1 + rng.IntN(10_000)} {
			b = append(strconv.AppendInt(b, int64(v), 10), f.separator...)
		}
		for _, v := range []int{100 * (1 + rng.IntN(50)), 90_000 + rng.IntN(10_000_000), rng.IntN(11), rng.IntN(9)} {
			b = append(money(b, v), f.separator...)
		}
		b = f.text(f.text(b, one("A", "N", "R")), one("O", "F"))
		b = f.text(f.text(f.text(b, date), date), date)
		b = f.text(b, one("HAND IN PERSON", "PAY AT DOOR", "NONE", "RETURN IF BROKEN"))
		b = f.text(b, one("FAST AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "DEPOT"))
		b = append(append(phrase(append(b, f.quote...), rng, 2+rng.IntN(4)), f.quote...), f.end...)
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Flush()
}

// wides writes n rows of the table wide; the same rows every time.
func wides(w io.Writer, n int, f format) error {
	out := bufio.NewWriterSize(w, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for i := range n {
		b = fmt.Appendf(append(b[:0], f.begin...), "%d%s%d%s", i+1, f.separator, rng.IntN(65536)-32768, f.separator)
		b = f.maybe(b, rng, 10, func(b []byte) []byte { return strconv.AppendInt(b, int64(int32(rng.Uint32())), 10) })
		parts := rng.Int64N(64_000_000_000) // of 64: SQLite, which keeps it as a float, has it exactly
		b = fmt.Appendf(b, "%s%.*s%d.%06d%s", f.separator, rng.IntN(2), "-", parts/64, parts%64*15625, f.separator)
		b = f.maybe(b, rng, 10, func(b []byte) []byte { return strconv.AppendFloat(b, float64(rng.Int64N(1<<44))/1024, 'g', -1, 64) })
		b = append(append(append(b, f.separator...), byte('0'+rng.IntN(2))), f.separator...)
		b = f.text(b, func(b []byte) []byte { return day(b, rng) })
		b = f.text(b, func(b []byte) []byte {
			return fmt.Appendf(day(b, rng), " %02d:%02d:%02d.%06d", 4+rng.IntN(19), rng.IntN(60), rng.IntN(60), rng.IntN(1_000_000))
		})
		b = f.text(b, func(b []byte) []byte {
			h, l := rng.Uint64(), rng.Uint64()
			return fmt.Appendf(b, "%08x-%04x-4%03x-a%03x-%012x", uint32(h), uint16(h>>32), h>>48&0xfff, l&0xfff, l>>12&0xffffffffffff)
		})
		b = f.text(b, func(b []byte) []byte { return phrase(b, rng, 1+rng.IntN(3)) })
		b = f.maybe(b, rng, 3, func(b []byte) []byte {
			b = phrase(append(b, f.quote...), rng, 5+rng.IntN(25))
			if rng.IntN(20) == 0 {
				b = append(b, f.awkward...)
			}
			return append(b, f.quote...)
		})
		b = f.text(append(b, f.separator...), func(b []byte) []byte {
			b = fmt.Appendf(b, `{"id": %d, "tags": ["`, i+1)
			b = append(phrase(append(phrase(b, rng, 1), `", "`...), rng, 1), `"], `...)
			return fmt.Appendf(b, `"n": %d, "ok": %v}`, rng.IntN(100_000), rng.IntN(2) == 0)
		})
		b = f.maybe(b, rng, 4, func(b []byte) []byte { return f.hex(b, rng, 16+rng.IntN(100)) })
		if _, err := out.Write(append(b, f.end...)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// hex appends n random bytes.
func (f format) hex(b []byte, rng *rand.Rand, n int) []byte {
	const digits = "0123456789abcdef"
	b = append(b, f.bytes...)
	for range n {
		v := rng.Uint32()
		b = append(b, digits[v&15], digits[v>>4&15])
	}
	return append(b, f.endBytes...)
}
