package driver

import (
	"context"
	"net"
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
