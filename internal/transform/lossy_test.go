package transform

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/whimbrel/whimbrel/schema"
)

// golden are bytes of each character set with the text that they are, by tables of the sets; with � the bytes hold what is no
// character.
var golden = []struct{ set, raw, text string }{
	{"latin1", "Gr\xf6\xdfe \x80 \x81", "Größe € \u0081"}, // MariaDB's: every byte is a character
	{"cp1252", "\x93na\xefve\x94 \x80", "“naïve” €"},
	{"cp1252", "a\x81b", "a�b"},
	{"iso-8859-1", "Gr\xf6\xdfe \x80", "Größe \u0080"},
	{"iso-8859-2", "\xa3\xf3d\xbc", "Łódź"},
	{"iso-8859-15", "\xa4 \xbd", "€ œ"},
	{"cp1250", "\xa3\xf3d\x9f", "Łódź"},
	{"cp1251", "\xcf\xf0\xe8", "При"},
	{"cp1251", "\xcf\x98", "П�"},
	{"koi8-r", "\xf0\xd2\xc9", "При"},
	{"cp866", "\x8f\xe0\xa8", "При"},
	{"cp437", "M\x81ller \x9b \xe1", "Müller ¢ ß"},
	{"cp850", "M\x81ller \xb5", "Müller Á"},
	{"ebcdic-037", "\xc7\x99\xcc\x59\x85\x40\xba\xbb\x9f", "Größe []¤"},
	{"cp1047", "\xc7\x99\xcc\x59\x85\x40\xad\xbd", "Größe []"},
	{"ebcdic 1140", "\xf5\x40\x9f", "5 €"},
	{"gbk", "\xd6\xd0\xb9\xfa", "中国"},
	{"gbk", "\xd6\xd0\x81", "中�"},
	{"gb18030", "\xd6\xd0\x94\x39\xfc\x36", "中😀"},
	{"big5", "\xa4\xa4\xa4\xe5", "中文"},
	{"big5", "\xa4\xa4\xa4", "中�"},
	{"shift_jis", "\x93\xfa\x96\x7b\xb6\xc5", "日本ｶﾅ"},
	{"shift_jis", "\x93\xfa\x80x", "日\u0080x"},
	{"shift_jis", "\x93", "�"},
	{"euc-jp", "\xc6\xfc\xcb\xdc", "日本"},
	{"euc-kr", "\xc7\xd1\xb1\xdb", "한글"},
	{"euc-kr", "\xc7\xd1\xc7", "한�"},
	{"utf-16", "\xfe\xff\x00A\xd8\x3d\xde\x00", "A😀"},
	{"utf-16", "\xff\xfeA\x00", "A"},
	{"utf-16le", "A\x00\x3d\xd8\x00\xde", "A😀"},
	{"utf-16be", "\x00A\xd8\x3d", "A�"},
	{"utf-16le", "A\x00B", "A�"},
	{"cesu-8", "a\xed\xa0\xbd\xed\xb8\x80b", "a😀b"},
	{"cesu-8", "\xed\xa0\xbdx", "���x"},
	{"utf-8", "Gr\xc3\xb6\xdfe", "Grö�e"},
	{"utf-8", "�", "�"}, // is itself a character, and nothing is lost
}

// TestGoldenCharsets: each set reads what it should, stops at what is no character, and replaces it where the rule says so.
func TestGoldenCharsets(t *testing.T) {
	for _, test := range golden {
		set, err := findCharset(test.set)
		if err != nil {
			t.Fatal(err)
		}
		lost := strings.Contains(test.text, "�") && test.raw != test.text
		text, strict := decoding(set, nil)(nil, []byte(test.raw), schema.ShapeColumn{})
		if (strict != nil) != lost || !lost && string(text) != test.text {
			t.Errorf("%s %q: %q, %v", test.set, test.raw, text, strict)
		}
		text, loose := lossily(set, nil)(nil, []byte(test.raw), schema.ShapeColumn{})
		if string(text) != test.text || (loose != nil) != lost {
			t.Errorf("%s %q, replacing: %q, %v; want %q", test.set, test.raw, text, loose, test.text)
		}
	}
}

// TestWronglyDeclaredSets: bytes of one set in a column that is declared to be in another one, as the source shows them.
func TestWronglyDeclaredSets(t *testing.T) {
	for _, declared := range []string{"latin1", "iso-8859-1", "cp437"} { // every byte is a character of these
		stored, err := findCharset(declared)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range golden {
			set, _ := findCharset(test.set)
			shown, bad := stored.decode(nil, []byte(test.raw))
			if bad > 0 {
				t.Fatalf("%s does not show %q", declared, test.raw)
			}
			text, err := lossily(set, &stored)(nil, shown, schema.ShapeColumn{})
			if string(text) != test.text || (err != nil) != (strings.Contains(test.text, "�") && test.raw != test.text) {
				t.Errorf("%s in %s, shown as %q: %q, %v; want %q", test.set, declared, shown, text, err, test.text)
			}
		}
	}
	// What the source shows can not be of the declared set everywhere: somebody has mended a part of it.
	utf8, _ := findCharset("utf8")
	latin1, _ := findCharset("latin1")
	text, err := lossily(utf8, &latin1)(nil, []byte("Ã¶ 日 Ã¤ ö"), schema.ShapeColumn{})
	if string(text) != "ö � ä �" || err == nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestAnyBytesAreRead: whatever a column holds becomes text, the same at each reading, and the same as without replacing where
// nothing is lost.
func TestAnyBytesAreRead(t *testing.T) {
	names := slices.Sorted(maps.Keys(charsets))
	rapid.Check(t, func(t *rapid.T) {
		set, _ := findCharset(rapid.SampledFrom(names).Draw(t, "set"))
		cell := rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "bytes")
		var declared *charset
		if name := rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "declared"); name != "" && name != "cesu8" {
			stored, _ := findCharset(name)
			shown, _ := stored.decode(nil, cell)
			declared, cell = &stored, append(shown, rapid.SampledFrom([]string{"", "日", "😀"}).Draw(t, "more")...)
		}
		text, lost := lossily(set, declared)([]byte("before"), cell, schema.ShapeColumn{})
		again, _ := lossily(set, declared)([]byte("before"), cell, schema.ShapeColumn{})
		strict, refused := decoding(set, declared)([]byte("before"), cell, schema.ShapeColumn{})
		switch {
		case !utf8.Valid(text) || string(again) != string(text):
			t.Fatalf("%q, then %q", text, again)
		case (lost == nil) != (refused == nil), lost == nil && string(strict) != string(text):
			t.Fatalf("%q, %v; without replacing %q, %v", text, lost, strict, refused)
		case lost != nil && !strings.Contains(string(text), "\ufffd"):
			t.Fatalf("%q has lost something, which does not show", text)
		}
	})
}

// TestReadingMistakes: each ends in one sentence with its place.
func TestReadingMistakes(t *testing.T) {
	for _, test := range []struct {
		rule Rule
		want string
	}{
		{Rule{Columns: []Column{{Name: "x", From: "name", Reading: Reading{Lossy: Replace}}}}, "r:2: column x: declared and lossy say something of charset"},
		{Rule{Columns: []Column{{Name: "x", From: "blob", Reading: Reading{Charset: "cp437", Lossy: "drop"}}}}, "r:2: column x: lossy is replace, or is left out"},
		{Rule{Columns: []Column{{Name: "x", Value: "name", Type: "text", Reading: Reading{Lossy: Replace}}}}, "r:2: column x: charset belongs to a column"},
		{Rule{Reading: Reading{Charset: "klingon", Stored: "latin1"}}, `"klingon" is no character set`},
		{Rule{Reading: Reading{Stored: "latin1"}}, "r:1: declared and lossy say something of charset"},
		{Rule{Drop: []string{"blob"}, Reading: Reading{Charset: "cp437"}}, ""},
		{Rule{Reading: Reading{Charset: "cp437", Lossy: "keep"}}, "r:1: column blob: lossy is replace"},
	} {
		test.rule.Place, test.rule.Table = "r:1", "t"
		for i := range test.rule.Columns {
			test.rule.Columns[i].Place = "r:2"
		}
		if _, err := compile(test.rule, sample()); test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.rule, err, test.want)
		}
	}
	plain := sample()
	plain.Columns = plain.Columns[:3]
	if _, err := compile(Rule{Place: "r:1", Table: "t", Reading: Reading{Charset: "cp437"}}, plain); err == nil || !strings.Contains(err.Error(), "has no column that it is meant for") {
		t.Error(err)
	}
}

// TestAWholeTableIsRead: what is said of the table is meant for every column of text that stays and is not named.
func TestAWholeTableIsRead(t *testing.T) {
	f, err := compile(Rule{
		Place: "r:1", Table: "t", Drop: []string{"code"}, Reading: Reading{Charset: "utf8", Stored: "latin1", Lossy: Replace},
		Columns: []Column{{Place: "r:2", Name: "first", From: "first name"}},
	}, sample())
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for _, m := range f.columns {
		if m.lossy {
			read = append(read, m.name)
		}
	}
	if strings.Join(read, ",") != "name" || !f.view.Column("name").Made || f.view.Column("first").Made {
		t.Errorf("%q", read)
	}
}
