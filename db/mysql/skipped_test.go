package mysql

import (
	"strings"
	"sync"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
)

// TestATableThatIsBeingAlteredIsNotMissing asks the catalog while somebody alters a table: the server leaves the table out of its answer and
// only warns. A move would not carry the table, or would take its triggers for gone.
func TestATableThatIsBeingAlteredIsNotMissing(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE busy (id INT PRIMARY KEY)", "INSERT INTO busy SELECT seq FROM seq_1_to_1000000")
	tb := s.inspect("busy")
	s.install(tb)
	was, err := s.Watcher.Fingerprint(s.ctx, tb)
	if err != nil {
		t.Fatal(err)
	}
	other, look := s.app(), s.app()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		other.do("ALTER TABLE busy ADD COLUMN more INT, ALGORITHM=COPY, LOCK=EXCLUSIVE")
	})
	altering := func() bool {
		return look.text("SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'copy to tmp%'") == "1"
	}
	eventually(t, "the table is being altered", altering)
	passes := func(err error) bool { return s.Dialect.Classify(err) == driver.Transient }
	asked := 0
	for altering() { // an answer may wait until it is done, or be none
		asked++
		found, err := s.Inspector.Inspect(s.ctx, nil)
		if err == nil && found.Table(tb.Name) == nil || err != nil && !passes(err) {
			t.Fatalf("the table is not found: %v", err)
		}
		print, err := s.Watcher.Fingerprint(s.ctx, tb)
		if _, why := s.Watcher.Judge(was, print); err == nil && strings.Contains(why, "gone") || err != nil && !passes(err) {
			t.Fatalf("the look at it says %q, %v", why, err)
		}
	}
	if asked == 0 {
		t.Error("the catalog was not asked meanwhile")
	}
}
