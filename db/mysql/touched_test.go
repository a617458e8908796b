package mysql

import (
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
)

// TestATouchedColumnIsWritten: a column that the server sets when a row changes is written like every other, in each way that rows are
// written: to the value that it has already, too (HAZARDS 67).
func TestATouchedColumnIsWritten(t *testing.T) {
	for way, ddl := range map[string]string{
		"upsert":   "CREATE TABLE touched (id INT PRIMARY KEY, v INT, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
		"in place": "CREATE TABLE touched (id INT PRIMARY KEY, v INT, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, UNIQUE (v))",
		"anew":     "CREATE TABLE touched (id VARCHAR(9) PRIMARY KEY, v INT, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
	} {
		t.Run(way, func(t *testing.T) {
			s := target(t)
			s.do(ddl, "INSERT INTO touched VALUES (1, 1, '2001-01-01 00:00:00'), (2, 2, '2002-02-02 00:00:00'), (3, 3, '2003-03-03 00:00:00')")
			tb := s.inspect("touched")
			shape := shapeOf(tb)
			if err := s.Applier.Apply(s.ctx, driver.Delta{
				Table: tb, Shape: shape, Epoch: s.takeOver(), Number: 1, Keys: batch(1, []string{"1"}, []string{"2"}, []string{"4"}),
				Images: batch(3, []string{"1", "1", "2011-11-11 11:11:11"}, []string{"2", "20", "2002-02-02 00:00:00"}, []string{"4", "4", "2004-04-04 00:00:00"}),
			}); err != nil {
				t.Fatal(err)
			}
			same(t, "rows", s.read(driver.Query{Table: tb, Shape: shape, Order: driver.KeyOrder}),
				[]string{"1|1|2011-11-11 11:11:11", "2|20|2002-02-02 00:00:00", "3|3|2003-03-03 00:00:00", "4|4|2004-04-04 00:00:00"})
		})
	}
}
