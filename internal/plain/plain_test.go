package plain

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatMovesTheCursorIsWritten(t *testing.T) {
	for _, c := range []struct{ in, text, line string }{
		{"order", "order", "order"},
		{"naïve 日本 🦜", "naïve 日本 🦜", "naïve 日本 🦜"},
		{"a\nwhimbrel: done", "a\nwhimbrel: done", `a\nwhimbrel: done`},
		{"a\tb", "a\tb", `a\tb`},
		{"\x1b[2J\rgone", `\u001b[2J\u000dgone`, `\u001b[2J\u000dgone`},
		{"\u009b31m", `\u009b31m`, `\u009b31m`},
		{"evil\u202ecod.exe", `evil\u202ecod.exe`, `evil\u202ecod.exe`},
		{"zero\u200bwidth", `zero\u200bwidth`, `zero\u200bwidth`},
		{"line\u2028end", `line\u2028end`, `line\u2028end`},
		{"a\u2066b\u2069\u061c", `a\u2066b\u2069\u061c`, `a\u2066b\u2069\u061c`},
		{"soft\u00adhyphen\u180e\ufeff", `soft\u00adhyphen\u180e\ufeff`, `soft\u00adhyphen\u180e\ufeff`},
		{"tag\U000e0041", `tag\udb40\udc41`, `tag\udb40\udc41`},
		{"no text \xff\xc0", `no text \xff\xc0`, `no text \xff\xc0`},
		{"\x7f\x00", `\u007f\u0000`, `\u007f\u0000`},
	} {
		if got := Text(c.in); got != c.text {
			t.Errorf("Text(%q) = %q, not %q", c.in, got, c.text)
		}
		if got := Line(c.in); got != c.line {
			t.Errorf("Line(%q) = %q, not %q", c.in, got, c.line)
		}
		var b bytes.Buffer
		if n, err := (Writer{&b}).Write([]byte(c.in)); n != len(c.in) || err != nil || b.String() != c.text {
			t.Errorf("Write(%q) wrote %q, %d, %v", c.in, b.String(), n, err)
		}
	}
	if got := Lines("a\nwhimbrel: b"); got != "a\n    whimbrel: b" {
		t.Errorf("Lines: %q", got)
	}
}

// TestEveryMarkIsWritten: the ranges in which characters are that turn the direction, have no width or no look, ends included, are all
// written out, and those on either side of them are not.
func TestEveryMarkIsWritten(t *testing.T) {
	for _, span := range [][2]rune{
		{0, 8},
		{11, 31},
		{0x7f, 0x9f},
		{0xad, 0xad},
		{0x34f, 0x34f},
		{0x61c, 0x61c},
		{0x115f, 0x1160},
		{0x17b4, 0x17b5},
		{0x180b, 0x180f},
		{0x200b, 0x200f},
		{0x2028, 0x202e},
		{0x2060, 0x206f},
		{0x3164, 0x3164},
		{0xfe00, 0xfe0f},
		{0xfeff, 0xfeff},
		{0xffa0, 0xffa0},
		{0xfff9, 0xfffb},
		{0xfffd, 0xfffd},
		{0x1bca0, 0x1bca3},
		{0x1d173, 0x1d17a},
		{0xe0000, 0xe0fff},
	} {
		for r := span[0]; r <= span[1]; r++ {
			if got := Text("a" + string(r) + "b"); strings.ContainsRune(got, r) {
				t.Errorf("%U is let through: %q", r, got)
			}
		}
	}
	for _, r := range []rune{'\t', '\n', ' ', '~', 0xa0, 0xac, 0xae, 0x600, 0x6dd, 0x200a, 0x2010, 0x2027, 0x202f, 0x205f, 0x2070, 0xfffc, 0x1f99c} {
		if text := "a" + string(r) + "b"; Text(text) != text {
			t.Errorf("%U is written as %q", r, Text(text))
		}
	}
}

// FuzzText: nothing that moves the cursor comes through, what is ordinary stays, and JSON stays JSON of the same meaning.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\x1b[31mb\r\n", "\u202e", "\xff\xfe", "\U000e0041", `"\n`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		for _, r := range got {
			if !ordinary(r) {
				t.Fatalf("%q lets %U through", s, r)
			}
		}
		if Text(got) != got || strings.ContainsAny(Line(s), "\n\t\r") {
			t.Fatalf("%q", s)
		}
		if !utf8.ValidString(s) {
			return
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal([]byte(Text(string(text))), &back); err != nil || back != s {
			t.Fatalf("%q became %q, %v", s, back, err)
		}
	})
}
