// Package plain writes what others have named or said for people: whatever names, values and servers' sentences hold, it stays
// where it is written, and looks like what it is.
package plain

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Writer passes text on as Text gives it. A character that two calls cut in two is written as bytes that are no text.
type Writer struct{ To io.Writer }

// Write passes text on.
func (w Writer) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.To, Text(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Text writes characters that would move the cursor, turn the direction of writing or not be seen as \u202e, which stands for
// the same in JSON, and bytes that are no text as \xff. Line ends and tabs stay. Again: the same.
func Text(text string) string {
	strange := false
	for _, r := range text {
		strange = strange || !ordinary(r)
	}
	if !strange {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case ordinary(r):
			b.WriteString(text[:n])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[n:]
	}
	return b.String()
}

// Line is Text for a place where a line end or a tab would begin something else: they are written as \n and \t.
func Line(text string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Text(text))
}

// Lines is a text of several lines of which all but the first are set in, so that none of them looks like a line of ours.
func Lines(text string) string { return strings.ReplaceAll(text, "\n", "\n    ") }

// ordinary reports whether a character can be seen and stays where it is written. U+FFFD also stands for bytes that are no text.
func ordinary(r rune) bool {
	if r == '\n' || r == '\t' || r >= ' ' && r < 0x7f {
		return true
	}
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) { // formats, and is seen, as the signs of Arabic numbers are
		return true
	}
	return r != utf8.RuneError && !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
