//go:build linux

package driver_test

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
)

// timed is an error that has net.Error's methods and nothing to do with a network, as SQLite's are.
type timed struct{ error }

func (timed) Timeout() bool   { return false }
func (timed) Temporary() bool { return false }

// A connection that broke is tried again; an error that only knows of timeouts is not: it would be met again for most of a minute.
func TestWhatIsABrokenConnection(t *testing.T) {
	gone := talk(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0) // the end is a reset
	})
	say(t, gone)
	_, reset := gone.Read(make([]byte, 1))
	still := talk(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	_ = still.SetReadDeadline(time.Now().Add(-time.Second))
	_, late := still.Read(make([]byte, 1))
	_ = still.Close()
	_, closed := still.Read(make([]byte, 1))
	_, nobody := net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	for name, err := range map[string]error{"reset": reset, "late": late, "closed": closed, "nobody listens": nobody} {
		if err == nil || !driver.Broken(fmt.Errorf("read: %w", err)) {
			t.Errorf("%s: %v is no broken connection", name, err)
		}
	}
	var network net.Error = timed{fmt.Errorf("no such table")}
	for name, err := range map[string]error{"nothing": nil, "knows of timeouts": network, "the system's": syscall.ENOSPC} {
		if driver.Broken(err) {
			t.Errorf("%s: %v is a broken connection", name, err)
		}
	}
}
