package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// serve answers requests until the context ends, then ends those under way. The file pid, if one is named, is there while it serves.
func serve(ctx context.Context, listen, pid string, handler http.Handler) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	if pid != "" {
		if err := os.WriteFile(pid, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return errors.Join(err, l.Close())
		}
		defer os.Remove(pid)
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return s.Shutdown(ctx)
}

// api is the shop's HTTP API, the same in both releases.
func api(r Release, version string) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /health", func(w http.ResponseWriter, q *http.Request) {
		v, err := r.Version(q.Context())
		if err == nil && v != version {
			err = fmt.Errorf("the program is release %s and the database %s", version, v)
		}
		answer(w, http.StatusOK, map[string]string{"release": version}, err)
	})
	m.HandleFunc("GET /welcome", func(w http.ResponseWriter, q *http.Request) {
		text, err := r.Text(q.Context(), "en", "welcome")
		if err != nil {
			answer(w, 0, nil, err)
			return
		}
		banner, err := r.Setting(q.Context(), "banner")
		answer(w, http.StatusOK, map[string]string{"text": fmt.Sprintf(text, q.FormValue("name")), "banner": banner}, err)
	})
	m.HandleFunc("PUT /settings/{name}", func(w http.ResponseWriter, q *http.Request) {
		var s struct{ Value string }
		if read(w, q, &s) {
			answer(w, http.StatusOK, s, r.Set(q.Context(), q.PathValue("name"), s.Value))
		}
	})
	m.HandleFunc("GET /customers/{id}", func(w http.ResponseWriter, q *http.Request) {
		c, err := r.Customer(q.Context(), number(q))
		answer(w, http.StatusOK, c, err)
	})
	m.HandleFunc("PUT /customers/{id}", func(w http.ResponseWriter, q *http.Request) {
		var c Customer
		if read(w, q, &c) {
			c.ID = number(q)
			answer(w, http.StatusOK, c, r.Rename(q.Context(), c.ID, c.Name))
		}
	})
	m.HandleFunc("POST /orders", func(w http.ResponseWriter, q *http.Request) {
		var o Order
		if read(w, q, &o) {
			o, err := r.Place(q.Context(), o)
			answer(w, http.StatusCreated, o, err)
		}
	})
	m.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, q *http.Request) {
		o, err := r.Order(q.Context(), number(q))
		answer(w, http.StatusOK, o, err)
	})
	m.HandleFunc("POST /orders/{id}/cancel", func(w http.ResponseWriter, q *http.Request) {
		answer(w, http.StatusOK, map[string]string{"state": cancelled}, r.Cancel(q.Context(), number(q)))
	})
	return m
}

// number is the number in a path; one that is none is that of nothing.
func number(q *http.Request) int64 {
	n, err := strconv.ParseInt(q.PathValue("id"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// read reads what was sent; false when it has answered that it is no such thing.
func read(w http.ResponseWriter, q *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, q.Body, 1<<20)).Decode(into); err != nil {
		say(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

// answer writes what was asked for, or why not.
func answer(w http.ResponseWriter, status int, what any, err error) {
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(what)
	case errors.Is(err, errUnknown):
		say(w, http.StatusNotFound, err.Error())
	case errors.Is(err, errSoldOut), errors.Is(err, errState):
		say(w, http.StatusConflict, err.Error())
	default:
		say(w, http.StatusInternalServerError, err.Error())
	}
}

func say(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why})
}
