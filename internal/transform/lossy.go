package transform

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// Replace is the policy by which U+FFFD stands for bytes that are no character; without one they stop their table.
const Replace = "replace"

// LostValue is a value of which characters were replaced: a column of the new form, and the key of the row, for people.
type LostValue struct{ Column, Key string }

// Losses is told of such values, so that they can be listed. Its methods may be called from several goroutines.
type Losses interface {
	// Begin forgets what was told of a table: all its rows are looked at anew. Again: forgets again.
	Begin(ctx context.Context, table schema.Name) error
	// Read says that values lost characters when their rows were read. Again: they are listed once.
	Read(ctx context.Context, table schema.Name, lost []LostValue) error
	// Taken says the same of keys that the source had noted as changed, and which of their values are sound or gone: these are
	// struck, and what another reading, which began earlier, says of them does not count. Again: the same.
	Taken(ctx context.Context, table schema.Name, lost, sound []LostValue) error
}

// Tell makes the view tell of values of which characters are replaced. It is called before anything is read.
func (v *View) Tell(l Losses) { v.view.losses = l }

// errReplaced comes with text in which U+FFFD stands for bytes that are no character.
var errReplaced = errors.New("has characters that were replaced")

// lossily decodes like decoding, and replaces what is no character.
func lossily(set charset, declared *charset) conversion {
	return func(dst, cell []byte, _ schema.ShapeColumn) ([]byte, error) {
		if declared == nil {
			out, bad := set.decode(dst, cell)
			return out, replaced(bad)
		}
		if raw, whole := declared.encode(nil, cell); whole {
			out, bad := set.decode(dst, raw)
			return out, replaced(bad)
		}
		lost := 0
		var raw []byte
		flush := func() {
			var bad int
			dst, bad = set.decode(dst, raw)
			lost, raw = lost+bad, raw[:0]
		}
		for rest := cell; len(rest) > 0; {
			_, n := utf8.DecodeRune(rest)
			next, has := declared.encode(raw, rest[:n])
			if has {
				raw = next
			} else { // the source's text can not have been made of bytes of that set
				flush()
				dst, lost = utf8.AppendRune(dst, utf8.RuneError), lost+1
			}
			rest = rest[n:]
		}
		flush()
		return dst, replaced(lost)
	}
}

func replaced(bad int) error {
	if bad > 0 {
		return errReplaced
	}
	return nil
}

// lossy are the columns of the shape that may lose characters.
func (r *rows) lossy() []string {
	var names []string
	for _, c := range r.cells {
		if c.lossy && !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
	}
	return names
}

// lose notes that a column of a row lost characters, once a row.
func (r *rows) lose(from *row.Batch, i int, column string) {
	value := LostValue{column, r.key(from, i)}
	if !slices.Contains(r.lost[r.before:], value) {
		r.lost = append(r.lost, value)
	}
}

// tell passes on what was lost since the last time.
func (r *rows) tell(ctx context.Context) error {
	lost := r.lost
	r.lost = nil
	if r.losses == nil || len(lost) == 0 {
		return nil
	}
	return r.losses.Read(ctx, r.form.view.Name, lost)
}

// tellTaken passes on what was lost of keys that were taken from the record, and which of their values are sound.
func (r *rows) tellTaken(ctx context.Context, keys *row.Batch) error {
	lost, columns := r.lost, r.lossy()
	r.lost = nil
	if r.losses == nil || len(columns) == 0 {
		return nil
	}
	known := make(map[LostValue]bool, len(lost))
	for _, value := range lost {
		known[value] = true
	}
	var sound []LostValue
	parts := make([]string, keys.Width())
	for i := range keys.Len() {
		for n := range parts {
			parts[n] = string(keys.Cell(i, n))
		}
		for _, column := range columns {
			if value := (LostValue{column, strings.Join(parts, ", ")}); !known[value] {
				sound = append(sound, value)
			}
		}
	}
	return r.losses.Taken(ctx, r.form.view.Name, lost, sound)
}
