package postgres

import (
	"hash/maphash"

	"github.com/whimbrel/whimbrel/row"
)

// keySet finds the keys of a batch by their bytes. It allocates for the set and not for a key.
type keySet struct {
	keys  *row.Batch // its rows from first on are the set
	first int
	seed  maphash.Seed
	slots []int32 // places of keys, counted from 1; 0 where none is; never more than half full
}

// setOf returns the set of a batch's rows from first on, with room for that many in all.
func setOf(keys *row.Batch, first, room int) *keySet {
	size := 64
	for size < 2*room {
		size *= 2
	}
	s := &keySet{keys: keys, first: first, seed: maphash.MakeSeed(), slots: make([]int32, size)}
	for place := range keys.Len() - first {
		s.put(int32(place))
	}
	return s
}

// len is how many keys are in the set.
func (s *keySet) len() int { return s.keys.Len() - s.first }

// find returns the place of a key, counted from first, or -1.
func (s *keySet) find(run []byte) int { return int(s.slots[s.slot(run)]) - 1 }

// add appends a key to the batch unless it is there, and returns its place.
func (s *keySet) add(run []byte) (int, error) {
	if place := s.find(run); place >= 0 {
		return place, nil
	}
	place := s.len()
	if err := s.keys.AppendRow(run); err != nil {
		return 0, err
	}
	if 2*s.len() > len(s.slots) {
		grown := setOf(s.keys, s.first, len(s.slots))
		s.slots, s.seed = grown.slots, grown.seed
		return place, nil
	}
	s.put(int32(place))
	return place, nil
}

func (s *keySet) put(place int32) {
	s.slots[s.slot(s.keys.Row(s.first+int(place)))] = place + 1
}

// slot returns where a key is, or would be. A key that comes twice in a batch that was there before has one slot.
func (s *keySet) slot(run []byte) int {
	mask := len(s.slots) - 1
	for at := int(maphash.Bytes(s.seed, run)) & mask; ; at = (at + 1) & mask {
		place := s.slots[at]
		if place == 0 || string(s.keys.Row(s.first+int(place)-1)) == string(run) {
			return at
		}
	}
}
