package row

import (
	"math"
	"strconv"
)

// The functions of this file write one cell's bytes in the canonical encoding. They append to dst and return it, so that
// a driver can write straight into a batch's arena (Batch.Begin, Batch.End). Those that can meet a value which the
// encoding does not hold also return false, and then dst as it was.

// AppendFraction appends a time or timestamp in ASCII and drops the zeros at the end of its fraction, and the point with
// them: "10:00:00.500000" becomes "10:00:00.5".
func AppendFraction(dst, src []byte) []byte {
	point := -1
	for i := len(src) - 1; i >= 0 && (src[i] == '.' || src[i] >= '0' && src[i] <= '9'); i-- {
		if src[i] == '.' {
			point = i
			break
		}
	}
	if point < 0 {
		return append(dst, src...)
	}
	end := len(src)
	for src[end-1] == '0' {
		end--
	}
	if end-1 == point {
		end--
	}
	return append(dst, src[:end]...)
}

// AppendDecimal appends a plain decimal number with exactly scale digits after the point: zeros are added or taken away,
// and false is returned if another digit would be lost or src is not a plain number. Zeros before the number go, one
// digit stays before the point: "007.50" becomes "7.50", ".5" becomes "0.5". A negative scale leaves the digits after the
// point as they are. NaN and the infinities pass. "-0.00" stays negative zero's text as the source wrote it.
func AppendDecimal(dst, src []byte, scale int) ([]byte, bool) {
	switch string(src) {
	case "NaN", "Infinity", "-Infinity":
		return append(dst, src...), true
	}
	whole, fraction, sign, ok := cutDecimal(src)
	if !ok {
		return dst, false
	}
	if scale < 0 {
		scale = len(fraction)
	}
	for len(fraction) > scale {
		if fraction[len(fraction)-1] != '0' {
			return dst, false
		}
		fraction = fraction[:len(fraction)-1]
	}
	dst = append(append(dst, sign...), whole...)
	if scale == 0 {
		return dst, true
	}
	dst = append(append(dst, '.'), fraction...)
	for range scale - len(fraction) {
		dst = append(dst, '0')
	}
	return dst, true
}

// cutDecimal cuts a plain number into its sign, the digits before the point without zeros in front, and those after it.
func cutDecimal(src []byte) (whole, fraction, sign []byte, ok bool) {
	if len(src) > 0 && src[0] == '-' {
		sign, src = src[:1], src[1:]
	}
	point := len(src)
	for i, c := range src {
		switch {
		case c == '.' && point == len(src):
			point = i
		case c < '0' || c > '9':
			return nil, nil, nil, false
		}
	}
	whole = src[:point]
	if point < len(src) {
		fraction = src[point+1:]
	}
	if len(whole)+len(fraction) == 0 {
		return nil, nil, nil, false
	}
	for len(whole) > 1 && whole[0] == '0' {
		whole = whole[1:]
	}
	if len(whole) == 0 {
		whole = zero
	}
	return whole, fraction, sign, true
}

var zero = []byte{'0'}

// AppendFloat appends the shortest text that reads back as the same float of 32 or 64 bits, in Go's 'g' format with the
// exponent as Go writes it; NaN, Infinity and -Infinity by these words.
func AppendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// AppendUUID appends 16 bytes as the 36 characters of a UUID in lower case.
func AppendUUID(dst []byte, id [16]byte) []byte {
	const hex = "0123456789abcdef"
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[b>>4], hex[b&15])
	}
	return dst
}

// AppendBits appends the last n bits of a big-endian number as characters 0 and 1.
func AppendBits(dst, src []byte, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		at := len(src) - 1 - i/8
		if at >= 0 && src[at]>>(i%8)&1 == 1 {
			dst = append(dst, '1')
		} else {
			dst = append(dst, '0')
		}
	}
	return dst
}

// ParseBits appends the bytes of a string of characters 0 and 1, big endian, right-aligned; false for another character.
func ParseBits(dst, cell []byte) ([]byte, bool) {
	n := (len(cell) + 7) / 8
	start := len(dst)
	for range n {
		dst = append(dst, 0)
	}
	for i, c := range cell {
		if c != '0' && c != '1' {
			return dst[:start], false
		}
		if c == '1' {
			place := len(cell) - 1 - i
			dst[start+n-1-place/8] |= 1 << (place % 8)
		}
	}
	return dst, true
}
