package mysql

import (
	"context"
	"strconv"
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
	size, err := q.status(ctx, "wsrep_cluster_size")
	if err != nil {
		return err
	}
	if q.d.options.Side == driver.Target || size < 2 {
		q.add("galera", driver.Note, "The server is a node of a Galera cluster.", one+".")
		return nil
	}
	const only = one + ", and let the application write to that node only until the move has ended."
	before, err := q.status(ctx, "wsrep_received")
	if err != nil {
		return err
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	after, err := q.status(ctx, "wsrep_received")
	switch {
	case err != nil:
		return err
	case after > before:
		q.add("galera-writers", driver.Forbidden, "Other nodes of the Galera cluster are written to ("+strconv.FormatInt(after-before, 10)+" writes within a second): capture could stop the whole cluster.", only)
	default:
		q.add("galera", driver.Lossy, "The server is one of "+strconv.FormatInt(size, 10)+" nodes of a Galera cluster: if another one is written to during the move, capture can stop the whole cluster.", only)
	}
	return nil
}

// status returns one of the server's counters, 0 where it has none of the name.
func (q *questions) status(ctx context.Context, name string) (int64, error) {
	all, err := q.s.rows(ctx, "SHOW GLOBAL STATUS LIKE '"+name+"'")
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return strconv.ParseInt(all[0][1], 10, 64)
}
