package postgres

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// wire is how a column's values look in COPY's binary format: what the receive function of its type takes. A server stores
// a value that comes so without parsing text.
type wire uint8

const (
	noWire       wire = iota // nothing here writes the type: a table with such a column is loaded as text
	boolWire                 // one byte
	int2Wire                 // big endian, as all that follows
	int4Wire                 //
	int8Wire                 //
	oidWire                  // 32 bits without a sign
	numericWire              // digits to the base of 10,000
	float4Wire               //
	float8Wire               //
	textWire                 // the cell's own bytes, of text and of bytea
	jsonbWire                // a version, and the text
	dateWire                 // days since 2000-01-01
	timeWire                 // microseconds
	momentWire               // microseconds since 2000-01-01, of both timestamps
	durationWire             // microseconds, days, months
	uuidWire                 // 16 bytes
	bitsWire                 // a length, and the bits from the left
)

// wires are the built-in types that have a binary form here, with the kinds of cells that it is made from. Any cell goes
// into text and bytea.
var wires = map[string]struct {
	wire  wire
	cells []row.Kind
}{
	"boolean":                     {boolWire, []row.Kind{row.Bool}},
	"smallint":                    {int2Wire, []row.Kind{row.Int}},
	"integer":                     {int4Wire, []row.Kind{row.Int}},
	"bigint":                      {int8Wire, []row.Kind{row.Int}},
	"oid":                         {oidWire, []row.Kind{row.Int}},
	"numeric":                     {numericWire, []row.Kind{row.Decimal, row.Int}},
	"real":                        {float4Wire, []row.Kind{row.Float32, row.Float64}},
	"double precision":            {float8Wire, []row.Kind{row.Float32, row.Float64}},
	"text":                        {textWire, row.Kinds()},
	"character varying":           {textWire, row.Kinds()},
	"bpchar":                      {textWire, row.Kinds()},
	"bytea":                       {textWire, row.Kinds()},
	"json":                        {textWire, []row.Kind{row.JSON, row.Text}},
	"jsonb":                       {jsonbWire, []row.Kind{row.JSON, row.Text}},
	"date":                        {dateWire, []row.Kind{row.Date}},
	"time without time zone":      {timeWire, []row.Kind{row.Time}},
	"timestamp without time zone": {momentWire, []row.Kind{row.Timestamp}},
	"timestamp with time zone":    {momentWire, []row.Kind{row.Instant}},
	"interval":                    {durationWire, []row.Kind{row.Duration}},
	"uuid":                        {uuidWire, []row.Kind{row.UUID}},
	`"bit"`:                       {bitsWire, []row.Kind{row.Bits}},
	"bit varying":                 {bitsWire, []row.Kind{row.Bits}},
}

// wireOf says how the cells of a column become its binary form.
func wireOf(c schema.ShapeColumn) wire {
	w, known := wires[plain(c.Column.Type.Raw)]
	_, _, given := modifiers(c.Column.Type.Raw)
	if !known || !slices.Contains(w.cells, c.Cell) || w.wire == durationWire && given {
		return noWire
	}
	return w.wire
}

// binaries reports whether every column has a binary form.
func binaries(all []codec) bool {
	return !slices.ContainsFunc(all, func(c codec) bool { return c.wire == noWire })
}

// COPY's binary stream begins with a signature, no flags and no extension, and ends with a row of -1 fields.
const (
	signature = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ending    = "\xff\xff"
)

// appendWire adds a cell as one field of COPY's binary format, its length before it. It returns false, and anything, for a
// cell that is not a value of the column's type: what a server would carry over, round or fold (the 30th of February, a
// 60th second) is not one.
func (c *codec) appendWire(dst, cell []byte) ([]byte, bool) {
	switch c.wire {
	case textWire, jsonbWire:
		return append(c.appendLength(dst, len(cell)), cell...), true
	case int2Wire, int4Wire, int8Wire, oidWire:
		return c.wire.appendInt(dst, cell)
	case numericWire:
		return appendNumeric(dst, cell)
	case dateWire:
		days, ok := parseDate(cell)
		return append32(dst, uint32(days)), ok
	case momentWire:
		micros, ok := parseMoment(cell)
		return append64(dst, uint64(micros)), ok
	case timeWire:
		micros, ok := parseClock(cell)
		return append64(dst, uint64(micros)), ok && micros <= dayMicros
	case durationWire:
		micros, ok := parseDuration(cell)
		dst = binary.BigEndian.AppendUint64(append(dst, 0, 0, 0, 16), uint64(micros))
		return append(dst, 0, 0, 0, 0, 0, 0, 0, 0), ok
	case boolWire:
		if len(cell) != 1 || cell[0]&^1 != '0' {
			return dst, false
		}
		return append(dst, 0, 0, 0, 1, cell[0]&1), true
	case float4Wire:
		f, err := strconv.ParseFloat(string(cell), 32)
		if f == 0 && bytes.ContainsAny(mantissa(cell), "123456789") {
			return dst, false // too small for the type: the server refuses such a text
		}
		return append32(dst, floatBits32(f)), err == nil
	case float8Wire:
		f, err := strconv.ParseFloat(string(cell), 64)
		return append64(dst, floatBits64(f)), err == nil
	case uuidWire:
		return appendUUID(dst, cell)
	case bitsWire:
		return appendBits(dst, cell)
	}
	return dst, false
}

// appendLength writes what stands before a text of so many bytes.
func (c *codec) appendLength(dst []byte, size int) []byte {
	if c.wire == jsonbWire {
		return append(binary.BigEndian.AppendUint32(dst, uint32(size+1)), jsonbVersion)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(size))
}

const jsonbVersion = 1

func append32(dst []byte, v uint32) []byte {
	return append(dst, 0, 0, 0, 4, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func append64(dst []byte, v uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0, 0, 0, 8), v)
}

func (w wire) appendInt(dst, cell []byte) ([]byte, bool) {
	v, ok := parseInt(cell)
	switch w {
	case int2Wire:
		return append(dst, 0, 0, 0, 2, byte(v>>8), byte(v)), ok && v == int64(int16(v))
	case int4Wire:
		return append32(dst, uint32(v)), ok && v == int64(int32(v))
	case oidWire:
		return append32(dst, uint32(v)), ok && v == int64(uint32(v))
	}
	return append64(dst, uint64(v)), ok
}

// parseInt reads decimal digits with an optional sign; false for anything else and for what 64 bits can not hold.
func parseInt(cell []byte) (int64, bool) {
	digits, negative := cell, false
	if len(cell) > 0 && cell[0] == '-' {
		digits, negative = cell[1:], true
	}
	if len(digits) == 0 {
		return 0, false
	}
	var v uint64
	for i, x := range digits {
		x -= '0'
		if x > 9 || i >= 19 && (v > math.MaxUint64/10 || v*10 > math.MaxUint64-uint64(x)) {
			return 0, false
		}
		v = v*10 + uint64(x)
	}
	if negative {
		return -int64(v), v <= 1<<63
	}
	return int64(v), v < 1<<63
}

// floatBits64 gives all NaN the one form that the server itself writes.
func floatBits64(f float64) uint64 {
	if math.IsNaN(f) {
		return 0x7ff8000000000000
	}
	return math.Float64bits(f)
}

func floatBits32(f float64) uint32 {
	if math.IsNaN(f) {
		return 0x7fc00000
	}
	return math.Float32bits(float32(f))
}

// The sign words of numeric.
const (
	positive  = 0x0000
	negative  = 0x4000
	notNumber = 0xc000
	infinite  = 0xd000
	minusInf  = 0xf000
)

// The most digits that numeric has before and after its point.
const (
	wholeDigits    = 131072
	fractionDigits = 16383
)

// appendNumeric writes a plain decimal number: the number of groups of four digits, the place of the first, the sign, the
// digits after the point, and the groups, none of them zero at either end.
func appendNumeric(dst, cell []byte) ([]byte, bool) {
	whole, sign := cell, uint16(positive)
	if len(cell) > 0 && cell[0] == '-' {
		whole, sign = cell[1:], negative
	}
	point := 0
	for point < len(whole) && whole[point]-'0' <= 9 {
		point++
	}
	var fraction []byte
	switch {
	case point == len(whole):
	case whole[point] == '.':
		whole, fraction = whole[:point], whole[point+1:]
	default:
		return appendNoNumber(dst, cell)
	}
	scale := len(fraction)
	if len(whole)+scale == 0 || len(whole) > wholeDigits || scale > fractionDigits {
		return dst, false
	}
	for len(whole) > 0 && whole[0] == '0' {
		whole = whole[1:]
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	weight := (len(whole)+3)/4 - 1
	ok := true
	if first := len(whole) % 4; first > 0 {
		dst, whole = appendGroup(dst, whole[:first], &ok), whole[first:]
	}
	for ; len(whole) > 0; whole = whole[4:] {
		dst = appendGroup(dst, whole[:4], &ok)
	}
	for ; len(fraction) >= 4; fraction = fraction[4:] {
		dst = appendGroup(dst, fraction[:4], &ok)
	}
	if len(fraction) > 0 {
		last := [4]byte{'0', '0', '0', '0'}
		copy(last[:], fraction)
		dst = appendGroup(dst, last[:], &ok)
	}
	return finishNumeric(dst, start, weight, sign, scale), ok
}

// appendGroup adds up to four digits as one group, and says where one is none.
func appendGroup(dst, digits []byte, ok *bool) []byte {
	v := uint16(0)
	for _, x := range digits {
		x -= '0'
		*ok = *ok && x <= 9
		v = v*10 + uint16(x)
	}
	return append(dst, byte(v>>8), byte(v))
}

// finishNumeric takes groups of zero away from both ends and writes the header, whose room begins at start.
func finishNumeric(dst []byte, start, weight int, sign uint16, scale int) []byte {
	const header = 12
	groups := dst[start+header:]
	for len(groups) > 0 && groups[len(groups)-1]|groups[len(groups)-2] == 0 {
		groups = groups[:len(groups)-2]
	}
	zeros := 0
	for zeros < len(groups) && groups[zeros]|groups[zeros+1] == 0 {
		zeros += 2
		weight--
	}
	if zeros > 0 {
		groups = groups[:copy(groups, groups[zeros:])]
	}
	if len(groups) == 0 {
		weight, sign = 0, positive
	}
	head := dst[start:start]
	head = binary.BigEndian.AppendUint32(head, uint32(header-4+len(groups)))
	head = binary.BigEndian.AppendUint16(head, uint16(len(groups)/2))
	head = binary.BigEndian.AppendUint16(head, uint16(weight))
	head = binary.BigEndian.AppendUint16(head, sign)
	binary.BigEndian.AppendUint16(head, uint16(scale))
	return dst[:start+header+len(groups)]
}

// appendNoNumber writes what numeric has beside numbers.
func appendNoNumber(dst, cell []byte) ([]byte, bool) {
	sign := uint16(0)
	switch string(cell) {
	case "NaN":
		sign = notNumber
	case "Infinity":
		sign = infinite
	case "-Infinity":
		sign = minusInf
	default:
		return dst, false
	}
	return append(dst, 0, 0, 0, 8, 0, 0, 0, 0, byte(sign>>8), byte(sign), 0, 0), true
}

func appendUUID(dst, cell []byte) ([]byte, bool) {
	if len(cell) != 36 || cell[8] != '-' || cell[13] != '-' || cell[18] != '-' || cell[23] != '-' {
		return dst, false
	}
	dst = append(dst, 0, 0, 0, 16)
	bad := byte(0)
	for i := 0; i < len(cell); i += 2 {
		if cell[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23) {
			i++
		}
		high, low := hexValue[cell[i]], hexValue[cell[i+1]]
		bad |= high | low
		dst = append(dst, high<<4|low&15)
	}
	return dst, bad < 16
}

// hexValue is the value of each hexadecimal digit, and 255 for any other byte.
var hexValue = func() (v [256]byte) {
	for i := range v {
		v[i] = 255
	}
	for i := range 10 {
		v['0'+i] = byte(i)
	}
	for i := range 6 {
		v['a'+i], v['A'+i] = byte(10+i), byte(10+i)
	}
	return v
}()

func appendBits(dst, cell []byte) ([]byte, bool) {
	size := (len(cell) + 7) / 8
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+size))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(cell)))
	for len(cell) > 0 {
		v := byte(0)
		some := cell[:min(8, len(cell))]
		for i, x := range some {
			if x != '0' && x != '1' {
				return dst, false
			}
			v |= (x & 1) << (7 - i)
		}
		dst, cell = append(dst, v), cell[len(some):]
	}
	return dst, true
}

// mantissa is what stands before a number's exponent.
func mantissa(cell []byte) []byte {
	before, _, _ := bytes.Cut(cell, []byte{'e'})
	return before
}
