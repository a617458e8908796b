package mysql

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
	"github.com/whimbrel/whimbrel/row"
)

// rogue is a server that says who it is as any server does, and then answers every statement with the same packets.
type rogue struct {
	listener net.Listener
	answer   []byte
	plugin   string // the way to prove who one is, asked for after the greeting; empty: the greeting's own is enough
	mu       sync.Mutex
	heard    bytes.Buffer
	proven   bool // the plugin was answered
	wg       sync.WaitGroup
}

func newRogue(t *testing.T, plugin string, answer []byte) *rogue {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rogue{listener: l, answer: answer, plugin: plugin}
	r.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); r.wg.Wait() })
	return r
}

func (r *rogue) url() *url.URL {
	return &url.URL{Scheme: "mariadb", User: url.UserPassword("mover", testserver.Password), Host: r.listener.Addr().String(), Path: "/shop"}
}

// serve greets, lets in, and answers.
func (r *rogue) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	greeting := append([]byte{10}, "10.11.6-MariaDB\x00"...)
	greeting = append(greeting, 1, 0, 0, 0)
	greeting = append(greeting, "12345678\x00"...)
	greeting = append(greeting, 0xff&^0x08, 0xf7, 45, 2, 0, 0x3f, 0x80|0x08, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	greeting = append(greeting, "123456789012\x00mysql_native_password\x00"...)
	if !r.say(c, 0, greeting) {
		return
	}
	if _, ok := r.hear(c); !ok {
		return
	}
	number := byte(2)
	if r.plugin != "" {
		if !r.say(c, number, append([]byte{0xfe}, r.plugin+"\x0012345678901234567890\x00"...)) {
			return
		}
		if _, ok := r.hear(c); !ok {
			return
		}
		r.mu.Lock()
		r.proven = true
		r.mu.Unlock()
		number += 2
	}
	if !r.say(c, number, []byte{0, 0, 0, 2, 0, 0, 0}) {
		return
	}
	for {
		if _, ok := r.hear(c); !ok {
			return
		}
		if _, err := c.Write(r.answer); err != nil {
			return
		}
		if _, ok := r.hear(c); !ok { // what is sent of the file that was asked for
			return
		}
		if !r.say(c, 3, []byte{0, 0, 0, 2, 0, 0, 0}) {
			return
		}
	}
}

func (r *rogue) say(c net.Conn, number byte, payload []byte) bool {
	n := len(payload)
	_, err := c.Write(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), number}, payload...))
	return err == nil
}

func (r *rogue) hear(c net.Conn) ([]byte, bool) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, false
	}
	payload := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	_, err := io.ReadFull(c, payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard.Write(payload)
	return payload, err == nil
}

func (r *rogue) told(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.heard.Bytes(), []byte(what))
}

// TestARogueServerGetsNoFile: a server may answer any statement with a request for a file of ours.
func TestARogueServerGetsNoFile(t *testing.T) {
	const canary = "k4nary-of-a-file"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, "Reader::whimbrel", "Reader::", "file://" + file} {
		r := newRogue(t, "", packets(continued, nil, append([]byte{packetFile}, name...))[4:])
		if _, err := Driver.Open(t.Context(), r.url(), driver.Options{Side: driver.Target, Run: "test"}); err == nil {
			t.Errorf("%s: a database was opened", name)
		}
		if r.told(canary) {
			t.Errorf("%s: the server was given the file", name)
		}
		if !r.told("SELECT CONNECTION_ID()") {
			t.Errorf("%s: the server was asked nothing, so that nothing is proven", name)
		}
	}
	// Below the client library, where the rows of LOAD DATA go out: what is sent is what stands in our own buffer.
	said := &tape{said: packets(continued, nil, append([]byte{packetFile}, file...))[4:], parts: 1000}
	w := newWire(said)
	if err := w.pour("LOAD DATA LOCAL INFILE 'x' INTO TABLE t"); err != nil {
		t.Fatal(err)
	}
	w.out = append(w.out, "a row\n"...)
	_, _, _ = w.end()
	if text := said.heard.String(); strings.Contains(text, canary) || !strings.Contains(text, "a row") {
		t.Errorf("%q", text)
	}
	if err := newWire(&tape{said: packets(continued, nil, append([]byte{packetFile}, file...))[4:], parts: 9}).query("SELECT 1", 1); err == nil {
		t.Error("a query was answered by a request for a file, and taken")
	}
}

// TestARogueServerGetsNoPassword: neither as plain text nor in an old form that gives it away.
func TestARogueServerGetsNoPassword(t *testing.T) {
	for _, plugin := range []string{"mysql_clear_password", "mysql_old_password", "dialog", "auth_gssapi_client"} {
		r := newRogue(t, plugin, nil)
		_, err := Driver.Open(t.Context(), r.url(), driver.Options{Side: driver.Source, Run: "test"})
		if err == nil || r.told(testserver.Password) || strings.Contains(err.Error(), testserver.Password) {
			t.Errorf("%s: %v", plugin, err)
		}
		r.mu.Lock()
		if r.proven {
			t.Errorf("%s: the server was given what it asked for", plugin)
		}
		r.mu.Unlock()
	}
}

// TestLengthsAloneTakeNoMemory: a server that says that a gigabyte comes, and sends nothing.
func TestLengthsAloneTakeNoMemory(t *testing.T) {
	long := binary.LittleEndian.AppendUint64([]byte{0xfe}, 1<<30)
	packet := append([]byte{0xff, 0xff, 0xff, 0}, long...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 8 {
		w, b := newWire(&tape{said: packet, parts: 1 << 20}), row.NewBatch(3)
		if err := w.next(plainCells(3), b); err == nil {
			t.Fatal("half a row was taken")
		}
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 8*40 {
		t.Errorf("eight lengths took %d MiB", took)
	}
	// A value that is really long arrives whole.
	value := bytes.Repeat([]byte("0123456789abcdef"), 3<<20)
	cells := [][]byte{[]byte("1"), value, []byte("2")}
	w, b := newWire(&tape{said: packets(continued, payload(cells, 8)), parts: 1 << 20}), row.NewBatch(3)
	if err := w.next(plainCells(3), b); err != nil || !bytes.Equal(b.Cell(0, 1), value) {
		t.Errorf("a value of %d MiB: %v", len(value)>>20, err)
	}
}

// TestNamesOfOursAreRefused: a table of the application that has the very name of one of ours forbids the move, one whose name only
// begins so moves, and neither is taken away by a move that ends.
func TestNamesOfOursAreRefused(t *testing.T) {
	s := source(t)
	s.do("CREATE TABLE whimbrel_source_notes (id INT PRIMARY KEY)", "CREATE TABLE whimbrel_orders (id INT PRIMARY KEY)")
	named := func() (names []string) {
		notes, err := s.Inspector.Settings(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range notes {
			if n.Rule == "name-of-ours" && n.Level == driver.Forbidden {
				names = append(names, n.Message)
			}
		}
		return names
	}
	if got := named(); len(got) > 0 {
		t.Errorf("refused: %q", got)
	}
	table := s.inspect("whimbrel_orders")
	table.Number = 1
	if err := s.Capturer.Install(s.ctx, table, shapeOf(table), driver.Wait{}); err != nil {
		t.Fatal(err)
	}
	if got := named(); len(got) > 0 {
		t.Errorf("refused while a move is under way: %q", got)
	}
	for range 2 {
		if err := s.Capturer.Finish(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if s.inspect("whimbrel_source_notes") == nil {
		t.Error("the application's table is gone")
	}
	s.do("CREATE TABLE whimbrel_source_lane (id INT PRIMARY KEY)")
	if got := named(); len(got) != 1 {
		t.Errorf("refused: %q", got)
	}
}
