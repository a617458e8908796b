package mysql

import (
	"bytes"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// space is the space of a column's values, for halving: only guesses come from it, which the server orders.
type space interface {
	// middle returns a value between two, and false when there is none but them.
	middle(low, high []byte) ([]byte, bool)
}

func spaceOf(t schema.Type) space {
	switch {
	case len(t.Values) > 0:
		return listed{t.Values}
	case t.Kind == row.Int, t.Kind == row.Bool:
		return scaled(0)
	case t.Kind == row.Decimal:
		return scaled(t.Scale)
	case t.Kind == row.Date:
		return dated{"2006-01-02", 24 * time.Hour}
	case t.Kind == row.Timestamp, t.Kind == row.Instant:
		return dated{"2006-01-02 15:04:05.999999", time.Microsecond}
	case t.Kind == row.Bits:
		return bits{}
	case t.Kind == row.Bytes:
		return encoded{raw, raw}
	case t.Kind == row.UUID || t.Charset == "" && t.Kind == row.Other:
		return encoded{hexIn, hexOut}
	case t.Charset != "" && (t.Binary || strings.HasSuffix(t.Collation, "_bin")):
		return encoded{asciiIn, asciiOut}
	case t.Charset != "":
		return encoded{foldIn, foldOut}
	}
	return none{}
}

type none struct{}

func (none) middle(low, high []byte) ([]byte, bool) { return nil, false }

// scaled is numbers with so many digits after the point.
type scaled int

func (s scaled) middle(low, high []byte) ([]byte, bool) {
	a, ok := s.parse(low)
	b, ok2 := s.parse(high)
	if !ok || !ok2 {
		return nil, false
	}
	m := new(big.Int).Add(a, b)
	m.Rsh(m, 1) // towards minus infinity
	if m.Cmp(a) <= 0 || m.Cmp(b) >= 0 {
		return nil, false
	}
	text := m.String()
	if s == 0 {
		return []byte(text), true
	}
	sign := ""
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	text = strings.Repeat("0", max(int(s)+1-len(text), 0)) + text
	return []byte(sign + text[:len(text)-int(s)] + "." + text[len(text)-int(s):]), true
}

func (s scaled) parse(cell []byte) (*big.Int, bool) {
	whole, fraction, _ := strings.Cut(string(cell), ".")
	if len(fraction) > int(s) {
		fraction = fraction[:s]
	}
	return new(big.Int).SetString(whole+fraction+strings.Repeat("0", int(s)-len(fraction)), 10)
}

// dated is points of time. Zero dates have no place in it: a stretch that begins with one begins with the year 1 instead.
type dated struct {
	layout string
	unit   time.Duration
}

func (d dated) middle(low, high []byte) ([]byte, bool) {
	a, b := d.parse(low), d.parse(high)
	// Seconds and the rest apart: all years do not fit one Duration.
	seconds := (a.Unix() + b.Unix()) >> 1
	nanos := (int64(a.Nanosecond()) + int64(b.Nanosecond())) / 2
	if (a.Unix()+b.Unix())&1 != 0 {
		nanos += int64(time.Second / 2)
	}
	m := time.Unix(seconds, nanos).UTC().Truncate(d.unit)
	if !m.After(a) || !m.Before(b) {
		return nil, false
	}
	return []byte(m.Format(d.layout)), true
}

func (d dated) parse(cell []byte) time.Time {
	text := string(cell)
	if t, err := time.ParseInLocation(d.layout, text, time.UTC); err == nil {
		return t
	}
	year, err := strconv.Atoi(text[:min(4, len(text))])
	if err != nil || year < 1 {
		year = 1
	}
	return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
}

// listed is the values of an enum, in the order of their numbers.
type listed struct{ values []string }

func (l listed) middle(low, high []byte) ([]byte, bool) {
	a, b := slices.Index(l.values, string(low)), slices.Index(l.values, string(high))
	if m := (a + b) / 2; m > a && m < b {
		return []byte(l.values[m]), true
	}
	return nil, false
}

// bits is numbers written in 0 and 1.
type bits struct{}

func (bits) middle(low, high []byte) ([]byte, bool) {
	a, ok := new(big.Int).SetString(string(low), 2)
	b, ok2 := new(big.Int).SetString(string(high), 2)
	if !ok || !ok2 {
		return nil, false
	}
	m := new(big.Int).Add(a, b)
	m.Rsh(m, 1)
	if m.Cmp(a) <= 0 || m.Cmp(b) >= 0 {
		return nil, false
	}
	text := m.Text(2)
	return []byte(strings.Repeat("0", max(len(low)-len(text), 0)) + text), true
}

// encoded is strings, taken as fractions to the base 256 of what in makes of them; out is its way back.
type encoded struct{ in, out func([]byte) []byte }

// places are the characters beyond those that both strings begin with.
const places = 12

func (e encoded) middle(low, high []byte) ([]byte, bool) {
	a, b := e.in(low), e.in(high)
	common := 0
	for common < len(a) && common < len(b) && a[common] == b[common] {
		common++
	}
	size := common + places
	x, y := new(big.Int).SetBytes(pad(a, size)), new(big.Int).SetBytes(pad(b, size))
	m := new(big.Int).Add(x, y)
	m.Rsh(m, 1)
	if m.Cmp(x) <= 0 || m.Cmp(y) >= 0 {
		return nil, false
	}
	text := e.out(bytes.TrimRight(m.FillBytes(make([]byte, size)), "\x00"))
	if bytes.Equal(text, low) || bytes.Equal(text, high) {
		return nil, false
	}
	return text, true
}

func pad(b []byte, size int) []byte {
	p := make([]byte, size)
	copy(p, b)
	return p
}

func raw(b []byte) []byte { return b }

// hexIn and hexOut take the digits of a UUID or an address for a number, and leave other characters out.
func hexIn(b []byte) []byte {
	var digits []byte
	for _, c := range b {
		if strings.IndexByte("0123456789abcdef", c|0x20) >= 0 && c != '-' {
			digits = append(digits, byte(strings.IndexByte("0123456789abcdef", c|0x20))*16)
		}
	}
	return digits
}

func hexOut(b []byte) []byte {
	var id [16]byte
	for i := range 32 {
		if i < len(b) {
			id[i/2] |= b[i] / 16 << (4 * (1 - i%2))
		}
	}
	return row.AppendUUID(nil, id)
}

// asciiIn and asciiOut are for texts in the order of their bytes: guesses are cut to ASCII, so that they are valid text.
func asciiIn(b []byte) []byte { return b }

func asciiOut(b []byte) []byte {
	text := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] < 0x80 {
			text = append(text, max(b[i], 1))
			i++
			continue
		}
		return append(text, bytes.ToValidUTF8(b[i:min(i+4, len(b))], []byte("\x7f"))...)
	}
	return text
}

// folded is the order in which most collations have ASCII: blanks, marks, digits, letters without case, and the rest.
const folded = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"

func foldIn(b []byte) []byte {
	places := make([]byte, 0, len(b))
	for _, c := range bytes.ToLower(b) {
		if i := strings.IndexByte(folded, c); i >= 0 {
			places = append(places, byte(i*3+1))
		} else {
			places = append(places, 250)
		}
	}
	return places
}

func foldOut(b []byte) []byte {
	text := make([]byte, len(b))
	for i, c := range b {
		if c >= 249 {
			text[i] = 'z'
			continue
		}
		text[i] = folded[min(int(c)/3, len(folded)-1)]
	}
	return text
}
