package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one process of a server, as /proc shows it.
type process struct {
	id    int
	ticks int64 // of processor time, its own and that of the children it has waited for
}

// processes lists the server's main process and its children. PostgreSQL's children are leaders of groups of their own.
func (s *Server) processes() ([]process, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	main := strconv.Itoa(s.cmd.Process.Pid)
	var all []process
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has just ended
		}
		id := filepath.Base(filepath.Dir(f))
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 15 || id != main && fields[1] != main {
			continue
		}
		p := process{}
		if p.id, err = strconv.Atoi(id); err != nil {
			return nil, err
		}
		for _, field := range fields[11:15] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", f, err)
			}
			p.ticks += n
		}
		all = append(all, p)
	}
	return all, nil
}

// CPU returns the processor time that the server's processes have used so far, those that have ended included.
func (s *Server) CPU() (time.Duration, error) {
	if s.cmd == nil {
		return 0, fmt.Errorf("%s does not run", s.Product)
	}
	all, err := s.processes()
	var ticks int64
	for _, p := range all {
		ticks += p.ticks
	}
	return time.Duration(ticks) * (time.Second / 100), err // a tick is 1/100 s on every Linux that Go runs on
}

// Kill ends the server with SIGKILL, every process of it, and waits for its end. Again: does nothing.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	all, _ := s.processes()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	for _, p := range all {
		_ = syscall.Kill(p.id, syscall.SIGKILL)
	}
	<-s.ended
	s.cmd = nil
}

// Crash is Kill, and Restart what follows it: the server is started again on its own port and files, and answers when Restart
// returns. What a killed server leaves behind for a moment, its port or its memory, is waited for.
func (s *Server) Crash() { s.Kill() }

// Restart starts a server that was killed, or has ended by itself. Again: does nothing while it runs.
func (s *Server) Restart() error {
	var err error
	for range 20 {
		if s.Runs() {
			return nil
		}
		s.Kill() // what is left of it
		if err = s.run(); err == nil {
			return nil
		}
		<-time.After(200 * time.Millisecond)
	}
	return fmt.Errorf("restart %s: %w", s.Product, err)
}

// Runs reports whether the server's main process is there.
func (s *Server) Runs() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}
