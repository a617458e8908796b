package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/internal/verify"
	"github.com/whimbrel/whimbrel/row"
)

var update = flag.Bool("update", false, "write golden files anew")

// exemplar is a certificate with every kind of line, of names that are meant to break out of theirs.
func exemplar() verify.Certificate {
	at := time.Date(2026, 3, 29, 1, 59, 59, 123456789, time.FixedZone("elsewhere", 7200))
	sum := func(rows, hi, lo uint64) row.Sum { return row.Sum{Rows: rows, Hi: hi, Lo: lo} }
	return verify.Certificate{
		Move: "4y2wyfcmwezr", Program: "whimbrel v1.0.0 go1.26",
		Source:  verify.Party{Database: "MariaDB db1:3306/shop", Version: "mariadb 10.11.6", Server: "db1 3306 17", Table: "shop.a\"b\nverdict \"equal\""},
		Target:  verify.Party{Database: "PostgreSQL db2:5432/shop", Version: "postgres 15.4", Server: "7301", Table: "public.übergröße"},
		Columns: []string{"id int", "name text", "\u202eeman text"}, Seed: 0xfeedface, Level: "full-uptime+changed", Verdict: "equal", At: at,
		Parts: []verify.Part{
			{What: verify.EveryRow, While: "uptime", Began: at.Add(-time.Hour), Ended: at.Add(-time.Minute), Source: sum(1000, 1, 2), Target: sum(999, 3, 4), Again: 17, Left: 1},
			{What: verify.MendedKeys, While: "uptime", Began: at, Ended: at, Keys: 3, Source: sum(2, 5, 6), Target: sum(2, 5, 6)},
			{What: verify.ChangedKeys, While: "downtime", Began: at, Ended: at, Keys: 12, Source: sum(11, 1<<63, 0), Target: sum(11, 1<<63, 0)},
			{
				What: verify.SampledRows, While: "downtime", Began: at, Ended: at, Source: sum(5, 0, 1), Target: sum(5, 0, 1), Differing: 100, More: true,
				Ranges: []row.Range{{Upto: row.MakeKey([]byte("k"))}, {After: row.MakeKey([]byte("k"), nil)}},
			},
		},
	}
}

func testKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

func public(key ed25519.PrivateKey) ed25519.PublicKey {
	p, _ := key.Public().(ed25519.PublicKey)
	return p
}

// The text of a certificate is the same, byte for byte, for ever: docs/certificates.md describes it.
func TestCertificatesAreCanonical(t *testing.T) {
	golden := filepath.Join("testdata", "certificate.golden")
	text := exemplar().Sign(testKey())
	if *update {
		check(t, os.WriteFile(golden, []byte(text), 0o600))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if text != string(want) {
		t.Fatalf("the text is\n%s\nand was\n%s", text, want)
	}
	checked, err := verify.Check([]byte(text), public(testKey()))
	check(t, err)
	for name, value := range map[string]string{
		"move": "4y2wyfcmwezr", "source-table": "shop.a\"b\nverdict \"equal\"", "target-table": "public.übergröße", "verdict": "equal",
		"level": "full-uptime+changed", "seed": "00000000feedface", "nothing": "",
	} {
		if got := checked.Value(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// Whatever single byte is changed, left out or added: it is not what was signed.
func TestAChangedByteIsRefused(t *testing.T) {
	key := testKey()
	text := []byte(exemplar().Sign(key))
	refused := func(what string, at int, changed []byte) {
		if _, err := verify.Check(changed, public(key)); err == nil {
			t.Fatalf("byte %d %s: the certificate holds", at, what)
		}
	}
	for at := range text {
		for bit := range 8 {
			changed := bytes.Clone(text)
			changed[at] ^= 1 << bit
			refused("changed", at, changed)
		}
		refused("left out", at, append(bytes.Clone(text[:at]), text[at+1:]...))
		refused("doubled", at, append(append(bytes.Clone(text[:at]), text[at]), text[at:]...))
	}
	refused("cut off behind", 0, nil)
	refused("added", len(text), append(bytes.Clone(text), '\n'))
	refused("added", len(text), append(bytes.Clone(text), text...))
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	if _, err := verify.Check(text, public(other)); err == nil {
		t.Error("another run's key is taken")
	}
	if _, err := verify.Check(text, nil); err == nil {
		t.Error("no key is taken")
	}
	if _, err := verify.Check(text, public(key)); err != nil {
		t.Error(err)
	}
}
