package driver

import (
	"cmp"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A server sends rows in small pieces (PostgreSQL 8 KiB, MariaDB 16), and a reader who takes each as it comes is woken for each.
// After the first part of a long answer we look only once in a while, and the system does not wake us before much has come: between
// two PostgreSQL servers that spares two fifths of our processor time (docs/performance.md).
const (
	promptly = 256 << 10        // of an answer that is read as it comes
	lookAt   = time.Millisecond // how long more is waited for where all that has come was taken
	enough   = 256 << 10        // of what has come for which the system wakes a reader meanwhile
)

// patient is a connection that is read so. Libraries have two goroutines read at a time where they give a connection up: they take turns,
// as they would at the system, or one would wait for a byte under the other's bound.
type patient struct {
	net.Conn
	raw      syscall.RawConn
	answered atomic.Int64 // bytes read since something was last written

	reading sync.Mutex
	drained bool // the last read took all that had come
	low     bool // the system wakes the reader for any byte: it must whenever a read is to wait
}

// patiently makes a TCP connection patient and leaves others as they are, whose systems wake for every piece in any case.
func patiently(c net.Conn) net.Conn {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return c
	}
	return &patient{Conn: c, raw: raw, low: true}
}

// SyscallConn is the connection's own, by which libraries look whether the other end still stands.
func (p *patient) SyscallConn() (syscall.RawConn, error) { return p.raw, nil }

// Write begins a question, whose answer begins anew.
func (p *patient) Write(b []byte) (int, error) {
	p.answered.Store(0)
	return p.Conn.Write(b)
}

// Read reads what has come.
func (p *patient) Read(b []byte) (n int, err error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	defer func() { p.drained = p.answered.Add(int64(n)) > promptly && n < len(b) }()
	if p.drained && p.answered.Load() > promptly {
		_ = p.wake(enough) // or be woken for each piece
		time.Sleep(lookAt)
		if n, err := p.there(b); n > 0 || err != nil {
			return n, err
		}
	}
	if err := p.wake(1); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// there reads what has come without waiting; 0 where nothing has, or where the connection has ended well or was closed here, which the next
// read tells. An error it must tell itself: the system does not say it twice.
func (p *patient) there(b []byte) (n int, err error) {
	closed := p.raw.Read(func(fd uintptr) bool {
		for {
			if n, err = syscall.Read(int(fd), b); !errors.Is(err, syscall.EINTR) {
				return true
			}
		}
	})
	if closed != nil || errors.Is(err, syscall.EAGAIN) {
		return 0, nil
	}
	if err != nil {
		return 0, &net.OpError{
			Op: "read", Net: p.LocalAddr().Network(), Source: p.LocalAddr(), Addr: p.RemoteAddr(), Err: os.NewSyscallError("read", err),
		}
	}
	return n, nil
}

// wake tells the system how much must have come for it to wake a reader.
func (p *patient) wake(bytes int) error {
	low := bytes == 1
	if low == p.low {
		return nil
	}
	var failed error
	err := p.raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes)
	})
	if err = cmp.Or(err, failed); err == nil {
		p.low = low
	}
	return err
}
