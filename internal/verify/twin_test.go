package verify_test

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// sampled returns the different cells of a column.
func sampled(rows [][][]byte, column int) [][]byte {
	var cells [][]byte
	for _, r := range rows {
		if !slices.ContainsFunc(cells, func(c []byte) bool { return bytes.Equal(c, r[column]) && (c == nil) == (r[column] == nil) }) {
			cells = append(cells, r[column])
		}
	}
	return cells
}

// twins are cells of a type that are easily taken for this one: as near to it as the type has them, and one of the others.
func twins(typ schema.Type, cell []byte, others [][]byte) [][]byte {
	near := append(neighbours(typ, cell), nil) // NULL is nothing else
	for _, o := range others {
		if !bytes.Equal(o, cell) && o != nil {
			near = append(near, o)
			break
		}
	}
	if cell == nil && (typ.Kind == row.Text && len(typ.Values) == 0 || typ.Kind == row.Bytes) {
		near = append(near, []byte{}) // and nothing is not empty
	}
	var distinct [][]byte
	for _, n := range near {
		same := func(o []byte) bool { return bytes.Equal(o, n) && (o == nil) == (n == nil) }
		if !same(cell) && !slices.ContainsFunc(distinct, same) {
			distinct = append(distinct, n)
		}
	}
	return distinct
}

func neighbours(typ schema.Type, cell []byte) [][]byte {
	if cell == nil {
		return nil
	}
	text := string(cell)
	switch typ.Kind {
	case row.Bool:
		return [][]byte{{'0' + '1' - cell[0]}}
	case row.Int, row.Decimal:
		return [][]byte{towardsZero(text)}
	case row.Float32:
		f, err := strconv.ParseFloat(text, 32)
		if err != nil || f == 0 || math.Abs(f) < 1e-37 || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil
		}
		return [][]byte{row.AppendFloat(nil, float64(math.Nextafter32(float32(f), 0)), 32)}
	case row.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f == 0 || math.Abs(f) < 1e-307 || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil
		}
		return [][]byte{row.AppendFloat(nil, math.Nextafter(f, 0), 64)}
	case row.Text:
		return textTwins(typ, text)
	case row.Bytes:
		if len(cell) == 0 {
			return [][]byte{{0}}
		}
		bit := bytes.Clone(cell)
		bit[len(bit)/2] ^= 1
		return [][]byte{bit, cell[:len(cell)-1]}
	case row.Time, row.Timestamp, row.Instant:
		return instantTwins(typ, text)
	case row.UUID, row.Bits:
		last := bytes.Clone(cell)
		last[len(last)-1] = '0' + '1' - min(max(last[len(last)-1], '0'), '1')
		return [][]byte{last}
	}
	return nil
}

// towardsZero changes a number's last digit by one, so that it stays in its type's range.
func towardsZero(text string) []byte {
	cell := []byte(text)
	for i := len(cell) - 1; i >= 0; i-- {
		switch {
		case cell[i] > '0' && cell[i] <= '9':
			cell[i]--
			if number, whole := strings.CutPrefix(string(cell), "-"); whole && strings.Trim(number, "0.") == "" {
				return cell[1:]
			}
			return canonical(cell)
		case cell[i] == '0' && strings.Trim(text, "-0.") == "":
			cell[len(cell)-1] = '1'
			return cell
		case cell[i] != '0' && cell[i] != '.':
			return nil
		}
	}
	return nil
}

// canonical cuts the zeros before a number.
func canonical(cell []byte) []byte {
	sign := 0
	if cell[0] == '-' {
		sign = 1
	}
	for len(cell) > sign+1 && cell[sign] == '0' && cell[sign+1] != '.' {
		cell = slices.Delete(cell, sign, sign+1)
	}
	return cell
}

func textTwins(typ schema.Type, text string) [][]byte {
	if len(typ.Values) > 0 {
		return nil
	}
	var near [][]byte
	room := func(s string) bool { return typ.Length == 0 || int64(len([]rune(s))) <= typ.Length }
	for _, s := range []string{text + " ", text + "\u0301", strings.ToUpper(text), " " + text, strings.TrimRight(text, " ")} {
		blank := typ.Fixed && strings.HasSuffix(s, " ") // a column of fixed length has none at its end
		if s != text && room(s) && !blank {
			near = append(near, []byte(s))
		}
	}
	return near
}

// instantTwins are a microsecond away, where the column has microseconds.
func instantTwins(typ schema.Type, text string) [][]byte {
	if typ.Scale < 6 || text == "24:00:00" {
		return nil
	}
	head, fraction, _ := strings.Cut(text, ".")
	micros, _ := strconv.Atoi((fraction + "000000")[:6])
	if micros++; micros > 999_999 {
		micros -= 2
	}
	digits := strconv.Itoa(1_000_000 + micros)[1:]
	return [][]byte{row.AppendFraction(nil, []byte(head+"."+digits))}
}
