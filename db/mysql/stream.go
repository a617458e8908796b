package mysql

import (
	"bytes"
	"context"
	"encoding/binary"
	mathbits "math/bits"
	"time"

	"github.com/whimbrel/whimbrel/row"
)

// stream is rows on their way into a sink by LOAD DATA LOCAL: one statement for many batches, until it is large. LOAD DATA
// LOCAL would leave out and alter rows with no more than a warning (HAZARDS 68), so that a warning, or another count than
// was sent, is an error of the statement; its keys are kept for naming the row.
type stream struct {
	*sink
	running bool // a statement waits for more text
	rows    int64
	bytes   int
	keys    keyList
}

// A statement is ended after this many bytes or rows: an error is not found later than that, and no more keys are kept.
const (
	statementBytes = 8 << 20
	statementRows  = 1 << 16
)

// keyList is the keys of the rows of a statement, so that a row can be named that the server knows by its place.
type keyList struct {
	runs []byte
	ends []int
}

func (k *keyList) reset() { k.runs, k.ends = k.runs[:0], k.ends[:0] }

// add notes the keys of a batch's rows.
func (k *keyList) add(b *row.Batch, key []int) {
	for i := range b.Len() {
		k.one(b, i, key)
	}
}

// one notes the key of one row.
func (k *keyList) one(b *row.Batch, i int, key []int) {
	k.runs = b.AppendKey(k.runs, i, key)
	k.ends = append(k.ends, len(k.runs))
}

// text is the key of the row at a place, from 1, for people; empty when there is none.
func (k *keyList) text(place int) string {
	if place < 1 || place > len(k.ends) {
		return ""
	}
	start := 0
	if place > 1 {
		start = k.ends[place-2]
	}
	cells, err := row.Key(k.runs[start:k.ends[place-1]]).Cells()
	if err != nil {
		return ""
	}
	return string(bytes.Join(cells, []byte(", ")))
}

// write sends the rows of a batch, and ends a statement that has become large.
func (t *stream) write(ctx context.Context, s *session, b *row.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	if !t.running {
		if err := s.command(ctx, func() error { return s.wire.pour(t.data) }); err != nil {
			return err
		}
		t.running, t.rows, t.bytes = true, 0, 0
		t.keys.reset()
	}
	if err := s.command(ctx, func() error { return s.wire.lines(b) }); err != nil {
		return err
	}
	t.keys.add(b, t.shape.Key)
	t.rows += int64(b.Len())
	if t.bytes += b.Size(); t.bytes < statementBytes && t.rows < statementRows {
		return nil
	}
	return t.end(ctx, s)
}

// end ends the running statement and proves that every row was stored as it was sent.
func (t *stream) end(ctx context.Context, s *session) error {
	if !t.running {
		return nil
	}
	var stored int64
	var warnings int
	err := s.command(ctx, func() (err error) {
		t.running = false // a command that did not begin leaves the statement to giveUp
		stored, warnings, err = s.wire.end()
		return err
	})
	if err != nil {
		return err
	}
	return t.whole(ctx, s, &t.keys, stored, t.rows, warnings)
}

// giveUp ends the running statement without a word on how it went, so that the session can undo it. Again: does nothing.
func (t *stream) giveUp(s *session) {
	if !t.running || s.gone() {
		return
	}
	t.running = false
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = s.command(ctx, func() error {
		_, _, err := s.wire.end()
		return err
	})
}

// pieceBytes is how much of a cell is put into the packet before it may be sent; escaped it is twice that.
const pieceBytes = 16 << 10

// lines writes a batch as the text of LOAD DATA: tabs between fields, \N for NULL, backslashes before what would be taken
// for one of them. A value of any size goes out in pieces.
func (w *wire) lines(b *row.Batch) error {
	for i := range b.Len() {
		for c := range b.Width() {
			if c > 0 {
				w.out = append(w.out, '\t')
			}
			cell := b.Cell(i, c)
			if cell == nil {
				w.out = append(w.out, '\\', 'N')
				if err := w.relieve(); err != nil {
					return err
				}
				continue
			}
			for len(cell) > pieceBytes {
				w.out = appendField(w.out, cell[:pieceBytes])
				cell = cell[pieceBytes:]
				if err := w.relieve(); err != nil {
					return err
				}
			}
			w.out = appendField(w.out, cell)
			if err := w.relieve(); err != nil {
				return err
			}
		}
		w.out = append(w.out, '\n')
	}
	return nil
}

// relieve sends a packet that has become long enough.
func (w *wire) relieve() error {
	if len(w.out) < outBytes {
		return nil
	}
	return w.flush()
}

// appendField appends a part of a field's text.
func appendField(dst, cell []byte) []byte {
	for {
		n := plainBytes(cell)
		dst = append(dst, cell[:n]...)
		if n == len(cell) {
			return dst
		}
		c := cell[n]
		switch c {
		case '\t':
			c = 't'
		case '\n':
			c = 'n'
		case 0:
			c = '0'
		}
		dst = append(dst, '\\', c)
		cell = cell[n+1:]
	}
}

// plainBytes counts the bytes before the first that needs a backslash, eight at a time: a byte of a word is zero where the
// byte looked for is.
func plainBytes(cell []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(cell)-n >= 8; n += 8 {
		v := binary.LittleEndian.Uint64(cell[n:])
		slash, tab, line := v^ones*'\\', v^ones*'\t', v^ones*'\n'
		found := ((v-ones)&^v | (slash-ones)&^slash | (tab-ones)&^tab | (line-ones)&^line) & highs
		if found != 0 {
			return n + mathbits.TrailingZeros64(found)/8
		}
	}
	for ; n < len(cell) && plain[cell[n]]; n++ {
	}
	return n
}

// plain are the bytes that need no backslash.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = bytes.IndexByte([]byte("\\\t\n\x00"), byte(c)) < 0
	}
	return t
}()
