package mysql

import (
	"bytes"
	sqldriver "database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"

	gosql "github.com/go-sql-driver/mysql"
)

// wire is the connection of a session, below the client library. The library connects, proves who we are, sets up TLS and
// runs every small statement. While it waits for nothing, its read buffer is empty and a new command begins with a new
// count of packets: then the rows of a query and the text of LOAD DATA pass here, in our own buffers, without an allocation
// for a row. Commands must be read to the end of their answer before the library is used again.
// (https://mariadb.com/kb/en/clientserver-protocol/)
type wire struct {
	socket   net.Conn // what was dialled; only closing it is safe from other goroutines
	conn     net.Conn // what packets go over: the socket, or TLS over it
	agreed   uint32   // the capabilities that the library agreed on with the server
	extended uint32   // MariaDB's own of them
	full     int      // the length of a packet that is continued by the next one
	count    byte     // the number of the next packet

	in       []byte // what was read
	at, upto int    // the part of it that was not used yet
	out      []byte // the packet being written, its header first
}

const (
	continued = 1<<24 - 1 // bytes of a packet that does not end its payload
	inBytes   = 128 << 10
	outBytes  = 64 << 10 // the payload of a packet of LOAD DATA
	mostCell  = 1 << 30  // no server sends a longer value

	plainMySQL    = 1 << 0  // agreed, the server's extended capabilities are none
	compressed    = 1 << 5  //
	noEOF         = 1 << 24 // rows end with an OK packet, and column definitions with none
	cachedColumns = 1 << 4  // extended: the number of columns is followed by whether they are described

	packetOK, packetFile, packetEnd, packetError = 0x00, 0xfb, 0xfe, 0xff
	moreResults                                  = 1 << 3 // a server's status
)

var (
	errMalformed = fmt.Errorf("the server's answer is not to be understood: %w", gosql.ErrPktSync)
	errUnread    = errors.New("an answer of the server was not read to its end")
)

func newWire(c net.Conn) *wire { return &wire{socket: c, conn: c, full: continued} }

// listener is the wire as the client library sees it while it connects: the first bytes that it writes say what it agreed on.
type listener struct {
	net.Conn
	w *wire
}

// Write passes on what the library writes.
func (l listener) Write(p []byte) (int, error) {
	if l.w.agreed == 0 && len(p) >= 36 {
		l.w.agreed = binary.LittleEndian.Uint32(p[4:])
		if l.w.agreed&plainMySQL == 0 {
			l.w.extended = binary.LittleEndian.Uint32(p[32:])
		}
	}
	return l.Conn.Write(p)
}

// secure finds the TLS connection that the library has put over the socket, because the session's packets must go through
// it. The library has no name for it in its interface: a test holds that it is where it is looked for.
func (w *wire) secure(conn sqldriver.Conn) error {
	field := reflect.ValueOf(conn).Elem().FieldByName("netConn")
	if !field.IsValid() || field.Type() != reflect.TypeFor[net.Conn]() {
		return errors.New("the client library of this build keeps its TLS connection elsewhere")
	}
	w.conn = reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().Interface().(net.Conn)
	return nil
}

// idle reports whether everything that the server sent was used.
func (w *wire) idle() bool { return w.at == w.upto }

// want makes n bytes stand in the buffer, n not above its size, and returns them.
func (w *wire) want(n int) ([]byte, error) {
	if w.upto-w.at < n {
		if w.in == nil {
			w.in = make([]byte, inBytes)
		}
		w.upto = copy(w.in, w.in[w.at:w.upto])
		w.at = 0
		m, err := io.ReadAtLeast(w.conn, w.in[w.upto:], n-(w.upto-w.at))
		if w.upto += m; err != nil {
			return nil, cutShort(err)
		}
	}
	p := w.in[w.at : w.at+n]
	if w.at += n; w.at == w.upto {
		w.at, w.upto = 0, 0
	}
	return p, nil
}

// cutShort makes an error of an end that comes too early.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// head reads the header of a packet and returns its length.
func (w *wire) head() (int, error) {
	p, err := w.want(4)
	if err != nil {
		return 0, err
	}
	n, count := int(p[0])|int(p[1])<<8|int(p[2])<<16, p[3]
	if count == w.count {
		w.count++
		return n, nil
	}
	// A server that ends a session says so out of turn.
	if n > 0 && n < inBytes {
		if p, err := w.want(n); err == nil && p[0] == packetError {
			return 0, errors.Join(serverError(p), gosql.ErrPktSync)
		}
	}
	return 0, errMalformed
}

// packet reads a packet that is no row. It is valid until the next is read.
func (w *wire) packet() ([]byte, error) {
	n, err := w.head()
	if err != nil {
		return nil, err
	}
	if n == 0 || n >= w.full || n > inBytes {
		return nil, errMalformed
	}
	return w.want(n)
}

// commandHead is the room before a statement for the header of its first packet and for the word that it is a statement.
const commandHead = "\x00\x00\x00\x00\x03"

// command begins a command with a statement.
func (w *wire) command(sql string) error { return w.send([]byte(commandHead + sql)) }

// send begins a command with a statement that has commandHead before it, and spoils it.
func (w *wire) send(whole []byte) error {
	if !w.idle() {
		return errUnread
	}
	w.count, w.at, w.upto = 0, 0, 0
	for {
		n := min(len(whole)-4, w.full)
		if err := w.write(whole[:4+n]); err != nil || n < w.full {
			return err
		}
		whole = whole[n:] // the last four bytes of what is written make room for the next header
	}
}

// write writes one packet; its first four bytes are for its header.
func (w *wire) write(p []byte) error {
	n := len(p) - 4
	p[0], p[1], p[2], p[3] = byte(n), byte(n>>8), byte(n>>16), w.count
	w.count++
	_, err := w.conn.Write(p)
	return err
}

// query begins a query of that many columns; its rows must be read until io.EOF.
func (w *wire) query(sql string, columns int) error {
	if err := w.command(sql); err != nil {
		return err
	}
	p, err := w.packet()
	if err != nil {
		return err
	}
	if p[0] == packetError {
		return serverError(p)
	}
	n, rest, ok := number64(p)
	if !ok || p[0] == packetOK || p[0] == packetFile || n != uint64(columns) {
		return errMalformed
	}
	if w.extended&cachedColumns == 0 || len(rest) > 0 && rest[0] == 1 {
		for range columns {
			if _, err := w.packet(); err != nil {
				return err
			}
		}
	}
	if w.agreed&noEOF == 0 {
		_, err = w.packet()
	}
	return err
}

// pour begins a LOAD DATA LOCAL. Its text is put into out and flushed; end reads how it went.
func (w *wire) pour(sql string) error {
	if err := w.command(sql); err != nil {
		return err
	}
	p, err := w.packet()
	switch {
	case err != nil:
		return err
	case p[0] == packetError:
		return serverError(p)
	case p[0] != packetFile:
		return errMalformed
	}
	if w.out == nil {
		w.out = make([]byte, 4, 4+outBytes+4*pieceBytes)
	}
	w.out = w.out[:4]
	return nil
}

// flush writes the text that was put into out.
func (w *wire) flush() error {
	if len(w.out) == 4 {
		return nil
	}
	err := w.write(w.out)
	w.out = w.out[:4]
	return err
}

// end writes the rest of the text and returns how many rows were stored and how many warnings there are.
func (w *wire) end() (stored int64, warnings int, err error) {
	if err := w.flush(); err != nil {
		return 0, 0, err
	}
	if err := w.write(w.out[:4]); err != nil {
		return 0, 0, err
	}
	return w.result()
}

// result reads the answer to a statement that has no rows: how many it found or stored, and how many warnings there are.
func (w *wire) result() (rows int64, warnings int, err error) {
	p, err := w.packet()
	switch {
	case err != nil:
		return 0, 0, err
	case p[0] == packetError:
		return 0, 0, serverError(p)
	case p[0] != packetOK:
		return 0, 0, errMalformed
	}
	return done(p)
}

// done reads an OK packet. That more answers follow is not to be expected.
func done(p []byte) (rows int64, warnings int, err error) {
	n, rest, ok := number64(p[1:])
	if !ok {
		return 0, 0, errMalformed
	}
	_, rest, ok = number64(rest)
	if !ok || len(rest) < 4 || binary.LittleEndian.Uint16(rest)&moreResults != 0 {
		return 0, 0, errMalformed
	}
	return int64(n), int(binary.LittleEndian.Uint16(rest[2:])), nil
}

// number64 cuts a number of variable length off; NULL is none.
func number64(p []byte) (n uint64, rest []byte, ok bool) {
	if len(p) == 0 {
		return 0, nil, false
	}
	size := 0
	switch p[0] {
	case 0xfb, 0xff:
		return 0, nil, false
	case 0xfc:
		size = 2
	case 0xfd:
		size = 3
	case 0xfe:
		size = 8
	default:
		return uint64(p[0]), p[1:], true
	}
	if len(p) <= size {
		return 0, nil, false
	}
	for i := size; i > 0; i-- {
		n = n<<8 | uint64(p[i])
	}
	return n, p[1+size:], true
}

// serverError is the error in a packet, as the client library gives it.
func serverError(p []byte) error {
	if len(p) < 3 {
		return errMalformed
	}
	e := &gosql.MySQLError{Number: binary.LittleEndian.Uint16(p[1:])}
	text := p[3:]
	if len(text) >= 6 && text[0] == '#' {
		copy(e.SQLState[:], text[1:6])
		text = text[6:]
	}
	e.Message = string(bytes.ToValidUTF8(text, []byte("?")))
	return e
}
