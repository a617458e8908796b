package mysql

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gosql "github.com/go-sql-driver/mysql"
	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// tape is a connection whose other end has said everything already, in parts of any size.
type tape struct {
	net.Conn
	said  []byte
	parts int
	heard bytes.Buffer
}

func (t *tape) Read(p []byte) (int, error) {
	if len(t.said) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(t.parts, 1))], t.said)
	t.said = t.said[n:]
	return n, nil
}

func (t *tape) Write(p []byte) (int, error) { return t.heard.Write(p) }

// packets cuts payloads into packets of at most full bytes.
func packets(full int, payloads ...[]byte) (all []byte) {
	count := byte(0)
	for _, p := range payloads {
		for {
			n := min(len(p), full)
			all = append(append(all, byte(n), byte(n>>8), byte(n>>16), count), p[:n]...)
			p = p[n:]
			if count++; n < full {
				break
			}
		}
	}
	return all
}

var endOfRows = []byte{0xfe, 0, 0, 2, 0, 0, 0}

// payload is a row as a server sends it. Wide lengths are those that need not be as wide as they are.
func payload(cells [][]byte, size int) (p []byte) {
	for _, c := range cells {
		switch n := len(c); {
		case c == nil:
			p = append(p, 0xfb)
		case n < 0xfb && size == 1:
			p = append(p, byte(n))
		case size <= 3:
			p = append(p, 0xfd, byte(n), byte(n>>8), byte(n>>16))
		default:
			p = append(p, 0xfe, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), 0, 0, 0, 0)
		}
		p = append(p, c...)
	}
	return p
}

func plainCells(width int) *cells {
	s := schema.Shape{Key: []int{0}}
	for range width {
		s.Columns = append(s.Columns, schema.ShapeColumn{Column: &schema.Column{Name: "c", Type: schema.Type{Kind: row.Bytes, Raw: "longblob"}}, Cell: row.Bytes})
	}
	return newCells(&schema.Table{}, s)
}

// TestRowsComeInAnyPackets cuts rows into packets and packets into reads of any size.
func TestRowsComeInAnyPackets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 4).Draw(t, "width")
		full := rapid.IntRange(8, 40).Draw(t, "full")
		var rows [][]byte
		want := row.NewBatch(width)
		for range rapid.IntRange(0, 6).Draw(t, "rows") {
			cells := make([][]byte, width)
			for i := range cells {
				if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
					want.AppendNull()
					continue
				}
				cells[i] = rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "cell")
				if cells[i] == nil {
					cells[i] = []byte{}
				}
				want.Append(cells[i])
			}
			p := payload(cells, rapid.IntRange(1, 3).Draw(t, "size"))
			if len(p) < full && p[0] == 0xfe { // no server writes that
				p = payload(cells, 1)
			}
			rows = append(rows, p)
		}
		all := packets(full, append(rows, endOfRows)...)
		w := newWire(&tape{said: all, parts: rapid.IntRange(1, 50).Draw(t, "parts")})
		w.full, w.agreed = full, noEOF
		got, c := row.NewBatch(width), plainCells(width)
		var err error
		for err == nil {
			err = w.next(c, got)
		}
		if !errors.Is(err, io.EOF) || got.Len() != want.Len() {
			t.Fatalf("%d rows of %d, %v", got.Len(), want.Len(), err)
		}
		for i := range want.Len() {
			if !bytes.Equal(got.Row(i), want.Row(i)) {
				t.Fatalf("row %d: %x, not %x", i, got.Row(i), want.Row(i))
			}
		}
		cut := rapid.IntRange(0, len(all)-1).Draw(t, "cut")
		w = newWire(&tape{said: all[:cut], parts: 1 << 20})
		w.full, w.agreed = full, noEOF
		for err = nil; err == nil; {
			err = w.next(c, got)
		}
		if errors.Is(err, io.EOF) {
			t.Fatal("rows that are cut short have an end")
		}
	})
}

// strange are answers that are none: rows that do not end where their packets do, and packets that are too short for what they are. Of
// its way, 1 is packets that go on after 20 bytes, and 2 ends that are OK packets.
var strange = []struct {
	what string
	way  int
	said []byte
}{
	{"nothing", 0, []byte{0, 0, 0, 0}},
	{"a cell that is longer than its packet", 0, []byte{3, 0, 0, 0, 5, 'a', 'b'}},
	{"a cell of 2^64-1 bytes", 0, []byte{11, 0, 0, 0, 1, 'a', 0xfe, 255, 255, 255, 255, 255, 255, 255, 255}},
	{"half a length", 0, []byte{3, 0, 0, 0, 1, 'a', 0xfc}},
	{"a packet that ends before its row", 0, []byte{1, 0, 0, 0, 0xfb}},
	{"a packet that ends behind its row", 0, []byte{4, 0, 0, 0, 0xfb, 0xfb, 0xfb, 0xfb}},
	{"an end of one byte", 0, []byte{1, 0, 0, 0, 0xfe}},
	{"an end of one byte, as an OK packet", 2, []byte{1, 0, 0, 0, 0xfe}},
	{"half an end", 2, []byte{3, 0, 0, 0, 0xfe, 0, 0}},
	{"an end with more results behind it", 0, []byte{5, 0, 0, 0, 0xfe, 0, 0, 8, 0}},
	{"an end that is none", 2, append(packets(continued, endOfRows), 1, 0, 0, 1, 0)},
	{"a packet out of turn", 0, []byte{3, 0, 0, 1, 0xfb, 0xfb, 0xfb}},
	{"a long row with a cell of 2^64-1 bytes", 1, append([]byte("\x14\x00\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xfb\x09123456789"), 0, 0, 0, 1)},
	{"a long row that ends before its last packet", 1, []byte("\x14\x00\x00\x00\x1e1234567890123456789\x05\x00\x00\x0112345\x08\x00\x00\x02123456\xfb\xfb")},
	{"a long row that its packets are longer than", 1, []byte("\x14\x00\x00\x00\x0a1234567890\xfb\xfb1234567\x00\x00\x00\x01")},
	{"a long row with something behind its last packet", 1, []byte("\x14\x00\x00\x00\x1112345678901234567\xfb\xfb\x01\x00\x00\x01x")},
}

// TestNoRowIsMadeOfWhatIsNone: nor an end of rows, and the session is not used any more.
func TestNoRowIsMadeOfWhatIsNone(t *testing.T) {
	for _, s := range strange {
		if err := listening(s.said, 1000, s.way).next(plainCells(3), row.NewBatch(3)); !errors.Is(err, gosql.ErrPktSync) {
			t.Errorf("%s: %v", s.what, err)
		}
	}
}

// listening is a wire that hears what was said.
func listening(said []byte, parts, way int) *wire {
	w := newWire(&tape{said: said, parts: parts})
	if way&1 == 1 {
		w.full = 20
	}
	if way&2 == 2 {
		w.agreed = noEOF
	}
	return w
}

// FuzzRows reads what no server says: an error, and no more rows than were there.
func FuzzRows(f *testing.F) {
	cells := [][]byte{[]byte("12"), nil, []byte(strings.Repeat("x", 300))}
	f.Add(packets(continued, payload(cells, 1), payload(cells, 8), endOfRows), 100, 0)
	f.Add(packets(20, payload(cells, 3), endOfRows), 3, 1)
	f.Add([]byte{1, 0, 0, 0, 0xfe}, 1, 2)
	f.Add([]byte{9, 0, 0, 0, 0xfe, 255, 255, 255, 255, 255, 255, 255, 255}, 1, 0)
	for _, s := range strange {
		f.Add(s.said, 1000, s.way)
	}
	for _, count := range []byte{1, 2} { // answers to a statement, and to the text of a LOAD DATA
		for _, said := range []string{"", "\xff", "\xff\x01", "\x00", "\x00\x00\x00", "\xfc\x01", "\x03", "\xfb"} {
			f.Add(append([]byte{byte(len(said)), 0, 0, count}, said...), 1000, 0)
		}
	}
	f.Fuzz(func(t *testing.T, said []byte, parts, way int) {
		w := listening(said, parts, way)
		c, b := plainCells(3), row.NewBatch(3)
		var err error
		for err == nil {
			err = w.next(c, b)
		}
		b.Abandon()
		if b.Len() > len(said)/3 {
			t.Fatalf("%d rows of %d bytes", b.Len(), len(said))
		}
		for _, read := range []func() error{
			func() error { return w.query("x", 3) },
			func() error { return w.pour("x") },
			func() error { w.out = make([]byte, 4); _, _, err := w.end(); return err },
		} {
			w.conn = &tape{said: said, parts: parts}
			w.at, w.upto = 0, 0
			_ = read()
		}
	})
}

// TestTheServersWord reads the answers to a statement.
func TestTheServersWord(t *testing.T) {
	refused := append([]byte{0xff, 0x7a, 0x04}, "#42S02no such table"...)
	for _, test := range []struct {
		said   []byte
		number uint16
		lost   bool
	}{
		{packets(continued, nil, refused)[4:], 1146, false},
		{append([]byte{byte(len(refused)), 0, 0, 9}, refused...), 1146, true}, // out of turn: the session is over
		{packets(continued, nil, []byte{3})[4:], 0, true},
		{packets(continued, nil, []byte{2, 1})[4:], 0, true},
		{nil, 0, true},
	} {
		w := newWire(&tape{said: test.said, parts: 5})
		w.agreed = noEOF
		err := w.query("SELECT 1", 2)
		if number(err) != test.number || test.lost != (number(err) == 0 || errors.Is(err, gosql.ErrPktSync)) {
			t.Errorf("%x: %v", test.said, err)
		}
	}
}

// TestALongStatementIsCut checks the packets of a statement that needs several.
func TestALongStatementIsCut(t *testing.T) {
	for n := range 30 {
		said := &tape{}
		w := newWire(said)
		w.full = 8
		sql := strings.Repeat("s", n)
		if err := w.command(sql); err != nil {
			t.Fatal(err)
		}
		if want := packets(8, append([]byte{3}, sql...)); !bytes.Equal(said.heard.Bytes(), want) {
			t.Fatalf("%x, not %x", said.heard.Bytes(), want)
		}
	}
}

// TestLinesEscapeWhatLoadDataKnows writes cells of many lengths and takes the packets apart again.
func TestLinesEscapeWhatLoadDataKnows(t *testing.T) {
	b := batch(3, []string{"a\tb", "~", "\\N\x00"}, []string{"", "x\ny", "ü"})
	want := "a\\tb\t\\N\t\\\\N\\0\n\tx\\ny\tü\n"
	for _, n := range []int{7, 8, 9, 17, pieceBytes, pieceBytes + 1, 3*outBytes + 5} {
		for _, c := range []string{"\\\\\\", "\t\\t", "\n\\n", "\x00\\0"} {
			plain := strings.Repeat("é", n)[:n-1]
			for _, cell := range []string{plain + c[:1], c[:1] + plain} {
				b.AppendString(cell)
				b.AppendString("")
				b.AppendNull()
				want += strings.ReplaceAll(cell, c[:1], c[1:]) + "\t\t\\N\n"
			}
		}
	}
	said := &tape{}
	w := newWire(said)
	w.out = make([]byte, 4)
	if err := w.lines(b); err != nil {
		t.Fatal(err)
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for p := said.heard.Bytes(); len(p) > 0; {
		n := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
		if n > outBytes+4*pieceBytes {
			t.Fatalf("a packet of %d bytes", n)
		}
		got, p = append(got, p[4:4+n]...), p[4+n:]
	}
	if string(got) != want {
		t.Fatalf("%d bytes, not the %d wanted", len(got), len(want))
	}
}

// TestTheRowPathAllocatesNothing holds it for reading and for writing.
func TestTheRowPathAllocatesNothing(t *testing.T) {
	s := schema.Shape{Key: []int{0}}
	var values [][]byte
	for _, c := range []struct {
		kind  row.Kind
		raw   string
		scale int
		text  string
	}{
		{row.Int, "bigint", 0, "123"},
		{row.Int, "int(8) zerofill", 0, "00000042"},
		{row.Decimal, "decimal(15,2)", 2, "12.50"},
		{row.Decimal, "decimal(15,2)", 2, "-0.50"},
		{row.Float64, "double", 0, "0.1"},
		{row.Float32, "float", 0, "0.10000000149011612"},
		{row.Date, "date", 0, "2024-02-29"},
		{row.Timestamp, "datetime(6)", 6, "2024-02-29 10:00:00.500000"},
		{row.Text, "varchar(99)", 0, "Grüße\t\\"},
		{row.Bits, "bit(13)", 0, "\x15\x55"},
		{row.Bytes, "blob", 0, "\x00\xff\n"},
	} {
		col := &schema.Column{Name: "c", Type: schema.Type{Kind: c.kind, Raw: c.raw, Scale: c.scale, Length: 13}}
		if c.kind == row.Text {
			col.Type.Charset = "utf8mb4"
		}
		s.Columns = append(s.Columns, schema.ShapeColumn{Column: col, Cell: c.kind, Scale: c.scale, Digits: 6})
		values = append(values, []byte(c.text))
	}
	rows := make([][]byte, 100)
	for i := range rows {
		rows[i] = payload(values, 1)
	}
	all := packets(continued, append(rows, endOfRows)...)
	said := &tape{parts: 1 << 20}
	w, c, b := newWire(said), newCells(&schema.Table{}, s), row.NewBatch(s.Width())
	w.agreed, w.out = noEOF, make([]byte, 4, 4+outBytes+4*pieceBytes)
	n := testing.AllocsPerRun(20, func() {
		said.said, w.count = all, 0
		b.Reset()
		var err error
		for err == nil {
			err = w.next(c, b)
		}
		said.heard.Reset()
		if err != io.EOF || b.Len() != len(rows) || w.lines(b) != nil || w.flush() != nil {
			t.Fatal(err, b.Len())
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestTheWireReadsWhatTheLibraryReads reads every type both ways, and long rows in packets of many sizes.
func TestTheWireReadsWhatTheLibraryReads(t *testing.T) {
	s := target(t)
	s.do(everyType)
	tb := s.inspect("every")
	shape := shapeOf(tb)
	nulls := append([]string{"7"}, strings.Split(strings.Repeat("~,", shape.Width()-2)+"~", ",")...)
	in := batch(shape.Width(), everyRows[1], nulls, everyRows[0])
	long := append([]string(nil), everyRows[0]...)
	for i, n := range []int{250, 251, 65535, 65536, inBytes - 1, 1 << 20, 17 << 20} {
		long[0] = "2" + string(rune('0'+i))
		for c := range shape.Columns {
			if name := shape.Columns[c].Column.Name; name == "tx" || name == "lb" && i%2 == 1 {
				long[c] = strings.Repeat("ü", n/2)
			}
		}
		in2 := batch(shape.Width(), long)
		if err := in.AppendRow(in2.Row(0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.load(s.takeOver(), tb, shape, 1, in); err != nil {
		t.Fatal(err)
	}
	want := row.NewBatch(shape.Width())
	c := newCells(tb, shape)
	err := s.d.work.with(s.ctx, func(ses *session) error {
		r, err := ses.conn.QueryContext(s.ctx, "SELECT "+c.exprs("t")+" FROM every t ORDER BY id", nil)
		if err != nil {
			return err
		}
		for {
			if err := r.Next(c.values); err == io.EOF {
				return r.Close()
			} else if err != nil {
				return err
			}
			if err := c.append(want, c.values); err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := s.read(driver.Query{Table: tb, Shape: shape, Order: driver.KeyOrder})
	for i, line := range show(want) {
		if i >= len(lines) || lines[i] != line {
			t.Fatalf("row %d differs", i)
		}
	}
	if len(lines) != want.Len() || want.Len() != in.Len() {
		t.Fatalf("%d rows by the wire, %d by the library", len(lines), want.Len())
	}
}

// TestOverTLS moves rows over TLS. It also holds that the client library keeps its TLS connection where secure looks for it.
func TestOverTLS(t *testing.T) {
	dir, err := os.MkdirTemp("", "wb") // the server's user must be able to enter it
	if err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	certify(t, dir)
	server := testserver.New(t, "mariadb", "ssl-cert="+dir+"/cert.pem", "ssl-key="+dir+"/key.pem")
	address := server.Create(t, "moved")
	s := open(t, address+"?tls=verify&ca="+dir+"/cert.pem", driver.Target)
	err = s.d.work.with(s.ctx, func(ses *session) error {
		if _, ok := ses.wire.conn.(*tls.Conn); !ok {
			t.Errorf("packets go over a %T", ses.wire.conn)
		}
		cipher, err := ses.row(s.ctx, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
		if err == nil && cipher[1] == "" {
			err = errors.New("the session is not encrypted")
		}
		return err
	})
	if err == nil {
		err = s.Ledger.Prepare(s.ctx, "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.do("CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB)")
	tb := s.inspect("t")
	shape := shapeOf(tb)
	in := batch(2, []string{"1", "x"}, []string{"2", strings.Repeat("\x00é", 9<<20)}, []string{"3", "~"})
	if err := s.load(s.takeOver(), tb, shape, 1, in); err != nil {
		t.Fatal(err)
	}
	same(t, "rows", s.read(driver.Query{Table: tb, Shape: shape, Order: driver.KeyOrder}), show(in))
}

// certify writes a certificate of this machine's loopback address.
func certify(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
