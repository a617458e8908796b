package mysql

import (
	"slices"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// TestSettingsThatLoseCommits: what a server does not keep of its acknowledged commits is noted of a source, whose log is waited for,
// forbids uptime tables at a target or takes consent there, and is no finding where every commit is on disk.
func TestSettingsThatLoseCommits(t *testing.T) {
	careless := testserver.New(t, "mariadb", "innodb_flush_log_at_trx_commit=2", "sync_binlog=0", "log_bin=log", "server_id=1")
	careful := testserver.New(t, "mariadb", "innodb_flush_log_at_trx_commit=1", "sync_binlog=1", "log_bin=log", "server_id=1")
	rules := []string{"flush-log", "sync-binlog"}
	for _, c := range []struct {
		server *testserver.Server
		side   driver.Side
		want   []driver.Level
	}{
		{careless, driver.Source, []driver.Level{driver.Note, driver.Note}},
		{careless, driver.Target, []driver.Level{driver.NotLive, driver.Lossy}},
		{careful, driver.Source, nil},
		{careful, driver.Target, nil},
	} {
		notices, err := open(t, c.server.Create(t, "settings_"+string(c.side)), c.side).Inspector.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []driver.Level
		for _, rule := range rules {
			if i := slices.IndexFunc(notices, func(n driver.Notice) bool { return n.Rule == rule }); i >= 0 {
				got = append(got, notices[i].Level)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.side, got, c.want)
		}
	}
}
