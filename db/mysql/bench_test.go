package mysql

import (
	"fmt"
	"io"
	"net/url"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// bench is a target with a table of 16 columns and a batch of 5,000 rows for it.
func bench(b *testing.B) (*driver.Database, *schema.Table, schema.Shape, *row.Batch) {
	u, err := url.Parse(testserver.MariaDB(b))
	if err != nil {
		b.Fatal(err)
	}
	d, err := Driver.Open(b.Context(), u, driver.Options{Side: driver.Target, Run: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	t := &schema.Table{Name: schema.Name{Schema: d.Info.Schema, Name: "line"}, Number: 1, Primary: &schema.Key{Columns: []schema.Part{{Column: "c0"}}}}
	var s schema.Shape
	for i := range 16 {
		c := &schema.Column{Name: fmt.Sprint("c", i), Type: schema.Type{Kind: row.Int, Precision: 64, Raw: "bigint"}}
		if i%2 == 1 {
			c.Type, _ = d.Dialect.Carry(schema.Type{Kind: row.Text, Length: 40}, false)
		}
		t.Columns = append(t.Columns, c)
		s.Columns = append(s.Columns, schema.ShapeColumn{Column: c, Cell: c.Type.Kind})
	}
	s.Key = []int{0}
	for _, st := range d.Dialect.CreateTable(t) {
		if err := d.Executor.Execute(b.Context(), st); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Ledger.Prepare(b.Context(), "bench"); err != nil {
		b.Fatal(err)
	}
	return d, t, s, row.NewBatch(16)
}

func fillBench(r *row.Batch, from int) {
	r.Reset()
	for i := range 5000 {
		for c := range 16 {
			if c%2 == 1 {
				r.AppendString("some text of a usual length")
			} else {
				r.AppendString(fmt.Sprint(from + i))
			}
		}
	}
}

// BenchmarkLoad measures 5,000 rows an iteration, with and without the guard's triggers on the table, and then reading.
func BenchmarkLoad(b *testing.B) {
	for _, guarded := range []string{"open", "guarded"} {
		b.Run(guarded, func(b *testing.B) {
			d, t, s, rows := bench(b)
			epoch, err := d.Ledger.TakeOver(b.Context())
			if err == nil && guarded == "guarded" {
				err = d.Guard.Shut(b.Context(), t, epoch)
			}
			if err != nil {
				b.Fatal(err)
			}
			l, err := d.Loader.Load(b.Context(), driver.Intake{Table: t, Shape: s, Epoch: epoch, Range: row.Range{Number: 1}})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				fillBench(rows, n*5000)
				b.SetBytes(int64(rows.Size()))
				b.StartTimer()
				if err := l.Write(b.Context(), rows); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead reads 100,000 rows an iteration.
func BenchmarkRead(b *testing.B) {
	d, t, s, rows := bench(b)
	epoch, err := d.Ledger.TakeOver(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for n := range 20 {
		fillBench(rows, n*5000)
		l, err := d.Loader.Load(b.Context(), driver.Intake{Table: t, Shape: s, Epoch: epoch, Range: row.Range{Number: n + 1}})
		if err == nil {
			err = l.Write(b.Context(), rows)
		}
		if err == nil {
			_, err = l.Commit(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
		_ = l.Close()
	}
	b.ReportAllocs()
	for b.Loop() {
		c, err := d.Reader.Read(b.Context(), driver.Query{Table: t, Shape: s})
		if err != nil {
			b.Fatal(err)
		}
		size := 0
		for err == nil {
			err = c.Fill(b.Context(), rows)
			size += rows.Size()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		b.SetBytes(int64(size))
		_ = c.Close()
	}
}
