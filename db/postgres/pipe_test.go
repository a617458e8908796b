package postgres

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/row"
)

// TestThePipePassesRowsThrough, range by range, and only once.
func TestThePipePassesRowsThrough(t *testing.T) {
	p := pair(t, every)
	p.app.do("ALTER TABLE every DROP COLUMN co")
	p.there.do("ALTER TABLE every DROP COLUMN co; TRUNCATE every; ALTER TABLE every DROP CONSTRAINT every_pkey")
	from, to := tableOf(t, p.source, "every"), tableOf(t, p.target, "every")
	here, there := shapeOf(from), shapeOf(to)
	if f := p.source.Pipe.Format(from, here); f != p.target.Pipe.Format(to, there) || f == "" {
		t.Fatalf("the formats differ: %s", f)
	}
	narrow := shapeOf(to)
	other := *narrow.Columns[3].Column
	other.Type.Raw = "bigint"
	narrow.Columns[3].Column = &other
	if p.source.Pipe.Format(from, here) == p.target.Pipe.Format(to, narrow) {
		t.Error("other types have the same format")
	}
	two := row.MakeKey([]byte("2"))
	for i, r := range []row.Range{{Number: 1, Upto: two}, {Number: 2, After: two}} {
		var wire bytes.Buffer
		out, err := p.source.Pipe.Out(t.Context(), driver.Query{Table: from, Shape: here, Range: r}, &wire)
		if err != nil || out != 2 {
			t.Fatalf("%d rows out, %v", out, err)
		}
		in := driver.Intake{Table: to, Shape: there, Range: r, Epoch: p.epoch, Sole: i == 0}
		n, err := p.target.Pipe.In(t.Context(), in, bytes.NewReader(wire.Bytes()), func(rows int64) error {
			if rows != out {
				t.Errorf("%d rows in of %d", rows, out)
			}
			return nil
		})
		if err != nil || n != 2 {
			t.Fatalf("%d rows in, %v", n, err)
		}
		if _, err := p.target.Pipe.In(t.Context(), in, bytes.NewReader(wire.Bytes()), nil); class(err) != driver.Exists {
			t.Errorf("the range again: %v", err)
		}
		in.Range.Number = 9
		refused := errors.New("the other side counted otherwise")
		if _, err := p.target.Pipe.In(t.Context(), in, bytes.NewReader(wire.Bytes()), func(int64) error { return refused }); !errors.Is(err, refused) {
			t.Errorf("a range that is not confirmed: %v", err)
		}
		if _, err := p.target.Pipe.In(t.Context(), in, io.MultiReader(strings.NewReader(""), &broken{refused}), nil); !errors.Is(err, refused) {
			t.Errorf("a stream that breaks: %v", err)
		}
	}
	const all = "SELECT md5(string_agg(every::text, '|' ORDER BY id)) FROM every"
	if a, b := p.app.ask(all), p.there.ask(all); a != b {
		t.Error("the tables differ")
	}
	ranges, err := p.target.Ledger.Ranges(t.Context(), to)
	if err != nil || len(ranges) != 2 {
		t.Errorf("ranges %v, %v", ranges, err)
	}
	keys := row.NewBatch(1)
	keys.AppendString("3")
	var wire bytes.Buffer
	if n, err := p.source.Pipe.Out(t.Context(), driver.Query{Table: from, Shape: here, Keys: keys}, &wire); n != 1 || err != nil {
		t.Errorf("by key: %d rows, %v", n, err)
	}
}

type broken struct{ err error }

func (b *broken) Read([]byte) (int, error) { return 0, b.err }
