package simulation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
)

// script is the list of decisions of one schedule: recorded while a seed draws them, or played from a file.
type script struct {
	words []uint32
	at    int
	rnd   *rand.Rand // nil: beyond the end every decision is 0
}

// longest is how many decisions are drawn: what comes after them is plain, so that every schedule ends.
const longest = 280

func drawn(seed uint64) *script { return &script{rnd: rand.New(rand.NewPCG(seed, 0x77686d))} }

func played(words []uint32) *script { return &script{words: words} }

// next is the next decision.
func (s *script) next() *decision {
	if s.at == len(s.words) && s.rnd != nil && s.at < longest {
		s.words = append(s.words, s.rnd.Uint32())
	}
	d := &decision{}
	if s.at < len(s.words) {
		d.word = s.words[s.at]
		d.state = uint64(d.word)
	}
	s.at++
	return d
}

// decision is one word, from which everything that belongs to one decision follows. All choices of word 0 are 0.
type decision struct {
	word  uint32
	state uint64
}

// of chooses a number below n.
func (d *decision) of(n int) int {
	if d.word == 0 || n <= 1 {
		return 0
	}
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) >> 1 % uint64(n))
}

// once is true in one of n cases, and never for word 0.
func (d *decision) once(n int) bool { return d.word != 0 && d.of(n) == 0 }

// kept is a schedule as a file keeps it.
type kept struct {
	Mutant  string // empty for the program as it is
	Trouble string // that the schedule is full of; empty for all kinds
	Words   []uint32
	Notes   string // for people
}

// String writes the file: notes, the mutant, and eight decisions a line.
func (k kept) String() string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(k.Notes, "\n") + "\n") {
		b.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
	}
	if k.Mutant != "" {
		fmt.Fprintf(&b, "mutant %s\n", k.Mutant)
	}
	if k.Trouble != "" {
		fmt.Fprintf(&b, "trouble %s\n", k.Trouble)
	}
	for i, w := range k.Words {
		end := byte(' ')
		if i%8 == 7 || i == len(k.Words)-1 {
			end = '\n'
		}
		b.WriteString(strconv.FormatUint(uint64(w), 10))
		b.WriteByte(end)
	}
	return b.String()
}

// read reads a file that String wrote.
func read(path string) (k kept, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return k, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "mutant "); ok {
			k.Mutant = name
			continue
		}
		if kind, ok := strings.CutPrefix(line, "trouble "); ok {
			k.Trouble = kind
			continue
		}
		for _, word := range strings.Fields(line) {
			n, err := strconv.ParseUint(word, 10, 32)
			if err != nil {
				return k, fmt.Errorf("read %s: %w", path, err)
			}
			k.Words = append(k.Words, uint32(n))
		}
	}
	return k, nil
}
