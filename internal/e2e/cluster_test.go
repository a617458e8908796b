package e2e

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/whimbrel/whimbrel/internal/e2e/shop"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// TestACluster moves from the node of a Galera cluster that the application writes to. While another node is written to the move is
// refused (HAZARDS 50).
func TestACluster(t *testing.T) {
	nodes := testserver.Cluster(t, 2, "wsrep-auto-increment-control=OFF") // the shop is filled by counting
	l := liveAt(t, nodes[0].Create(t, "shop"), fresh(t, "postgres"), shop.Options{Seed: seed(t), Accounts: 300, Sessions: 3, Pause: 3 * time.Millisecond, Bears: unread()})
	for _, n := range nodes {
		script(t, open(t, n.URL("shop")), "SET GLOBAL wsrep_auto_increment_control = ON")
	}
	m := newMove(t, plan{source: l.source, target: l.target, uptime: l.shop.Uptime(), extra: levels})
	other := open(t, nodes[1].URL("shop"))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = other.Script(strings.Repeat("UPDATE event SET kind = 'elsewhere' WHERE id = 1; UPDATE event SET kind = 'here' WHERE id = 1;\n", 20))
			}
		}
	}()
	e := m.must(1, "check")
	close(stop)
	<-stopped
	if !strings.Contains(e.out, "Other nodes of the Galera cluster are written to") {
		t.Errorf("check says %s", tail(e.out))
	}
	l.open()
	for range 3 { // the application writes to this node, and the nodes talk of it
		if e := m.must(0, "check"); !strings.Contains(e.out, "one of 2 nodes of a Galera cluster") {
			t.Errorf("check says %s", tail(e.out))
		}
	}
	m.until("confirm-downtime")
	<-time.After(1500 * time.Millisecond) // the application goes on while nobody replays
	m.must(0, "run", "--yes")
	l.refused()
	l.moved(m, l.shop.Uptime())
	if left := ours(t, nodes[1].URL("shop")); len(left) > 0 {
		t.Errorf("left at the other node: %q", left)
	}
}

// unread bears the error of a session that meets a table which was left in the server's cache with unread triggers, by a session that
// making triggers has ended: for a while, because the table is opened anew.
func unread() func(error) bool {
	const pause, most = 3 * time.Second, 15 * time.Second
	var lock sync.Mutex
	var first, last time.Time
	return func(err error) bool {
		if !metUnread(err) {
			return false
		}
		lock.Lock()
		defer lock.Unlock()
		if now := time.Now(); now.Sub(last) > pause {
			first, last = now, now
		} else {
			last = now
		}
		return last.Sub(first) < most
	}
}

// metUnread reports MariaDB's error for a table that was left in its cache with unread triggers, by a session that was ended.
func metUnread(err error) bool {
	var server *mysql.MySQLError
	return errors.As(err, &server) && server.Number == 1064 && strings.Contains(server.Message, "rigger")
}
