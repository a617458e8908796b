package transform

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// charset reads and writes text of one character set. Both append to dst; decode returns how many characters it had to put
// U+FFFD for, and encode false where a character has no bytes.
type charset struct {
	name string
	of   encoding.Encoding // nil for UTF-8 and CESU-8
}

// charsets by the names that releases use, without hyphens and underscores.
var charsets = map[string]encoding.Encoding{
	latin1:   charmap.Windows1252, // but for five bytes: see there
	"cp1252": charmap.Windows1252, "iso88591": charmap.ISO8859_1, "iso885915": charmap.ISO8859_15, "latin9": charmap.ISO8859_15,
	"iso88592": charmap.ISO8859_2, "latin2": charmap.ISO8859_2, "cp1250": charmap.Windows1250, "cp1251": charmap.Windows1251,
	"koi8r": charmap.KOI8R, "cp437": charmap.CodePage437, "cp850": charmap.CodePage850, "cp866": charmap.CodePage866,
	"cp037": charmap.CodePage037, "ebcdic037": charmap.CodePage037, "cp1047": charmap.CodePage1047, "ebcdic1047": charmap.CodePage1047,
	"cp1140": charmap.CodePage1140, "ebcdic1140": charmap.CodePage1140,
	"gbk": simplifiedchinese.GBK, "gb18030": simplifiedchinese.GB18030, "big5": traditionalchinese.Big5,
	"shiftjis": japanese.ShiftJIS, "sjis": japanese.ShiftJIS, "eucjp": japanese.EUCJP, "euckr": korean.EUCKR,
	"utf16le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "utf16be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	"utf8":  nil, "cesu8": nil,
}

func findCharset(name string) (charset, error) {
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
	of, known := charsets[plain]
	if !known {
		return charset{}, fmt.Errorf("%q is no character set that is known here", name)
	}
	return charset{plain, of}, nil
}

// decode appends text of these bytes, U+FFFD for each that is no character, and returns how many those are.
func (c charset) decode(dst, raw []byte) (text []byte, bad int) {
	switch {
	case c.name == "cesu8":
		return decodeCESU8(dst, raw)
	case c.of == nil:
		return decodeUTF8(dst, raw)
	case c.name == latin1:
		for _, b := range raw {
			r := charmap.Windows1252.DecodeByte(b)
			if r == utf8.RuneError {
				r = rune(b)
			}
			dst = utf8.AppendRune(dst, r)
		}
		return dst, 0
	}
	text, err := c.of.NewDecoder().Bytes(raw)
	if err != nil {
		return append(dst, string(utf8.RuneError)...), 1
	}
	for rest := text; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError {
			bad++
		}
		rest = rest[n:]
	}
	if bad > 0 { // a set of all characters holds U+FFFD itself
		if back, err := c.of.NewEncoder().Bytes(text); err == nil && bytes.Equal(back, raw) {
			bad = 0
		}
	}
	return append(dst, text...), bad
}

func decodeUTF8(dst, raw []byte) (text []byte, bad int) {
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 {
			bad++
		}
		dst = utf8.AppendRune(dst, r)
		raw = raw[n:]
	}
	return dst, bad
}

// decodeCESU8 is UTF-8 but for characters above U+FFFF, which are two halves of three bytes each (Unicode TR 26).
func decodeCESU8(dst, raw []byte) (text []byte, bad int) {
	half := func(b []byte, from byte) (rune, bool) {
		if len(b) < 3 || b[0] != 0xed || b[1] < from || b[1] > from|0x0f || b[2]&0xc0 != 0x80 {
			return 0, false
		}
		return rune(b[1]&0x0f)<<6 | rune(b[2]&0x3f), true
	}
	for len(raw) > 0 {
		if high, ok := half(raw, 0xa0); ok {
			if low, ok := half(raw[3:], 0xb0); ok {
				dst = utf8.AppendRune(dst, 0x10000+high<<10+low)
				raw = raw[6:]
				continue
			}
		}
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 || n == 4 {
			bad++
			r = utf8.RuneError
		}
		dst = utf8.AppendRune(dst, r)
		raw = raw[n:]
	}
	return dst, bad
}

// encode appends the bytes of a text; false where a character has none.
func (c charset) encode(dst, text []byte) ([]byte, bool) {
	switch {
	case c.name == "cesu8":
		return dst, false
	case c.of == nil:
		return append(dst, text...), true
	}
	if c.name == latin1 {
		return encodeLatin1(dst, text)
	}
	raw, err := c.of.NewEncoder().Bytes(text)
	return append(dst, raw...), err == nil
}

// latin1 is MariaDB's and MySQL's: cp1252, whose five bytes without a character stand for the control characters of their
// numbers, so that every byte is one.
const latin1 = "latin1"

func encodeLatin1(dst, text []byte) ([]byte, bool) {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		b, ok := charmap.Windows1252.EncodeRune(r)
		if !ok && r >= 0x80 && r < 0xa0 && charmap.Windows1252.DecodeByte(byte(r)) == utf8.RuneError {
			b, ok = byte(r), true
		}
		if !ok {
			return dst, false
		}
		dst, text = append(dst, b), text[n:]
	}
	return dst, true
}
