package postgres

import (
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/db/driver/drivertest"
	"github.com/whimbrel/whimbrel/row"
	"github.com/whimbrel/whimbrel/schema"
)

// benched is a table like that of an invoice's lines: numbers, amounts, dates, short words.
const benched = `CREATE TABLE line (id bigint, part integer, supplier integer, quantity numeric(15,2), price numeric(15,2), flag char(1), shipped date, at timestamp(6),
	mode varchar(10), comment varchar(80));`

const benchedRows = `INSERT INTO line SELECT g, g * 7 % 20000, g % 1000, g % 50, g * 17.25 % 100000, 'A', date '1992-01-01' + g % 2500,
	timestamp '2020-01-01' + g * interval '1.000123 s', 'TRUCK', 'carefully final deposits ' || g FROM generate_series(1, 100000) g;
	ALTER TABLE line ADD PRIMARY KEY (id); ANALYZE line`

func benchPair(b *testing.B) (p *twins, from, to *schema.Table, all *row.Batch) {
	p = pair(b, benched)
	p.app.do(benchedRows)
	from, to = tableOf(b, p.source, "line"), tableOf(b, p.target, "line")
	return p, from, to, rows(b, p.source.Reader, driver.Query{Table: from, Shape: shapeOf(from)})
}

// BenchmarkLoad loads 100,000 rows of cells an iteration.
func BenchmarkLoad(b *testing.B) {
	p, _, to, all := benchPair(b)
	b.SetBytes(int64(all.Size()))
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		in := driver.Intake{Table: to, Shape: shapeOf(to), Epoch: p.epoch, Range: row.Range{Number: n}}
		if err := loadRange(b, p.target.Loader, in, all); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads 100,000 rows as cells an iteration.
func BenchmarkRead(b *testing.B) {
	p, from, _, all := benchPair(b)
	b.SetBytes(int64(all.Size()))
	b.ReportAllocs()
	batch := row.NewBatch(all.Width())
	for b.Loop() {
		c, err := p.source.Reader.Read(b.Context(), driver.Query{Table: from, Shape: shapeOf(from), Order: driver.KeyOrder})
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			err = c.Fill(b.Context(), batch)
		}
		if !errors.Is(err, io.EOF) || c.Close() != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPass passes 100,000 rows from one database to the other an iteration.
func BenchmarkPass(b *testing.B) {
	p, from, to, all := benchPair(b)
	b.SetBytes(int64(all.Size()))
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		r, w := io.Pipe()
		var sending sync.WaitGroup
		sending.Go(func() {
			_, err := p.source.Pipe.Out(b.Context(), driver.Query{Table: from, Shape: shapeOf(from), Order: driver.KeyOrder}, w)
			_ = w.CloseWithError(err)
		})
		in := driver.Intake{Table: to, Shape: shapeOf(to), Epoch: p.epoch, Range: row.Range{Number: n}}
		if rows, err := p.target.Pipe.In(b.Context(), in, r, nil); err != nil || rows != int64(all.Len()) {
			b.Fatal(rows, err)
		}
		sending.Wait()
	}
}

// BenchmarkSurvey looks at 100,000 rows an iteration.
func BenchmarkSurvey(b *testing.B) {
	p, from, _, _ := benchPair(b)
	for b.Loop() {
		if _, err := p.source.Surveyor.Survey(b.Context(), from, drivertest.Everything(from)); err != nil {
			b.Fatal(err)
		}
	}
}
