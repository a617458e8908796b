package faultproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"regexp"
	"sync/atomic"
)

// wire cuts what a client says into pieces and knows which of them is a COMMIT.
type wire interface {
	// next returns the next piece, and whether the server will commit a transaction when it has it. The piece is valid until
	// the next call. Bytes that came before an error are returned with it.
	next(r *bufio.Reader) (piece []byte, commit bool, err error)
	// answer is shown what the server says.
	answer(b []byte)
}

func newWire(p Protocol) wire {
	switch p {
	case Postgres:
		return &postgresWire{prepared: map[string]bool{}, portals: map[string]bool{}}
	case MySQL:
		return &mysqlWire{}
	}
	return &stream{}
}

// commits is a text whose last statement is COMMIT.
var commits = regexp.MustCompile(`(?is)(^|;)\s*commit(\s+(work|transaction))?\s*;?\s*$`)

// whole is the largest message that is read whole to be looked at.
const whole = 64 << 10

// stream hands out bytes as they come; left of them, where it is limited.
type stream struct {
	buffer []byte
	left   int64
}

func (s *stream) answer([]byte) {}

func (s *stream) next(r *bufio.Reader) ([]byte, bool, error) {
	b, err := s.some(r, 1<<62)
	return b, false, err
}

// some returns what is there, at least one byte and at most that many.
func (s *stream) some(r *bufio.Reader, most int64) ([]byte, error) {
	if s.buffer == nil {
		s.buffer = make([]byte, whole)
	}
	n, err := r.Read(s.buffer[:min(int64(len(s.buffer)), most)])
	return s.buffer[:n], err
}

// rest continues a message that is handed out in pieces.
func (s *stream) rest(r *bufio.Reader) ([]byte, bool, error) {
	b, err := s.some(r, s.left)
	s.left -= int64(len(b))
	return b, false, err
}

// message reads a message of that size whole.
func (s *stream) message(r *bufio.Reader, size int64) ([]byte, error) {
	if s.buffer == nil {
		s.buffer = make([]byte, whole)
	}
	n, err := io.ReadFull(r, s.buffer[:size])
	return s.buffer[:n], err
}

// head looks at the first bytes of a message; what there is of them is handed out when the client ends before.
func head(r *bufio.Reader, n int) (seen, broken []byte, err error) {
	if seen, err = r.Peek(n); err == nil {
		return seen, nil, nil
	}
	broken = append(broken, seen...)
	_, _ = r.Discard(len(seen))
	return nil, broken, err
}

// postgresWire knows PostgreSQL's protocol, version 3: COMMIT in a simple query, alone or behind other statements, and in the
// extended protocol, where the text comes with Parse and the order with Execute.
type postgresWire struct {
	stream
	begun, blind      bool            // the start-up message has gone by; the rest can not be read
	prepared, portals map[string]bool // by name: it is a COMMIT
}

func (w *postgresWire) next(r *bufio.Reader) ([]byte, bool, error) {
	switch {
	case w.blind:
		return w.stream.next(r)
	case w.left > 0:
		return w.rest(r)
	case !w.begun:
		return w.start(r)
	}
	h, broken, err := head(r, 5)
	if err != nil {
		return broken, false, err
	}
	kind, size := h[0], int64(binary.BigEndian.Uint32(h[1:]))+1
	if size < 5 {
		w.blind = true
		return w.stream.next(r)
	}
	if size > whole || !bytes.ContainsRune([]byte("QPBE"), rune(kind)) {
		w.left = size
		return w.rest(r)
	}
	m, err := w.message(r, size)
	if err != nil {
		return m, false, err
	}
	return m, w.commit(kind, m[5:]), nil
}

// start hands out the messages before the first one that has a type. Behind an accepted request for TLS all is blind.
func (w *postgresWire) start(r *bufio.Reader) ([]byte, bool, error) {
	h, broken, err := head(r, 8)
	if err != nil {
		return broken, false, err
	}
	const cancel, tls, gss = 80877102, 80877103, 80877104
	size, code := int64(binary.BigEndian.Uint32(h)), binary.BigEndian.Uint32(h[4:])
	switch {
	case h[0] != 0 || size < 8 || size > whole || code == cancel:
		w.blind = true
		return w.stream.next(r)
	case code != tls && code != gss:
		w.begun = true
	}
	m, err := w.message(r, size)
	return m, false, err
}

// commit keeps what a message prepares and reports whether it makes the server commit.
func (w *postgresWire) commit(kind byte, body []byte) bool {
	first, rest, _ := bytes.Cut(body, []byte{0})
	switch kind {
	case 'Q':
		return commits.Match(first)
	case 'P':
		text, _, _ := bytes.Cut(rest, []byte{0})
		w.prepared[string(first)] = commits.Match(text)
	case 'B':
		statement, _, _ := bytes.Cut(rest, []byte{0})
		w.portals[string(first)] = w.prepared[string(statement)]
	case 'E':
		return w.portals[string(first)]
	}
	return false
}

// mysqlWire knows the protocol of MariaDB and MySQL: COMMIT as a query's text, and as a statement that was prepared.
type mysqlWire struct {
	stream
	begun, blind bool
	asked        atomic.Bool // a COMMIT is being prepared: the server's next packet names it
	number       atomic.Uint32
}

const (
	comQuery   = 0x03
	comPrepare = 0x16
	comExecute = 0x17
)

func (w *mysqlWire) next(r *bufio.Reader) ([]byte, bool, error) {
	switch {
	case w.blind:
		return w.stream.next(r)
	case w.left > 0:
		return w.rest(r)
	}
	h, broken, err := head(r, 4)
	if err != nil {
		return broken, false, err
	}
	size, sequence := int64(h[0])|int64(h[1])<<8|int64(h[2])<<16, h[3]
	if size+4 > whole || sequence != 0 && w.begun {
		w.left = size + 4
		return w.rest(r)
	}
	m, err := w.message(r, size+4)
	if err != nil {
		return m, false, err
	}
	if !w.begun {
		const compress, tls = 0x20, 0x800
		w.begun = true
		w.blind = size >= 4 && binary.LittleEndian.Uint32(m[4:])&(compress|tls) != 0
		return m, false, nil
	}
	return m, w.commit(m[4:]), nil
}

func (w *mysqlWire) commit(body []byte) bool {
	switch {
	case len(body) == 0:
	case body[0] == comQuery:
		return commits.Match(body[1:])
	case body[0] == comPrepare && commits.Match(body[1:]):
		w.asked.Store(true)
	case body[0] == comExecute && len(body) >= 5:
		n := binary.LittleEndian.Uint32(body[1:])
		return n != 0 && n == w.number.Load()
	}
	return false
}

// answer looks for the number that the server gives a COMMIT which is being prepared.
func (w *mysqlWire) answer(b []byte) {
	if w.asked.CompareAndSwap(true, false) && len(b) >= 9 && b[4] == 0 {
		w.number.Store(binary.LittleEndian.Uint32(b[5:]))
	}
}
