//go:build linux

package driver_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
)

// What the system is told to do about a server that has vanished. That it does it can be seen where a network can be cut without
// a word: TestAVanishedServerIsNoticed in internal/e2e.
func TestConnectionsGiveUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := driver.Dialer().DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct{ level, option, want int }{
		{syscall.IPPROTO_TCP, 18, 60_000},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 20},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 10},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 4},
		{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
	} {
		var got int
		var failed error
		if err := raw.Control(func(fd uintptr) { got, failed = syscall.GetsockoptInt(int(fd), o.level, o.option) }); err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		if got != o.want {
			t.Errorf("option %d is %d, not %d", o.option, got, o.want)
		}
	}
}
