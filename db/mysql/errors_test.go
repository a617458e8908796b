package mysql

import (
	"fmt"
	"testing"

	gosql "github.com/go-sql-driver/mysql"

	"github.com/whimbrel/whimbrel/db/driver"
)

// TestAFullDiskIsTold: the server says of a file it can not write what the system said, under numbers that mean any trouble with files.
func TestAFullDiskIsTold(t *testing.T) {
	for _, c := range []struct {
		number uint16
		words  string
		want   driver.Class
	}{
		{3, `Error writing file './r/whimbrel_source_owner.frm' (Errcode: 28 "No space left on device")`, driver.Full},
		{1030, `Got error 28 "No space left on device" from storage engine Aria`, driver.Full},
		{3, `Error writing file './r/a.frm' (Errcode: 5 "Input/output error")`, driver.Unclassified},
		{1030, `Got error 176 "Read page with wrong checksum" from storage engine Aria`, driver.Unclassified},
		{1146, `Table 'x' doesn't exist (Errcode: 28 "")`, driver.Missing},
	} {
		if got := (dialect{}).Classify(fmt.Errorf("shut: %w", &gosql.MySQLError{Number: c.number, Message: c.words})); got != c.want {
			t.Errorf("%d %s: %v", c.number, c.words, got)
		}
	}
}
