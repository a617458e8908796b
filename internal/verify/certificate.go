package verify

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel/whimbrel/row"
)

// Certificate says what was compared of one table and what came of it. It is made from what was read, never from what was
// planned. docs/certificates.md describes its text, which is signed with the key of the run.
type Certificate struct {
	Move           string // the run's id
	Program        string
	Source, Target Party
	Columns        []string // what a row's sum is taken of, in order: name and kind
	Seed           row.Seed
	Level          string
	Parts          []Part
	Verdict        string
	At             time.Time
}

// Party is one side: which server, and which table of it.
type Party struct {
	Database string // product, host and name, for people
	Version  string
	Server   string // what tells this very server from every other
	Table    string
}

// Part is one comparison: some rows of both sides, at one time.
type Part struct {
	What           Portion     `json:"what"`
	While          string      `json:"while"` // uptime or downtime
	Began          time.Time   `json:"began"`
	Ended          time.Time   `json:"ended"`
	Keys           int         `json:"keys,omitempty"` // how many were compared; 0 where rows were not named
	Ranges         []row.Range `json:"ranges,omitempty"`
	Source, Target row.Sum
	Again          int  `json:"again,omitempty"`
	Left           int  `json:"left,omitempty"`
	Differing      int  `json:"differing,omitempty"`
	More           bool `json:"more,omitempty"` // there are more that differ
}

// NewPart is the part of a certificate that a comparison makes; it ended now.
func NewPart(what Portion, while string, began time.Time, t Tally) Part {
	return Part{
		What: what, While: while, Began: began.UTC(), Ended: time.Now().UTC(), Ranges: t.Ranges, Source: t.Source, Target: t.Target,
		Again: t.Again, Left: t.Left, Differing: len(t.Differing), More: t.More,
	}
}

// Portion is which rows a part compared.
type Portion string

// The portions.
const (
	EveryRow    Portion = "every row"
	ChangedKeys Portion = "changed keys"
	SampledRows Portion = "sampled rows"
	MendedKeys  Portion = "mended keys"
)

// version is the form of the text, and of the algorithm.
const (
	firstLine = "whimbrel certificate 1"
	algorithm = "sum modulo 2^128 of xxh3-128 over canonical rows, 1"
)

// AppendText appends the canonical text without its signature: the same certificate is the same bytes, everywhere.
func (c Certificate) AppendText(dst []byte, key ed25519.PublicKey) []byte {
	w := &lines{dst}
	w.to = append(w.to, firstLine+"\n"...)
	w.text("move", c.Move)
	w.text("program", c.Program)
	for i, p := range []Party{c.Source, c.Target} {
		side := []string{"source", "target"}[i]
		w.text(side+"-database", p.Database)
		w.text(side+"-version", p.Version)
		w.text(side+"-server", p.Server)
		w.text(side+"-table", p.Table)
	}
	for _, column := range c.Columns {
		w.text("column", column)
	}
	w.text("algorithm", algorithm)
	w.plain("seed", fmt.Sprintf("%016x", uint64(c.Seed)))
	w.text("level", c.Level)
	for _, p := range c.Parts {
		w.part(p)
	}
	w.text("verdict", c.Verdict)
	w.moment("at", c.At)
	w.plain("key", hex.EncodeToString(key))
	return w.to
}

// lines writes a certificate's lines: a name, a blank and a value. Texts are quoted as Go quotes them, in ASCII.
type lines struct{ to []byte }

func (w *lines) plain(name, value string) {
	w.to = append(append(append(append(w.to, name...), ' '), value...), '\n')
}

func (w *lines) text(name, value string) { w.plain(name, strconv.QuoteToASCII(value)) }

func (w *lines) number(name string, n uint64) { w.plain(name, strconv.FormatUint(n, 10)) }

func (w *lines) moment(name string, at time.Time) {
	w.plain(name, at.UTC().Format("2006-01-02T15:04:05.000000000Z"))
}

func (w *lines) part(p Part) {
	w.text("part", string(p.What))
	w.text("while", p.While)
	w.moment("began", p.Began)
	w.moment("ended", p.Ended)
	switch {
	case p.What == ChangedKeys || p.What == MendedKeys:
		w.number("keys", uint64(p.Keys))
	case len(p.Ranges) == 0:
		w.plain("range", "all")
	}
	for _, r := range p.Ranges {
		w.plain("range", bound(r.After)+" "+bound(r.Upto))
	}
	for i, sum := range []row.Sum{p.Source, p.Target} {
		side := []string{"source", "target"}[i]
		w.number(side+"-rows", sum.Rows)
		w.plain(side+"-sum", fmt.Sprintf("%016x%016x", sum.Hi, sum.Lo))
	}
	w.number("looked-at-again", uint64(p.Again))
	w.number("left-to-changed-keys", uint64(p.Left))
	differing := strconv.Itoa(p.Differing)
	if p.More {
		differing = "more-than-" + differing
	}
	w.plain("differing", differing)
}

// bound writes the end of a range as its canonical key in hexadecimal; a minus sign where it is open.
func bound(key row.Key) string {
	if key == nil {
		return "-"
	}
	return hex.EncodeToString(key)
}

// Sign returns the certificate's text with its signature, which is the last line.
func (c Certificate) Sign(key ed25519.PrivateKey) string {
	public, _ := key.Public().(ed25519.PublicKey)
	text := c.AppendText(nil, public)
	return string(text) + signature + hex.EncodeToString(ed25519.Sign(key, text)) + "\n"
}

const signature = "signature "

// ErrForged says that a certificate is not what was signed with the key.
var ErrForged = errors.New("the certificate is not what was signed with this key: it was changed, or is another run's")

// Checked is a certificate whose signature holds.
type Checked struct{ text []byte }

// Check returns a certificate if its text is, byte for byte, what the owner of the key signed.
func Check(text []byte, key ed25519.PublicKey) (Checked, error) {
	at := bytes.LastIndex(text, []byte("\n"+signature)) + 1
	if at == 0 || len(key) != ed25519.PublicKeySize {
		return Checked{}, ErrForged
	}
	signed, last := text[:at], text[at+len(signature):]
	mark, err := hex.DecodeString(strings.TrimSuffix(string(last), "\n"))
	if err != nil || string(last) != hex.EncodeToString(mark)+"\n" || !ed25519.Verify(key, signed, mark) {
		return Checked{}, ErrForged
	}
	if !bytes.HasPrefix(signed, []byte(firstLine+"\n")) {
		return Checked{}, errors.New("this certificate is of a form that this program does not know; take the one that wrote it")
	}
	return Checked{signed}, nil
}

// Value is the value of the first line of a name, unquoted; empty when there is none.
func (c Checked) Value(name string) string {
	for line := range strings.Lines(string(c.text)) {
		value, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name+" ")
		if !found {
			continue
		}
		if plain, err := strconv.Unquote(value); err == nil {
			return plain
		}
		return value
	}
	return ""
}
