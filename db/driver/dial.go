package driver

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// Patience with a network that says nothing: a server that has not acknowledged what was sent, or a question whether it is still
// there, for this long is gone. A server that is at work for hours acknowledges.
const silence = time.Minute

// Dial connects to a server, with Dialer's patience for what was sent. On Linux a long answer is read in large pieces.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := Dialer().DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return patiently(c), nil
}

// Broken says whether an error is that of a connection which is not there any more, or was not made. That an error knows of timeouts, as
// net.Error asks, says nothing: those of the system and of SQLite do too, on a full disk or without a table.
func Broken(err error) bool {
	var network *net.OpError
	var address *net.DNSError
	if errors.As(err, &network) || errors.As(err, &address) {
		return true
	}
	return slices.ContainsFunc([]error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, os.ErrDeadlineExceeded}, func(e error) bool {
		return errors.Is(err, e)
	})
}

// Dialer connects to servers: a connection whose other end has vanished without a word (a machine that lost its power, a firewall
// that forgot the connection) ends with an error within about a minute, and not after the quarter of an hour that the system
// takes by itself.
func Dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:         20 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 20 * time.Second, Interval: 10 * time.Second, Count: 4},
		Control:         giveUp,
	}
}
