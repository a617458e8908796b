package sqlite

import (
	"bytes"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/whimbrel/whimbrel/row"
)

// appendTime appends a date or time that is stored as text in one of the forms of SQLite's own date functions
// (https://sqlite.org/lang_datefunc.html#tmval): T or a blank between date and time, no seconds, no time at all, a zone at
// the end, which they and we bring to UTC. A key must be in the one canonical form, since its cell has to find the row
// again. A number (seconds since 1970, a Julian day) does not say which it is and is refused.
func (c *column) appendTime(dst []byte, v *value) ([]byte, string) {
	if v.class != sqlite3.TEXT {
		return dst, isNoDate
	}
	out, why := c.timeCell(dst, v.b)
	if why != "" {
		return dst, why
	}
	if c.key && !bytes.Equal(out[len(dst):], v.b) {
		return dst, isOtherText
	}
	return out, ""
}

func (c *column) timeCell(dst, src []byte) ([]byte, string) {
	start := len(dst)
	switch c.cell {
	case row.Duration:
		if !duration(src) {
			return dst, isNoDate
		}
		dst = row.AppendFraction(dst, src)
	case row.Time:
		hours, rest, ok := clock(src)
		if !ok || len(rest) > 0 {
			return dst, isNoDate
		}
		dst = appendClock(dst, hours)
	default:
		return c.dateCell(dst, src)
	}
	return c.checkDigits(dst, start)
}

func (c *column) dateCell(dst, src []byte) ([]byte, string) {
	start := len(dst)
	day, rest, why := calendar(src)
	if why == isZeroDate && !c.lenient {
		return append(dst, src...), "" // as it is: between two SQLite files it may travel
	}
	if why != "" {
		return dst, why
	}
	if len(rest) > 0 && (rest[0] == ' ' || rest[0] == 'T') {
		rest = rest[1:]
	} else if len(rest) > 0 {
		return dst, isNoDate
	}
	if c.cell == row.Date && len(rest) == 0 {
		return append(dst, day...), ""
	}
	hours, zone, ok := midnight, rest, true
	if len(rest) > 0 {
		hours, zone, ok = clock(rest)
	}
	if !ok {
		return dst, isNoDate
	}
	if c.cell == row.Date {
		if len(zone) > 0 || !zeros(hours) {
			return dst, isNoDate
		}
		return append(dst, day...), ""
	}
	dst = append(append(dst, day...), ' ')
	dst = appendClock(dst, hours)
	if offset, ok := zoneOffset(zone); !ok {
		return dst[:start], isNoDate
	} else if offset != 0 {
		dst = shift(dst[:start], dst[start:], offset)
	}
	return c.checkDigits(dst, start)
}

var midnight = []byte("00:00:00")

// zeros reports a clock that shows nothing but zeros.
func zeros(hours []byte) bool {
	for _, d := range hours {
		if d >= '1' && d <= '9' {
			return false
		}
	}
	return true
}

// checkDigits refuses more digits of the second than the column's shape lets travel.
func (c *column) checkDigits(dst []byte, start int) ([]byte, string) {
	point := bytes.IndexByte(dst[start:], '.')
	if point >= 0 && len(dst)-start-point-1 > c.digits {
		return dst[:start], isTooFineSec
	}
	return dst, ""
}

// appendClock appends HH:MM:SS with the zeros at the end of its fraction dropped; seconds that are not there are 00.
func appendClock(dst, hours []byte) []byte {
	if len(hours) == 5 {
		return append(append(dst, hours...), ":00"...)
	}
	return row.AppendFraction(dst, hours)
}

// calendar cuts YYYY-MM-DD, a year of four digits or more, from the start of src.
func calendar(src []byte) (day, rest []byte, why string) {
	y := 0
	for y < len(src) && digit(src[y]) {
		y++
	}
	if y < 4 || len(src) < y+6 || src[y] != '-' || src[y+3] != '-' || !two(src[y+1:]) || !two(src[y+4:]) {
		return nil, nil, isNoDate
	}
	month, dayOf := pair(src[y+1:]), pair(src[y+4:])
	if month == 0 || dayOf == 0 || len(bytes.Trim(src[:y], "0")) == 0 {
		return nil, nil, isZeroDate
	}
	if month > 12 || dayOf > 31 {
		return nil, nil, isNoDate
	}
	return src[:y+6], src[y+6:], ""
}

// clock cuts HH:MM[:SS[.FFF]] from the start of src; 24:00:00 is the end of a day.
func clock(src []byte) (hours, rest []byte, ok bool) {
	if len(src) < 5 || !two(src) || src[2] != ':' || !two(src[3:]) || pair(src) > 24 || pair(src[3:]) > 59 {
		return nil, nil, false
	}
	end := 5
	if len(src) >= 8 && src[5] == ':' && two(src[6:]) && pair(src[6:]) <= 59 {
		end = 8
		if len(src) > 9 && src[8] == '.' && digit(src[9]) {
			for end = 9; end < len(src) && digit(src[end]); end++ {
			}
		}
	}
	if pair(src) == 24 && !zeros(src[2:end]) {
		return nil, nil, false
	}
	return src[:end], src[end:], true
}

// zoneOffset reads "", "Z" or "+HH:MM", with blanks before it, as minutes east of UTC.
func zoneOffset(zone []byte) (minutes int, ok bool) {
	zone = bytes.TrimLeft(zone, " ")
	switch {
	case len(zone) == 0, len(zone) == 1 && (zone[0] == 'Z' || zone[0] == 'z'):
		return 0, true
	case len(zone) != 6 || zone[0] != '+' && zone[0] != '-' || !two(zone[1:]) || zone[3] != ':' || !two(zone[4:]):
		return 0, false
	}
	minutes = pair(zone[1:])*60 + pair(zone[4:])
	if zone[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

// shift appends stamp, which may stand in dst's own memory, brought to UTC.
func shift(dst, stamp []byte, minutes int) []byte {
	const layout = "2006-01-02 15:04:05"
	fraction := ""
	if i := bytes.IndexByte(stamp, '.'); i >= 0 {
		fraction, stamp = string(stamp[i:]), stamp[:i]
	}
	t, err := time.Parse(layout, string(stamp))
	if err != nil {
		return append(append(dst, stamp...), fraction...) // a year beyond 9999 or 24:00: left as it is
	}
	return append(t.Add(-time.Duration(minutes)*time.Minute).AppendFormat(dst, layout), fraction...)
}

// duration reports [-]H…H:MM:SS[.F].
func duration(src []byte) bool {
	if len(src) > 0 && src[0] == '-' {
		src = src[1:]
	}
	h := bytes.IndexByte(src, ':')
	if h < 1 || len(bytes.Trim(src[:h], "0123456789")) > 0 || len(src) < h+6 {
		return false
	}
	tail := src[h+1:]
	if !two(tail) || tail[2] != ':' || !two(tail[3:]) || pair(tail) > 59 || pair(tail[3:]) > 59 {
		return false
	}
	tail = tail[5:]
	return len(tail) == 0 || tail[0] == '.' && len(tail) > 1 && len(bytes.Trim(tail[1:], "0123456789")) == 0
}

func digit(b byte) bool { return b >= '0' && b <= '9' }
func two(b []byte) bool { return len(b) >= 2 && digit(b[0]) && digit(b[1]) }
func pair(b []byte) int { return int(b[0]-'0')*10 + int(b[1]-'0') }
