package testserver

import (
	"fmt"
	"strconv"
	"testing"
)

// Cluster starts nodes of one Galera cluster of MariaDB for one test: what is written to one of them is written to all.
func Cluster(t testing.TB, nodes int, settings ...string) []*Server {
	t.Helper()
	library, err := find("libgalera_smm.so", "/usr/lib/galera*", "apt-get install galera-4")
	if err != nil {
		t.Fatal(err)
	}
	var all []*Server
	join := ""
	for n := range nodes {
		var ports [3]int
		for i := range ports {
			if ports[i], err = freePort(); err != nil {
				t.Fatal(err)
			}
		}
		at := func(i int) string { return "127.0.0.1:" + strconv.Itoa(ports[i]) }
		node := append([]string{
			"wsrep-on=ON", "wsrep-provider=" + library, "wsrep-cluster-name=whimbrel", "wsrep-cluster-address=gcomm://" + join,
			"wsrep-node-name=node" + strconv.Itoa(n), "wsrep-node-address=" + at(0), "wsrep-sst-method=rsync", "wsrep-sst-receive-address=" + at(1),
			fmt.Sprintf("wsrep-provider-options=gmcast.listen_addr=tcp://%s;ist.recv_addr=%s;gcache.size=32M", at(0), at(2)),
			"innodb-autoinc-lock-mode=2", "default-storage-engine=InnoDB",
		}, settings...)
		all = append(all, New(t, "mariadb", node...))
		if join == "" {
			join = at(0)
		}
	}
	return all
}
