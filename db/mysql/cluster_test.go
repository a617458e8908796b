package mysql

import (
	"strconv"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// What was committed at another node of a cluster before a batch is taken is in it (HAZARDS 50).
func TestABatchHasWhatAnotherNodeCommitted(t *testing.T) {
	nodes := testserver.Cluster(t, 2)
	s := open(t, nodes[0].Create(t, "shop"), driver.Source)
	s.do("CREATE TABLE p (id INT PRIMARY KEY, v INT)")
	p := s.inspect("p")
	shape := s.install(p)
	other := open(t, nodes[1].URL("shop"), driver.Target).app()
	for i := range 100 {
		other.do("INSERT INTO p VALUES (" + strconv.Itoa(i) + ", 1)")
		if noted := s.taken(p, shape, int64(i+1)); len(noted) != 1 {
			t.Fatalf("a row was committed at another node, and %v is noted", noted)
		}
	}
}
