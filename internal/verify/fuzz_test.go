package verify

import (
	"crypto/ed25519"
	"testing"
)

// FuzzCertificate: no text that was not signed passes, and none makes the reader fail otherwise than with an error.
func FuzzCertificate(f *testing.F) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "\n", "whimbrel certificate 1\nverdict: equal\nsignature: 00\n", "signature: \n", "a: b\nsignature: zz", "verdict: equal\nverdict: different\nsignature: AAAA\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := Check(text, public); err == nil {
			t.Fatalf("%q holds", text)
		}
	})
}
