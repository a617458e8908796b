package bench

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
)

// The two tables of every benchmark: line is narrow and typical of business data, wide has a column of most types.
const (
	postgresTables = `CREATE TABLE line (l_orderkey bigint NOT NULL, l_linenumber int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL,
 l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL,
 l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
 l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL, l_comment varchar(80) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
CREATE TABLE wide (id bigint PRIMARY KEY, small smallint NOT NULL, num int, amount numeric(20,6) NOT NULL, ratio double precision, flag boolean NOT NULL,
 day date NOT NULL, ts timestamp(6) NOT NULL, uid uuid NOT NULL, name varchar(100) NOT NULL, note text, doc json NOT NULL, payload bytea);`
	mariadbTables = `CREATE TABLE line (l_orderkey bigint NOT NULL, l_linenumber int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL,
 l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL,
 l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
 l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL, l_comment varchar(80) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
CREATE TABLE wide (id bigint PRIMARY KEY, small smallint NOT NULL, num int, amount decimal(20,6) NOT NULL, ratio double, flag tinyint(1) NOT NULL,
 day date NOT NULL, ts datetime(6) NOT NULL, uid char(36) NOT NULL, name varchar(100) NOT NULL, note text, doc longtext NOT NULL, payload blob);`
	sqliteTables = `PRAGMA journal_mode=wal;
CREATE TABLE line (l_orderkey bigint NOT NULL, l_linenumber int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL,
 l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL,
 l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
 l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL, l_comment varchar(80) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
CREATE TABLE wide (id integer PRIMARY KEY, small smallint NOT NULL, num int, amount decimal(20,6) NOT NULL, ratio double, flag boolean NOT NULL,
 day date NOT NULL, ts timestamp NOT NULL, uid char(36) NOT NULL, name varchar(100) NOT NULL, note text, doc text NOT NULL, payload blob);`
)

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

func money(b []byte, rng *rand.Rand, below int) []byte {
	n := rng.IntN(below)
	return append(strconv.AppendInt(b, int64(n/100), 10), '.', byte('0'+n/10%10), byte('0'+n%10))
}

func day(b []byte, rng *rand.Rand) []byte {
	return fmt.Appendf(b, "%d-%02d-%02d", 1992+rng.IntN(30), 1+rng.IntN(12), 1+rng.IntN(28))
}

// format says how NULL and bytes are written, which the products' text forms do not share.
type format struct {
	null  string
	bytes string // before the hexadecimal digits
}

var (
	copyText = format{null: `\N`, bytes: `\\x`}
	loadData = format{null: `\N`}
)

// lines writes n rows of the table line, tab-separated; the same rows every time.
func lines(w io.Writer, n int) error {
	const separator = '\t'
	out := bufio.NewWriterSize(w, 1<<20)
	rng := rand.New(rand.NewPCG(1, 1))
	var b []byte
	for i := range n {
		b = strconv.AppendInt(b[:0], int64(i/4+1), 10)
		for _, v := range []int{i%4 + 1, 1 + rng.IntN(200_000), 1 + rng.IntN(10_000)} {
			b = strconv.AppendInt(append(b, separator), int64(v), 10)
		}
		for _, below := range []int{5000, 10_000_000, 11, 9} {
			b = money(append(b, separator), rng, below)
		}
		b = append(b, separator, "ANR"[rng.IntN(3)], separator, "OF"[rng.IntN(2)])
		for range 3 {
			b = day(append(b, separator), rng)
		}
		b = append(append(b, separator), []string{"IN PERSON", "CASH", "NONE", "RETURN"}[rng.IntN(4)]...)
		b = append(append(b, separator), []string{"AIR", "RAIL", "SHIP", "TRUCK", "MAIL"}[rng.IntN(5)]...)
		b = append(phrase(append(b, separator), rng, 2+rng.IntN(4)), '\n')
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Flush()
}

// wides writes n rows of the table wide.
func wides(w io.Writer, n int, f format) error {
	const separator = '\t'
	out := bufio.NewWriterSize(w, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for i := range n {
		b = fmt.Appendf(b[:0], "%d%c%d%c", i+1, separator, rng.IntN(65536)-32768, separator)
		b = f.maybe(b, rng, 10, func(b []byte) []byte { return strconv.AppendInt(b, int64(int32(rng.Uint32())), 10) })
		b = fmt.Appendf(b, "%c%d.%06d%c", separator, rng.Int64N(2_000_000_000)-1_000_000_000, rng.IntN(1_000_000), separator)
		b = f.maybe(b, rng, 10, func(b []byte) []byte { return strconv.AppendFloat(b, float64(rng.Int64N(1<<44))/1024, 'g', -1, 64) })
		b = day(append(b, separator, byte('0'+rng.IntN(2)), separator), rng)
		b = day(append(b, separator), rng)
		b = fmt.Appendf(b, " %02d:%02d:%02d.%06d%c", rng.IntN(24), rng.IntN(60), rng.IntN(60), rng.IntN(1_000_000), separator)
		b = fmt.Appendf(b, "%08x-%04x-4%03x-a%03x-%012x%c", rng.Uint32(), rng.Uint32()>>16, rng.Uint32()>>20, rng.Uint32()>>20, rng.Uint64()>>16, separator)
		b = append(phrase(b, rng, 1+rng.IntN(3)), separator)
		b = f.maybe(b, rng, 3, func(b []byte) []byte { return phrase(b, rng, 5+rng.IntN(25)) })
		b = fmt.Appendf(b, `%c{"id": %d, "n": %d, "ok": %v}%c`, separator, i, rng.IntN(100_000), rng.IntN(2) == 0, separator)
		b = f.maybe(b, rng, 4, func(b []byte) []byte {
			b = append(b, f.bytes...)
			for range 16 + rng.IntN(100) {
				b = fmt.Appendf(b, "%02x", byte(rng.Uint32()))
			}
			return b
		})
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return out.Flush()
}

// maybe appends NULL one time in n.
func (f format) maybe(b []byte, rng *rand.Rand, n int, value func([]byte) []byte) []byte {
	if rng.IntN(n) == 0 {
		return append(b, f.null...)
	}
	return value(b)
}
