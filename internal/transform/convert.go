package transform

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// conversion appends the cell that is made of another one, which is not NULL.
type conversion func(dst, cell []byte, to schema.ShapeColumn) ([]byte, error)

// conversionOf returns how cells of one type become those of another, nil where they are the same bytes; false where an
// expression must say it.
func conversionOf(from, to schema.Type) (conversion, bool) {
	have, want := naturalKind(from), to.Kind
	switch {
	case have == want && want != row.Decimal && want != row.Time && want != row.Timestamp && want != row.Instant,
		have == row.Float32 && want == row.Float64, // 0.1 stays 0.1
		have == row.Bool && want == row.Int,
		want == row.Text && have != row.Bytes,
		have == row.JSON && want == row.Text:
		return nil, true
	case want == row.Decimal && (have == row.Decimal || have == row.Int || have == row.Text),
		want == row.Int && (have == row.Text || have == row.Decimal),
		want == row.Bool && (have == row.Int || have == row.Text),
		(want == row.Float64 || want == row.Float32) && (have == row.Int || have == row.Text || have == row.Decimal),
		want == row.Date && (have == row.Text || have == row.Timestamp),
		want == row.Timestamp && (have == row.Timestamp || have == row.Text || have == row.Date || have == row.Instant),
		want == row.Instant && (have == row.Instant || have == row.Text || have == row.Timestamp),
		want == row.Time && (have == row.Time || have == row.Text),
		want == row.UUID && have == row.Text,
		want == row.JSON && have == row.Text,
		want == row.Bytes && have == row.Text:
		return canonical, true
	}
	return nil, false
}

// canonical appends a text as the cell of a column, where it is one.
func canonical(dst, text []byte, to schema.ShapeColumn) ([]byte, error) {
	var ok bool
	switch to.Cell {
	case row.Bool:
		if ok = string(text) == "0" || string(text) == "1"; ok {
			dst = append(dst, text...)
		}
	case row.Int:
		dst, ok = appendInt(dst, text)
	case row.Decimal:
		dst, ok = row.AppendDecimal(dst, text, to.Scale)
	case row.Float32, row.Float64:
		bits := map[row.Kind]int{row.Float32: 32, row.Float64: 64}[to.Cell]
		f, bad := strconv.ParseFloat(string(text), bits)
		if ok = bad == nil; ok {
			dst = row.AppendFloat(dst, f, bits)
		}
	case row.Date, row.Time, row.Timestamp, row.Instant:
		dst, ok = appendMoment(dst, text, to)
	case row.UUID:
		dst, ok = appendUUID(dst, text)
	default:
		return append(dst, text...), nil
	}
	if !ok {
		return dst, fmt.Errorf("is no %s as the column holds it", to.Cell)
	}
	return dst, nil
}

// appendInt appends digits without what has no place in an int: zeros before them, a point with zeros behind it.
func appendInt(dst, text []byte) ([]byte, bool) {
	start := len(dst)
	dst, ok := row.AppendDecimal(dst, text, 0)
	if !ok || bytes.ContainsAny(dst[start:], "Ny") { // NaN, Infinity
		return dst[:start], false
	}
	if string(dst[start:]) == "-0" {
		dst = append(dst[:start], '0')
	}
	return dst, true
}

// The forms of dates and times in cells.
var layouts = map[row.Kind]string{
	row.Date: "2006-01-02", row.Time: "15:04:05", row.Timestamp: "2006-01-02 15:04:05", row.Instant: "2006-01-02 15:04:05",
}

// appendMoment appends a date or a time. A timestamp at midnight is a date, and a date a timestamp at midnight.
func appendMoment(dst, text []byte, to schema.ShapeColumn) ([]byte, bool) {
	layout := layouts[to.Cell]
	plain := bytes.TrimSuffix(text, []byte(" 00:00:00"))
	if to.Cell == row.Date {
		text = plain
	} else if to.Cell != row.Time && len(plain) == len("2006-01-02") {
		text = append(bytes.Clone(plain), " 00:00:00"...)
	}
	start := len(dst)
	dst = append(dst, text...)
	if point := bytes.IndexByte(text, '.'); point >= 0 && to.Cell != row.Date {
		dst = row.AppendFraction(dst[:start], text)
		if rest := dst[start:]; len(rest) > point && len(rest)-point-1 > to.Digits {
			return dst[:start], false
		}
	}
	if to.Cell == row.Time && string(dst[start:]) == "24:00:00" {
		return dst, true
	}
	moment, err := time.Parse(layout, string(dst[start:]))
	if err != nil || moment.Year() < 1 && to.Cell != row.Time || len(dst)-start < len(layout) {
		return dst[:start], false
	}
	return dst, true
}

func appendUUID(dst, text []byte) ([]byte, bool) {
	if len(text) != 36 {
		return dst, false
	}
	for i, d := range bytes.ToLower(text) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		digit := d >= '0' && d <= '9' || d >= 'a' && d <= 'f'
		if hyphen != (d == '-') || !hyphen && !digit {
			return dst, false
		}
	}
	return append(dst, bytes.ToLower(text)...), true
}

// decoding reads text in a character set: of bytes, or of text that the source takes to be in another one.
func decoding(set charset, declared *charset) conversion {
	return func(dst, cell []byte, _ schema.ShapeColumn) ([]byte, error) {
		raw := cell
		if declared != nil {
			var ok bool
			if raw, ok = declared.encode(nil, cell); !ok {
				return dst, errors.New("holds a character that " + declared.name + ", in which it is declared, has not")
			}
		}
		out, bad := set.decode(dst, raw)
		if bad > 0 {
			return dst, errors.New("holds bytes that are no character of " + set.name)
		}
		return out, nil
	}
}

// appendValue appends the cell of an expression's value, which is not nil.
func appendValue(dst []byte, value any, to schema.ShapeColumn) ([]byte, error) {
	var text []byte
	switch v := value.(type) {
	case bool:
		text = []byte{'0'}
		if v {
			text[0] = '1'
		}
	case int:
		text = strconv.AppendInt(nil, int64(v), 10)
	case float64:
		text = row.AppendFloat(nil, v, 64)
	case string:
		text = []byte(v)
	case []byte:
		text = v
	case Decimal:
		scale := -1
		if to.Cell == row.Decimal {
			scale = to.Scale
		}
		plain, fits := v.fixed(scale)
		if !fits {
			return dst, fmt.Errorf("has more digits after the point than the column's %d; rounded(x, %[1]d) says that they may go", to.Scale)
		}
		if text = []byte(plain); valueType(to.Cell) == floatType {
			nearest, _ := v.r.Float64()
			text = row.AppendFloat(nil, nearest, 64)
		}
	default:
		return dst, fmt.Errorf("is %T, which no column holds", value)
	}
	if !holds(value, to.Cell) {
		return dst, fmt.Errorf("is %T, and the column holds %s", value, to.Cell)
	}
	return canonical(dst, text, to)
}

// holds reports whether a value of an expression can be one of the kind.
func holds(value any, k row.Kind) bool {
	want := valueType(k)
	switch value.(type) {
	case bool:
		return want == boolType
	case int:
		return want == intType || want == decimalType || want == floatType
	case float64:
		return want == floatType
	case []byte:
		return want == bytesType
	case Decimal:
		return want == decimalType || want == floatType
	}
	return want == textType
}
