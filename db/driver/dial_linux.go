package driver

import (
	"strings"
	"syscall"
)

// giveUp makes the system give a connection up whose other end acknowledges nothing.
func giveUp(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	const userTimeout = 18 // TCP_USER_TIMEOUT, in milliseconds
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int(silence.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
