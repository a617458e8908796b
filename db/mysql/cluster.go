package mysql

import (
	"context"
	"fmt"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
)

// cluster looks at a node of a Galera cluster (HAZARDS 50). A source's triggers are made while the application works, and a statement that
// makes one while what was written to another node arrives can stop every node for good: the write waits for the statement's turn to
// commit and holds the table that the statement waits for, and neither can be given up (seen with 10.11; MDEV-25039 is of that kind). So
// nobody may write to another node during the move, and whether somebody does is listened for.
func (q *questions) cluster(ctx context.Context) error {
	if q.setting(ctx, "wsrep_on") != "1" {
		return nil
	}
	const one = "Give the URL of one node, not of a balancer"
	// What a node receives (wsrep_received) is more than others' writes: the nodes tell each other of their own what they have committed.
	const nodes, last, sent = "wsrep_cluster_size", "wsrep_last_committed", "wsrep_replicated"
	before, err := q.s.counters(ctx, nodes, last, sent)
	if err != nil {
		return err
	}
	if q.d.options.Side == driver.Target || before[nodes] < 2 {
		q.add("galera", driver.Note, "The server is a node of a Galera cluster.", one+".")
		return nil
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	after, err := q.s.counters(ctx, last, sent)
	if err != nil {
		return err
	}
	const only = one + ", and let the application write to that node only until the move has ended."
	all, own := int64(after[last]-before[last]), int64(after[sent]-before[sent])
	if others := all - own; others > 10 && others > own/10 { // what was under way at the two moments is in one of the counts only
		q.add("galera-writers", driver.Forbidden, fmt.Sprintf("Other nodes of the Galera cluster are written to (about %d writes within a second): capture could stop the whole cluster.", others), only)
		return nil
	}
	q.add("galera", driver.Lossy, fmt.Sprintf("The server is one of %d nodes of a Galera cluster: if another one is written to during the move, capture can stop the whole cluster. Making capture's triggers ends transactions of the application, as all DDL does there, and some of its writes may fail with error 1064 for seconds.", before[nodes]), only)
	return nil
}
