// Package console lets other processes see a move that is under way and answer its questions: HTTP over a Unix socket in
// the move's folder, open to its owner only. Serve is the side of the process that runs the move, Dial the others'.
//
//	GET  /status   the move as it stands (move.Status)
//	GET  /report   the report so far (move.Report)
//	POST /answer   {"step": …, "answer": …}; 409 with {"error": …} when it is not taken
package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/whimbrel/whimbrel/internal/move"
)

// Socket is the name of the socket in the move's folder.
const Socket = "socket"

// ErrNobody says that no process runs the move.
var ErrNobody = errors.New("no process runs this move")

// Move is what a console shows.
type Move interface {
	move.Desk
	Report(ctx context.Context) (move.Report, error)
}

// Server is a console that is open.
type Server struct {
	http   *http.Server
	socket string
	wg     sync.WaitGroup
}

// Serve opens the console of a move in its folder. Only the process that holds the folder's lock may call it: a socket that
// is there was left behind by a process that died, and is taken away. Close closes the console.
func Serve(dir string, m Move) (*Server, error) {
	socket := filepath.Join(dir, Socket)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	var listener *net.UnixListener
	err := short(dir, func(path string) (err error) {
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	listener.SetUnlinkOnClose(false) // it would take the short path away, not the socket
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open the console: %w", err), listener.Close())
	}
	s := &Server{http: &http.Server{Handler: handler(m), ReadHeaderTimeout: 10 * time.Second}, socket: socket}
	s.wg.Go(func() { _ = s.http.Serve(listener) }) // it ends with Close
	return s, nil
}

// Close ends the console and takes its socket away. Again: does nothing.
func (s *Server) Close() error {
	err := s.http.Close()
	s.wg.Wait()
	if gone := os.Remove(s.socket); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// answer is the body of POST /answer, failure that of every error.
type answer struct {
	Step   string `json:"step"`
	Answer string `json:"answer"`
}

type failure struct {
	Error string `json:"error"`
}

func handler(m Move) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		s, err := m.Status(r.Context())
		reply(w, s, err)
	})
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		report, err := m.Report(r.Context())
		reply(w, report, err)
	})
	mux.HandleFunc("POST /answer", func(w http.ResponseWriter, r *http.Request) {
		var a answer
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&a); err != nil {
			write(w, http.StatusBadRequest, failure{"this is not an answer: " + err.Error()})
			return
		}
		if err := m.Answer(r.Context(), a.Step, a.Answer); err != nil {
			write(w, http.StatusConflict, failure{err.Error()})
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func reply(w http.ResponseWriter, body any, err error) {
	if err != nil {
		write(w, http.StatusInternalServerError, failure{err.Error()})
		return
	}
	write(w, http.StatusOK, body)
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a reader that went away is no concern of the move's
}

// Client reaches the console of another process.
type Client struct{ http http.Client }

var _ Move = (*Client)(nil)

// Dial returns a client of the console in a folder, or ErrNobody when no process runs the move.
func Dial(dir string) (*Client, error) {
	connect := func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = short(dir, func(path string) error {
			conn, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
			return err
		})
		return conn, err
	}
	conn, err := connect(context.Background(), "", "")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNobody
	}
	if err != nil {
		return nil, fmt.Errorf("reach the process that runs this move: %w", err)
	}
	transport := &http.Transport{DialContext: connect, MaxIdleConns: 1, IdleConnTimeout: time.Minute}
	return &Client{http: http.Client{Transport: transport}}, conn.Close()
}

// Close ends the client's connections. Again: does nothing.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Status describes the move as it stands now.
func (c *Client) Status(ctx context.Context) (s move.Status, err error) {
	err = c.call(ctx, http.MethodGet, "status", nil, &s)
	return s, err
}

// Report describes the move so far.
func (c *Client) Report(ctx context.Context) (r move.Report, err error) {
	err = c.call(ctx, http.MethodGet, "report", nil, &r)
	return r, err
}

// Answer answers the open question of a step.
func (c *Client) Answer(ctx context.Context, step, text string) error {
	body, err := json.Marshal(answer{Step: step, Answer: text})
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, "answer", body, nil)
}

// call makes one request. An error that the other process sent is returned in its words.
func (c *Client) call(ctx context.Context, method, name string, body []byte, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://whimbrel/"+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return ErrNobody
		}
		return fmt.Errorf("ask the process that runs this move: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		var f failure
		if err := json.NewDecoder(answer.Body).Decode(&f); err != nil || f.Error == "" {
			return fmt.Errorf("the process that runs this move answered %s", answer.Status)
		}
		return errors.New(f.Error)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
