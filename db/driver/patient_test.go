//go:build linux

package driver_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
)

// talk connects to a server that is played here: it gets the other end and ends when the play does.
func talk(t *testing.T, server func(c net.Conn)) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		server(c)
	}()
	c, err := driver.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = c.Close(), l.Close(), <-done })
	return c
}

// A long answer in small pieces is read in few large ones, whole, whatever comes after it, and a short one as it comes: where the
// system were told to wait for much and not for a byte any more, one of these reads would wait for ever.
func TestALongAnswerIsReadInLargePieces(t *testing.T) {
	const piece, pieces = 8 << 10, 500
	want := bytes.Repeat([]byte("whimbrel"), piece/8*pieces)
	c := talk(t, func(c net.Conn) {
		ask := make([]byte, 1)
		for range 2 {
			if _, err := io.ReadFull(c, ask); err != nil {
				return
			}
			for i := range pieces {
				_, _ = c.Write(want[i*piece : (i+1)*piece])
				for begun := time.Now(); time.Since(begun) < 50*time.Microsecond; { // a server that makes its rows
				}
			}
			_, _ = io.ReadFull(c, ask) // the client has all
			_, _ = c.Write([]byte("short"))
		}
	})
	for range 2 {
		say(t, c)
		var got bytes.Buffer
		reads, buffer := 0, make([]byte, 64<<10)
		for got.Len() < len(want) {
			n, err := c.Read(buffer)
			if err != nil {
				t.Fatalf("after %d bytes: %v", got.Len(), err)
			}
			got.Write(buffer[:n])
			reads++
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Error("other bytes came than were sent")
		}
		if reads > pieces/2 {
			t.Errorf("%d pieces were read in %d reads", pieces, reads)
		}
		say(t, c)
		if _, err := io.ReadFull(c, buffer[:5]); err != nil || string(buffer[:5]) != "short" {
			t.Fatalf("%q: %v", buffer[:5], err)
		}
	}
}

// say sends one byte.
func say(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
}

// A byte that comes long after much has come wakes the reader, a deadline that passes meanwhile ends its wait, and so does the end.
func TestWaitsInALongAnswer(t *testing.T) {
	late, over := make(chan struct{}), make(chan struct{})
	const much = 1 << 20
	c := talk(t, func(c net.Conn) {
		_, _ = c.Write(make([]byte, much))
		<-late
		_, _ = c.Write([]byte("x"))
		<-over
	})
	buffer := make([]byte, 64<<10)
	if _, err := io.ReadFull(c, make([]byte, much)); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(buffer); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wait %d: %v", n, err)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	close(late)
	if n, err := c.Read(buffer); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	close(over)
	if n, err := c.Read(buffer); !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
}

// What broke a connection in the middle of a long answer is told, and not that the answer was at its end.
func TestALongAnswerThatBreaksOff(t *testing.T) {
	broken := make(chan struct{})
	c := talk(t, func(c net.Conn) {
		_, _ = c.Write(make([]byte, 1<<20))
		<-broken
		_, _ = c.Write([]byte("x"))
		_ = c.(*net.TCPConn).SetLinger(0) // the end is a reset
	})
	if _, err := io.ReadFull(c, make([]byte, 1<<20-1)); err != nil {
		t.Fatal(err)
	}
	close(broken)
	buffer := make([]byte, 64<<10)
	for {
		switch n, err := c.Read(buffer); {
		case errors.Is(err, syscall.ECONNRESET):
			return
		case err != nil || n == 0:
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
}

// A library that gives a connection up may have one goroutine read what is left and another one wait still: each is told the end.
func TestTwoReadersOfOneConnection(t *testing.T) {
	over := make(chan struct{})
	c := talk(t, func(c net.Conn) {
		for range 200 {
			_, _ = c.Write(make([]byte, 8<<10))
		}
		<-over
	})
	if _, err := io.ReadFull(c, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	ends := make(chan error)
	for range 2 {
		go func() {
			_, err := io.Copy(io.Discard, c)
			ends <- err
		}()
	}
	close(over)
	for range 2 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
}

// Libraries look below a connection whether the other end still stands.
func TestALibraryCanLookBelow(t *testing.T) {
	over := make(chan struct{})
	c := talk(t, func(net.Conn) { <-over })
	defer close(over)
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(uintptr) {}); err != nil {
		t.Error(err)
	}
}
