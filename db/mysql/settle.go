package mysql

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
)

// staleness is how long InnoDB shows what it showed before: it looks at its transactions anew only when nobody has asked
// for a tenth of a second.
const staleness = 120 * time.Millisecond

// writing returns the open transactions that have written, and the prepared ones, each with words for people. A prepared
// transaction whose client is gone has thread 0 (HAZARDS 2).
func (d *database) writing(ctx context.Context, s *session) (map[string]string, error) {
	open, err := d.transactions(ctx, s)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, line := range open {
		who := "session " + line[1] + " of " + line[3] + "@" + line[4] + " writes since " + line[2]
		if line[1] == "0" {
			who = "a prepared transaction without a session is open since " + line[2] + " (XA RECOVER shows it)"
		}
		all[line[0]] = who
	}
	recover := "XA RECOVER CONVERT XID"
	if d.version.maria() {
		recover = "XA RECOVER FORMAT='SQL'"
	}
	prepared, err := s.rows(ctx, recover)
	if err != nil {
		return nil, err
	}
	for _, line := range prepared {
		all["xa "+line[3]] = "the prepared transaction " + line[3] + " waits for XA COMMIT or XA ROLLBACK"
	}
	return all, nil
}

// transactions lists the open transactions but ours that have written or have no session. Only a list that has this very
// query in it is believed, because an older one may lack a transaction that has begun since (see staleness).
func (d *database) transactions(ctx context.Context, s *session) ([][]string, error) {
	if err := s.run(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return nil, err
	}
	if err := s.run(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return nil, err
	}
	s.open = true
	defer s.rollback()
	for range 50 {
		mark := "/* whimbrel " + rand.Text() + " */"
		all, err := s.rows(ctx, "SELECT "+mark+` x.trx_id, x.trx_mysql_thread_id, x.trx_started, COALESCE(p.user, ''), COALESCE(p.host, ''),
			x.trx_rows_modified, x.trx_mysql_thread_id = CONNECTION_ID(), COALESCE(x.trx_query, '')
			FROM information_schema.innodb_trx x LEFT JOIN information_schema.processlist p ON p.id = x.trx_mysql_thread_id`)
		if err != nil {
			return nil, err
		}
		fresh := false
		var others [][]string
		for _, line := range all {
			switch {
			case line[6] == "1":
				fresh = strings.Contains(line[7], mark)
			case line[1] == "0" || line[5] != "0":
				others = append(others, line)
			}
		}
		if fresh {
			return others, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(staleness):
		}
	}
	return nil, errors.New("the server does not renew its list of transactions: somebody asks for it all the time")
}
