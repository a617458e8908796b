package postgres

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// try opens a database, and a pool for scripts in the same way, and says why that failed; empty when it did not.
func try(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c := scripts{&database{config: &pgconn.Config{RuntimeParams: map[string]string{}}, home: "public"}}
	pool, refused := c.Pool(t.Context(), u, "")
	if refused == nil {
		_ = pool.Close()
	}
	db, err := Driver.Open(t.Context(), u, driver.Options{Side: driver.Source, Run: "test"})
	if (err == nil) != (refused == nil) {
		t.Errorf("a pool is opened otherwise: %v and %v", err, refused)
	}
	if err == nil {
		_ = db.Close()
		return ""
	}
	if strings.Contains(err.Error()+refused.Error(), testserver.Password) {
		t.Errorf("the password is in %v or %v", err, refused)
	}
	return err.Error()
}

// TestAServerMustProveWhoItIs: one with a certificate of the right authority and name is taken; one of another authority, of another
// name, out of date, or without TLS is not, and the sentence says why.
func TestAServerMustProveWhoItIs(t *testing.T) {
	authority, other := testserver.NewAuthority(t), testserver.NewAuthority(t)
	secure := func(c testserver.Certificate) string {
		cert, key := authority.Sign(t, c)
		s := testserver.New(t, "postgres", "ssl=on", "ssl_cert_file="+cert, "ssl_key_file="+key)
		return strings.Replace(s.URL("postgres"), "?sslmode=disable", "?sslmode=", 1)
	}
	good, stale := secure(testserver.Certificate{Host: "127.0.0.1"}), secure(testserver.Certificate{Host: "127.0.0.1", Expired: true})
	plain := strings.Replace(testserver.Postgres(t), "sslmode=disable", "sslmode=", 1)
	foreign := strings.Replace(good, "@127.0.0.1:", "@localhost:", 1)
	for _, c := range []struct{ name, address, mode, ca, why string }{
		{"the right authority", good, "verify-full", authority.File, ""},
		{"the right authority, any name", good, "verify-ca", authority.File, ""},
		{"another authority", good, "verify-full", other.File, "certificate signed by unknown authority"},
		{"another authority, any name", good, "verify-ca", other.File, "certificate signed by unknown authority"},
		{"the system's authorities", good, "verify-full", "", "certificate signed by unknown authority"},
		{"another name", foreign, "verify-full", authority.File, "wanted to match localhost"},
		{"out of date", stale, "verify-full", authority.File, "certificate has expired"},
		{"no TLS", plain, "verify-full", authority.File, "server refused TLS connection"},
		{"no TLS, no name asked for", plain, "require", "", "server refused TLS connection"},
	} {
		address := c.address + c.mode
		if c.ca != "" {
			address += "&sslrootcert=" + c.ca
		}
		got := try(t, address)
		if (got == "") != (c.why == "") || !strings.Contains(got, c.why) || strings.Contains(got, "\n") {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// TestSomebodyInBetweenIsNotTakenForTheServer: who answers that there is no TLS, and passes everything else on, is told nothing.
func TestSomebodyInBetweenIsNotTakenForTheServer(t *testing.T) {
	u, err := url.Parse(testserver.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 10)
	go func() {
		defer close(heard)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			request := make([]byte, 8)
			if _, err := io.ReadFull(c, request); err == nil {
				_, _ = c.Write([]byte("N"))
			}
			rest, _ := io.ReadAll(io.LimitReader(c, 1000))
			heard <- string(rest)
			_ = c.Close()
		}
	}()
	server := u.Host
	u.Host = l.Addr().String()
	q := u.Query()
	q.Set("sslmode", "verify-full")
	u.RawQuery = q.Encode()
	if got := try(t, u.String()); !strings.Contains(got, "refused TLS") {
		t.Errorf("between us and %s: %q", server, got)
	}
	_ = l.Close()
	came := 0
	for rest := range heard { // of each connection: a second one might do without TLS
		if came++; rest != "" {
			t.Errorf("it was told %q", rest)
		}
	}
	if came == 0 {
		t.Error("nobody came")
	}
}

// TestConnectionsThatProveNothingAreNoted where the server is on another machine.
func TestConnectionsThatProveNothingAreNoted(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"postgres://a@db1/x", ""},
		{"postgres://a@db1/x?sslmode=verify-full", ""},
		{"postgres://a@127.0.0.1/x?sslmode=disable", ""},
		{"postgres://a@localhost/x", ""},
		{"postgres://a@db1/x?sslmode=disable", "not encrypted"},
		{"postgres://a@db1/x?sslmode=prefer", "may be not encrypted"},
		{"postgres://a@db1/x?sslmode=allow", "may be not encrypted"},
		{"postgres://a@db1/x?sslmode=require", "proves"},
		{"postgres://a@10.0.0.1/x?sslmode=verify-ca&sslrootcert=system-is-not-used-here", ""},
		{"postgres:///x?host=db1&sslmode=disable", "not encrypted"},
		{"postgres:///x?host=/tmp", ""},
	} {
		u, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		config, err := configure(u, driver.Options{Side: driver.Source})
		if err != nil {
			continue // the authority's file is not there
		}
		if config.TLSConfig != nil && config.TLSConfig.MinVersion < tls.VersionTLS12 {
			t.Errorf("%s: TLS %x is enough", c.address, config.TLSConfig.MinVersion)
		}
		got := exposed(config)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.address, got)
		}
		if clear := config.RequireAuth; (clear != "") != (c.want != "") {
			t.Errorf("%s: authentication %q", c.address, clear)
		}
	}
}

// TestAGreetingsLengthTakesNoMemory: who has not proven anything says that half a gigabyte comes, and sends nothing.
func TestAGreetingsLengthTakesNoMemory(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write(binary.BigEndian.AppendUint32([]byte{'R'}, 1<<29))
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.Copy(io.Discard, c) // until we have left
			_ = c.Close()
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := try(t, "postgres://mover:"+testserver.Password+"@"+l.Addr().String()+"/shop?sslmode=disable"); got == "" {
		t.Error("a database was opened")
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 64 {
		t.Errorf("the lengths took %d MiB", took)
	}
}
