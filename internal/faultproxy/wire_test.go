package faultproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"
)

func pgMessage(kind byte, body ...string) []byte {
	var text []byte
	for _, b := range body {
		text = append(append(text, b...), 0)
	}
	m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(text)+4))
	return append(m, text...)
}

func pgStart(code uint32) []byte {
	return append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 13), code), "user\x00"...)
}

func myPacket(sequence byte, body string) []byte {
	return append([]byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), sequence}, body...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// myHello is a client's first packet: without TLS and compression.
var myHello = myPacket(1, "\x85\xa6\x00\x00rest")

func TestCommitsAreSeen(t *testing.T) {
	big := string(bytes.Repeat([]byte("x;COMMIT;"), 20_000))
	for _, c := range []struct {
		name     string
		protocol Protocol
		said     []byte
		commits  int
	}{
		{"a simple query", Postgres, join(pgStart(196608), pgMessage('Q', "COMMIT")), 1},
		{"in small letters, with a semicolon", Postgres, join(pgStart(196608), pgMessage('Q', " commit ;\n")), 1},
		{"behind another statement", Postgres, join(pgStart(196608), pgMessage('Q', "UPDATE t SET a = 1; COMMIT")), 1},
		{"in the middle", Postgres, join(pgStart(196608), pgMessage('Q', "COMMIT; SELECT 1")), 0},
		{"a word in a text", Postgres, join(pgStart(196608), pgMessage('Q', "SELECT 'please commit'")), 0},
		{"a rollback", Postgres, join(pgStart(196608), pgMessage('Q', "ROLLBACK")), 0},
		{"an unnamed statement", Postgres, join(pgStart(196608), pgMessage('P', "", "COMMIT", ""), pgMessage('B', "", "", ""), pgMessage('E', "", "")), 1},
		{"a named one, twice", Postgres, join(pgStart(196608), pgMessage('P', "s", "COMMIT", ""), pgMessage('B', "p", "s", ""), pgMessage('E', "p", ""), pgMessage('E', "p", "")), 2},
		{"another statement in its place", Postgres, join(pgStart(196608), pgMessage('P', "", "COMMIT", ""), pgMessage('P', "", "SELECT 1", ""), pgMessage('B', "", "", ""), pgMessage('E', "", "")), 0},
		{"rows that look like one", Postgres, join(pgStart(196608), pgMessage('d', big), pgMessage('d', "COMMIT"), pgMessage('Q', "COMMIT")), 1},
		{"behind a refused request for TLS", Postgres, join(pgStart(80877103)[:4], pgStart(80877103)[4:8], nil), 0},
		{"a query", MySQL, join(myHello, myPacket(0, "\x03COMMIT")), 1},
		{"a query that is not one", MySQL, join(myHello, myPacket(0, "\x03SELECT 'COMMIT'"), myPacket(0, "\x01")), 0},
		{"the end of a trigger", MySQL, join(myHello, myPacket(0, "\x03CREATE TRIGGER a BEFORE DELETE ON b FOR EACH ROW BEGIN DELETE FROM c; END")), 0},
		{"lines of a file", MySQL, join(myHello, myPacket(0, "\x03LOAD DATA"), myPacket(2, "\x03COMMIT"), myPacket(3, big), myPacket(4, ""), myPacket(0, "\x03commit")), 1},
		{"prepared", MySQL, join(myHello, myPacket(0, "\x16COMMIT"), myPacket(0, "\x17\x05\x00\x00\x00\x00")), 1},
		{"another prepared one", MySQL, join(myHello, myPacket(0, "\x16COMMIT"), myPacket(0, "\x17\x06\x00\x00\x00\x00")), 0},
	} {
		for _, pace := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			w, r := newWire(c.protocol), bufio.NewReader(pace(bytes.NewReader(c.said)))
			var carried []byte
			n := 0
			for {
				piece, commit, err := w.next(r)
				carried = append(carried, piece...)
				if commit {
					n++
				}
				if len(piece) > 4 && piece[4] == 0x16 {
					w.answer([]byte("\x0c\x00\x00\x01\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
				}
				if err != nil {
					break
				}
			}
			if n != c.commits || !bytes.Equal(carried, c.said) {
				t.Errorf("%s: %d COMMITs seen, %d bytes carried of %d", c.name, n, len(carried), len(c.said))
			}
		}
	}
}

func TestNothingIsSeenInsideTLS(t *testing.T) {
	tls := append([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f"), "\x16\x03\x01 whatever follows"...)
	w, r := newWire(Postgres), bufio.NewReader(bytes.NewReader(tls))
	var carried []byte
	for {
		piece, commit, err := w.next(r)
		carried = append(carried, piece...)
		if commit {
			t.Error("a COMMIT was seen")
		}
		if err != nil {
			break
		}
	}
	if !bytes.Equal(carried, tls) {
		t.Errorf("%q was carried", carried)
	}
}
