package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// front is the one address that users know. It passes every request on to the address in the file state; while there is
// none it says that the shop is moving.
func front(state string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConnsPerHost: 256}, // connections that are dialled and not used hold a server's end up
		Rewrite: func(p *httputil.ProxyRequest) {
			if to, ok := p.In.Context().Value(addressee{}).(*url.URL); ok {
				p.SetURL(to)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { say(w, http.StatusBadGateway, err.Error()) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		to, err := pointed(state)
		switch {
		case err != nil:
			say(w, http.StatusBadGateway, err.Error())
		case to == nil:
			w.Header().Set("Retry-After", "1")
			say(w, http.StatusServiceUnavailable, "we are moving and will be back in a moment")
		default:
			proxy.ServeHTTP(w, q.WithContext(context.WithValue(q.Context(), addressee{}, to)))
		}
	})
}

// addressee is where a request goes, in its context.
type addressee struct{}

// pointed reads where users are sent; nil for nowhere.
func pointed(state string) (*url.URL, error) {
	text, err := os.ReadFile(state)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return url.Parse(string(text))
}

// point sends users to an address from now on, once it answers; to none where it is empty. Again: does nothing.
func point(ctx context.Context, state, to string) error {
	if to != "" {
		if err := healthy(ctx, to); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(state), ".point-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(to)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), state)
}

// healthy waits until a server answers that it is well, for at most half a minute.
func healthy(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var last error
	for {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/health", nil)
		if err != nil {
			return err
		}
		a, err := http.DefaultClient.Do(q)
		if err == nil {
			_ = a.Body.Close()
			if a.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(a.Status)
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not well: %w", at, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the server that has written the file pid, and returns when it has answered its last request. Again: does nothing.
func stop(ctx context.Context, pid string) error {
	text, err := os.ReadFile(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	n, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	if err := syscall.Kill(n, syscall.SIGTERM); errors.Is(err, syscall.ESRCH) {
		return os.Remove(pid)
	} else if err != nil {
		return fmt.Errorf("end process %d: %w", n, err)
	}
	for {
		if _, err := os.Stat(pid); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of process %d: %w", n, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
