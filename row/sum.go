package row

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// Sum stands for a set of rows: how many, and the sum of their hashes modulo 2^128. It does not depend on their order,
// counts duplicates, and sums of parts add up to the sum of the whole. Two sets with equal sums are taken as equal: with
// a seed that nobody could choose the rows by, a false match has a chance of about 2^-128.
// Addition and not exclusive-or, because equal pairs would cancel (docs/encoding.md).
type Sum struct {
	Rows   uint64 `json:"rows"`
	Hi, Lo uint64
}

// Seed keys the hash of one run; both sides of a comparison use the same one.
type Seed uint64

// Hash returns the 128-bit hash of one row's run of framed cells.
func (s Seed) Hash(run []byte) (hi, lo uint64) {
	h := xxh3.Hash128Seed(run, uint64(s))
	return h.Hi, h.Lo
}

// Digest returns Hash as 16 bytes, big endian: the fixed-size name of a key in a ledger's lists.
func (s Seed) Digest(run []byte) [16]byte {
	hi, lo := s.Hash(run)
	var d [16]byte
	binary.BigEndian.PutUint64(d[:8], hi)
	binary.BigEndian.PutUint64(d[8:], lo)
	return d
}

// AddRow adds one row's run of framed cells.
func (s *Sum) AddRow(seed Seed, run []byte) {
	hi, lo := seed.Hash(run)
	s.add(1, hi, lo)
}

// Add adds the rows of another sum.
func (s *Sum) Add(o Sum) { s.add(o.Rows, o.Hi, o.Lo) }

// AddBatch adds every row of a batch.
func (s *Sum) AddBatch(seed Seed, b *Batch) {
	for i := range b.Len() {
		s.AddRow(seed, b.Row(i))
	}
}

func (s *Sum) add(rows, hi, lo uint64) {
	var carry uint64
	s.Rows += rows
	s.Lo, carry = bits.Add64(s.Lo, lo, 0)
	s.Hi, _ = bits.Add64(s.Hi, hi, carry)
}

// String gives the rows and the sum in hexadecimal, as certificates and reports show it.
func (s Sum) String() string { return fmt.Sprintf("%d rows %016x%016x", s.Rows, s.Hi, s.Lo) }
