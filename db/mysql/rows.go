package mysql

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/whimbrel/whimbrel/row"
)

// next reads the next row of the running query into the batch; io.EOF at the end. After another error the batch may hold
// a part of the row, and the rest of the rows is still on its way unless the server itself sent the error.
func (w *wire) next(c *cells, b *row.Batch) error {
	n, err := w.head()
	if err != nil {
		return err
	}
	if n == w.full || n > inBytes {
		return w.long(c, b, n)
	}
	p, err := w.want(n)
	if err != nil {
		return err
	}
	switch {
	case n == 0:
		return errMalformed
	case p[0] == packetEnd: // as a length it would begin a packet that is continued
		return w.last(p)
	case p[0] == packetError:
		return serverError(p)
	}
	return c.scan(b, p)
}

// last reads the packet that ends the rows.
func (w *wire) last(p []byte) error {
	if w.agreed&noEOF == 0 {
		if len(p) != 5 || binary.LittleEndian.Uint16(p[3:])&moreResults != 0 {
			return errMalformed
		}
	} else if _, _, err := done(p); err != nil {
		return err
	}
	if !w.idle() {
		return errMalformed
	}
	return io.EOF
}

// scan adds the row of a packet to the batch.
func (c *cells) scan(b *row.Batch, p []byte) error {
	bad, reason := -1, ""
	for i := range c.ops {
		if len(p) == 0 {
			return errMalformed
		}
		n := int(p[0])
		switch {
		case n < 0xfb:
			p = p[1:]
		case n == 0xfb:
			p = p[1:]
			b.AppendNull()
			continue
		default:
			size, rest, ok := number64(p)
			if !ok || size > uint64(len(rest)) {
				return errMalformed
			}
			n, p = int(size), rest
		}
		if n > len(p) {
			return errMalformed
		}
		if why := c.text(b, i, p[:n]); why != "" && bad < 0 {
			bad, reason = i, why
		}
		p = p[n:]
	}
	if len(p) > 0 {
		return errMalformed
	}
	if bad >= 0 {
		return c.reject(b, bad, reason)
	}
	return nil
}

// body reads a payload that does not fit the buffer, across the packets that it came in.
type body struct {
	w    *wire
	left int  // bytes of the packet that were not read yet
	more bool // another packet continues it
}

// follow makes sure that there are bytes left.
func (y *body) follow() error {
	for y.left == 0 {
		if !y.more {
			return errMalformed
		}
		n, err := y.w.head()
		if err != nil {
			return err
		}
		y.left, y.more = n, n == y.w.full
	}
	return nil
}

func (y *body) ended() bool { return y.left == 0 && !y.more }

// one reads one byte.
func (y *body) one() (byte, error) {
	if err := y.follow(); err != nil {
		return 0, err
	}
	p, err := y.w.want(1)
	if err != nil {
		return 0, err
	}
	y.left--
	return p[0], nil
}

// length reads the length of a cell; -1 for NULL.
func (y *body) length() (int, error) {
	first, err := y.one()
	if err != nil {
		return 0, err
	}
	size := 0
	switch {
	case first < 0xfb:
		return int(first), nil
	case first == 0xfb:
		return -1, nil
	case first == 0xff:
		return 0, errMalformed
	case first == 0xfe:
		size = 8
	default:
		size = int(first) - 0xfa
	}
	var n uint64
	for i := range size {
		digit, err := y.one()
		if err != nil {
			return 0, err
		}
		n |= uint64(digit) << (8 * i)
	}
	if n > mostCell || !y.more && n > uint64(y.left) {
		return 0, errMalformed
	}
	return int(n), nil
}

// trusted is how many bytes room is made for because the server says that they come. For more, room is made as they do, so that a
// length alone takes no memory.
const trusted = 16 << 20

// take appends n bytes to dst, straight from the connection but for what is in the buffer already.
func (y *body) take(dst []byte, n int) ([]byte, error) {
	dst = slices.Grow(dst, min(n, trusted))
	for n > 0 {
		if err := y.follow(); err != nil {
			return dst, err
		}
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, min(n, max(len(dst), trusted)))
		}
		part := min(n, y.left, cap(dst)-len(dst))
		to := dst[len(dst) : len(dst)+part]
		had := copy(to, y.w.in[y.w.at:y.w.upto])
		if y.w.at += had; y.w.at == y.w.upto {
			y.w.at, y.w.upto = 0, 0
		}
		if _, err := io.ReadFull(y.w.conn, to[had:]); err != nil {
			return dst, cutShort(err)
		}
		dst, n, y.left = dst[:len(dst)+part], n-part, y.left-part
	}
	return dst, nil
}

// long reads a row that does not fit the buffer. A large value goes into the batch as it comes.
func (w *wire) long(c *cells, b *row.Batch, n int) error {
	y := &body{w: w, left: n, more: n == w.full}
	bad, reason := -1, ""
	for i := range c.ops {
		n, err := y.length()
		if err != nil {
			return err
		}
		if n < 0 {
			b.AppendNull()
			continue
		}
		why := ""
		if c.ops[i] == asIs || c.ops[i] == asUTF8 {
			var data []byte
			if data, err = y.take(b.Begin(), n); err == nil {
				b.End(data)
				why = c.judge(i, data[len(data)-n:])
			}
		} else if c.scratch, err = y.take(c.scratch[:0], n); err == nil {
			why = c.text(b, i, c.scratch)
		}
		if err != nil {
			return err
		}
		if why != "" && bad < 0 {
			bad, reason = i, why
		}
	}
	if y.more && y.left == 0 { // a payload that fills its last packet is ended by an empty one
		if n, err := w.head(); err != nil || n != 0 {
			return errors.Join(err, errMalformed)
		}
		y.more = false
	}
	if !y.ended() {
		return errMalformed
	}
	if bad >= 0 {
		return c.reject(b, bad, reason)
	}
	return nil
}
