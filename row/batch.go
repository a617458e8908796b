// Package row holds rows as they travel: batches of cells, ranges of a key, and sums. It does no input or output and
// knows no database.
//
// A cell is a run of bytes in the canonical encoding (docs/encoding.md), or NULL. A row is one run of framed cells: each
// cell is a length of four bytes, big endian, followed by its bytes; NULL is the length -1 with no bytes. Because length
// and bytes stand together, a row can be hashed in one call and two different rows never have the same run.
// A Batch is many such rows in one arena; it is filled, read, reset and filled again without allocating.
package row

import (
	"encoding/binary"
	"fmt"
)

const null = ^uint32(0)

// Batch is an arena of rows of one width. The zero value is not usable: call NewBatch.
// A Batch is not safe for concurrent use; hand it from one goroutine to the next instead.
type Batch struct {
	width int
	data  []byte
	ends  []uint32 // the end of every cell in data
	open  int      // where the bytes of the cell being written begin, -1 when none is
}

// NewBatch returns an empty batch of rows with width cells each. Width 0 or less panics: it is a programming error.
func NewBatch(width int) *Batch {
	b := &Batch{}
	b.Reshape(width)
	return b
}

// Reshape empties the batch for rows of another width and keeps its memory as Reset does. Width as for NewBatch.
func (b *Batch) Reshape(width int) {
	if width <= 0 {
		panic(fmt.Sprintf("row.NewBatch: width %d", width))
	}
	b.Reset()
	b.width = width
}

// Width is the number of cells in a row.
func (b *Batch) Width() int { return b.width }

// Len is the number of complete rows.
func (b *Batch) Len() int { return len(b.ends) / b.width }

// Size is the number of bytes the rows take, framing included.
func (b *Batch) Size() int { return len(b.data) }

// Reset empties the batch and keeps its memory. Arenas that one huge value has grown past 8 MiB are given back.
func (b *Batch) Reset() {
	const keep = 8 << 20
	if cap(b.data) > keep {
		b.data = nil
	}
	b.data, b.ends, b.open = b.data[:0], b.ends[:0], -1
}

// Append adds one cell with a copy of these bytes.
func (b *Batch) Append(cell []byte) {
	b.data = binary.BigEndian.AppendUint32(b.data, uint32(len(cell)))
	b.data = append(b.data, cell...)
	b.ends = append(b.ends, uint32(len(b.data)))
}

// AppendString adds one cell with a copy of these bytes.
func (b *Batch) AppendString(cell string) {
	b.data = binary.BigEndian.AppendUint32(b.data, uint32(len(cell)))
	b.data = append(b.data, cell...)
	b.ends = append(b.ends, uint32(len(b.data)))
}

// AppendNull adds one NULL cell.
func (b *Batch) AppendNull() {
	b.data = binary.BigEndian.AppendUint32(b.data, null)
	b.ends = append(b.ends, uint32(len(b.data)))
}

// Begin opens a cell and returns the arena, to which the caller appends the cell's bytes and then calls End with the
// result. It spares a copy where a cell is made piece by piece.
func (b *Batch) Begin() []byte {
	b.data = append(b.data, 0, 0, 0, 0)
	b.open = len(b.data)
	return b.data
}

// End closes the cell that Begin opened. Data is what Begin returned, with the cell's bytes appended.
func (b *Batch) End(data []byte) {
	b.data = data
	binary.BigEndian.PutUint32(data[b.open-4:], uint32(len(data)-b.open))
	b.ends = append(b.ends, uint32(len(data)))
	b.open = -1
}

// Abandon gives up the cell that Begin opened and the cells of an incomplete row before it: after an error in the middle
// of a row, the batch again holds complete rows only.
func (b *Batch) Abandon() { b.Truncate(b.Len()) }

// Truncate keeps the first rows of the batch.
func (b *Batch) Truncate(rows int) {
	b.ends = b.ends[:rows*b.width]
	end := 0
	if n := len(b.ends); n > 0 {
		end = int(b.ends[n-1])
	}
	b.data, b.open = b.data[:end], -1
}

// Cell returns the bytes of a cell, nil for NULL and an empty, non-nil slice for an empty value.
// The slice is valid until the batch is changed and must not be written to.
func (b *Batch) Cell(row, column int) []byte {
	i := row*b.width + column
	start := 0
	if i > 0 {
		start = int(b.ends[i-1])
	}
	if binary.BigEndian.Uint32(b.data[start:]) == null {
		return nil
	}
	return b.data[start+4 : b.ends[i] : b.ends[i]]
}

// Null reports whether a cell is NULL.
func (b *Batch) Null(row, column int) bool { return b.Cell(row, column) == nil }

// Row returns one row as its run of framed cells, valid until the batch is changed. Equal rows have equal runs.
func (b *Batch) Row(row int) []byte {
	start := 0
	if row > 0 {
		start = int(b.ends[row*b.width-1])
	}
	end := b.ends[(row+1)*b.width-1]
	return b.data[start:end:end]
}

// AppendRow adds one row from a run of framed cells, as Row returns it. A run that is cut short, or that has not the
// batch's width, is an error and leaves the batch as it was.
func (b *Batch) AppendRow(run []byte) error {
	before, rest := b.Len(), run
	for range b.width {
		cell, tail, err := cutCell(rest)
		if err != nil {
			b.Truncate(before)
			return err
		}
		if cell == nil {
			b.AppendNull()
		} else {
			b.Append(cell)
		}
		rest = tail
	}
	if len(rest) > 0 {
		b.Truncate(before)
		return fmt.Errorf("row: %d bytes after %d cells", len(rest), b.width)
	}
	return nil
}

// AppendKey appends to dst the run of the named cells of one row: the key of the row, as bytes.
func (b *Batch) AppendKey(dst []byte, row int, columns []int) []byte {
	for _, c := range columns {
		i := row*b.width + c
		start := 0
		if i > 0 {
			start = int(b.ends[i-1])
		}
		dst = append(dst, b.data[start:b.ends[i]]...)
	}
	return dst
}

func cutCell(run []byte) (cell, rest []byte, err error) {
	if len(run) < 4 {
		return nil, nil, fmt.Errorf("row: %d bytes where a cell begins", len(run))
	}
	n := binary.BigEndian.Uint32(run)
	if n == null {
		return nil, run[4:], nil
	}
	if uint64(n) > uint64(len(run)-4) {
		return nil, nil, fmt.Errorf("row: cell of %d bytes with %d left", n, len(run)-4)
	}
	end := 4 + int(n)
	return run[4:end:end], run[end:], nil
}
