package mysql

import (
	"bytes"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

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
	case t.Kind == row.UUID && t.Charset == "":
		return uuids{}
	case t.Kind == row.Duration, t.Kind == row.Time:
		return clocked{}
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

// uuids is MariaDB's uuid type. It orders identifiers of versions 1 to 5 by their segments from the last to the first, so
// that those made one after the other on one host lie side by side, and the others as they are written.
type uuids struct{}

func (uuids) middle(low, high []byte) ([]byte, bool) {
	if len(low) != 36 || len(high) != 36 {
		return nil, false
	}
	swapped := low[14] >= '1' && low[14] <= '5'
	a, ok := new(big.Int).SetString(segments(low, swapped), 16)
	b, ok2 := new(big.Int).SetString(segments(high, swapped), 16)
	if !ok || !ok2 || a.Cmp(b) >= 0 {
		return nil, false
	}
	m := new(big.Int).Add(a, b)
	digits := m.Rsh(m, 1).FillBytes(make([]byte, 16))
	var id [16]byte
	copy(id[:], digits)
	if swapped {
		copy(id[10:], digits[:6])
		copy(id[8:], digits[6:8])
		copy(id[6:], digits[8:10])
		copy(id[4:], digits[10:12])
		copy(id[:4], digits[12:])
	}
	text := row.AppendUUID(nil, id)
	text[14], text[19] = low[14], low[19] // another version would have another order
	return text, !bytes.Equal(text, low) && !bytes.Equal(text, high)
}

func segments(id []byte, swapped bool) string {
	parts := strings.Split(string(id), "-")
	if swapped {
		slices.Reverse(parts)
	}
	return strings.Join(parts, "")
}

// clocked is times from -838:59:59 to 838:59:59, in microseconds.
type clocked struct{}

func (clocked) middle(low, high []byte) ([]byte, bool) {
	a, ok := microseconds(string(low))
	b, ok2 := microseconds(string(high))
	m := (a + b) >> 1
	if !ok || !ok2 || m <= a || m >= b {
		return nil, false
	}
	sign, left := "", m
	if m < 0 {
		sign, left = "-", -m
	}
	seconds := left / 1e6
	pair := func(n int64) string { return strconv.FormatInt(100+n, 10)[1:] }
	return []byte(sign + strconv.FormatInt(seconds/3600, 10) + ":" + pair(seconds/60%60) + ":" + pair(seconds%60) + "." +
		strconv.FormatInt(1000000+left%1e6, 10)[1:]), true
}

func microseconds(text string) (int64, bool) {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	parts := strings.Split(whole, ":")
	n, err := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	if len(parts) != 3 || err != nil {
		return 0, false
	}
	for i, unit := range []int64{3600e6, 60e6, 1e6} {
		v, err := strconv.ParseInt(parts[i], 10, 64)
		if err != nil {
			return 0, false
		}
		n += v * unit
	}
	if text[0] == '-' {
		n = -n
	}
	return n, true
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

// foldIn takes marks off letters first. What is no ASCII then stands after it, by its number.
func foldIn(b []byte) []byte {
	places := make([]byte, 0, len(b))
	for _, r := range string(norm.NFD.Bytes(bytes.ToLower(b))) {
		if i := strings.IndexRune(folded, r); i >= 0 {
			places = append(places, byte(i*3+1))
		} else if !unicode.Is(unicode.Mn, r) {
			places = append(places, 250, byte(r>>14)&127, byte(r>>7)&127, byte(r)&127)
		}
	}
	return places
}

func foldOut(b []byte) []byte {
	text := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] < 250 {
			text = append(text, folded[min(int(b[i])/3, len(folded)-1)])
			continue
		}
		rest := pad(b[i+1:min(i+4, len(b))], 3)
		text = utf8.AppendRune(text, rune(rest[0]&127)<<14|rune(rest[1]&127)<<7|rune(rest[2]&127))
		i += 3
	}
	return text
}
