package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// entry is one thing that a user wanted, and what came of it.
type entry struct {
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	Session int       `json:"session"`
	Did     string    `json:"did"`
	Status  int       `json:"status"` // the answer; 0 for none
	Why     string    `json:"why,omitempty"`
	Order   *Order    `json:"order,omitempty"`    // as it was acknowledged, or as it was asked for
	Person  *Customer `json:"customer,omitempty"` // and so is this
	Name    string    `json:"name,omitempty"`     // of a setting
	Value   string    `json:"value,omitempty"`
}

// What users do.
const (
	didPlace  = "place"
	didCancel = "cancel"
	didRename = "rename"
	didRead   = "read"
	didGreet  = "welcome"
	didSet    = "set"
)

// acknowledged reports whether the shop said that it is done.
func (e entry) acknowledged() bool { return e.Status == 200 || e.Status == 201 }

// failed reports whether the user met an error, of any kind but a plain no.
func (e entry) failed() bool { return !e.acknowledged() && e.Status != 409 }

// unknown reports whether it may have been done although nobody said so.
func (e entry) unknown() bool { return e.Status == 0 || e.Status == 500 || e.Status == 502 }

// journal is a file with an entry a line.
type journal struct {
	mu   sync.Mutex
	file *os.File
}

// openJournal goes on with a journal, or begins it.
func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &journal{file: f}, err
}

func (j *journal) note(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.file.Write(append(line, '\n'))
	return err
}

// readJournal reads a journal, in the order in which things ended.
func readJournal(path string) ([]entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []entry
	for d := json.NewDecoder(bufio.NewReader(f)); ; {
		var e entry
		switch err := d.Decode(&e); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, e)
	}
}
