package mysql

import (
	"crypto/tls"
	"net/url"
	"strings"
	"testing"

	"github.com/whimbrel/whimbrel/db/driver"
	"github.com/whimbrel/whimbrel/internal/testserver"
)

// try opens a database and says why that failed; empty when it did not.
func try(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Driver.Open(t.Context(), u, driver.Options{Side: driver.Source, Run: "test"})
	if err == nil {
		_ = db.Close()
		return ""
	}
	if strings.Contains(err.Error(), testserver.Password) {
		t.Errorf("the password is in %v", err)
	}
	return err.Error()
}

// TestAServerMustProveWhoItIs: one with a certificate of the right authority and name is taken; one of another authority, of another
// name, out of date, or without TLS is not, and the sentence says why.
func TestAServerMustProveWhoItIs(t *testing.T) {
	authority, other := testserver.NewAuthority(t), testserver.NewAuthority(t)
	secure := func(c testserver.Certificate) string {
		cert, key := authority.Sign(t, c)
		return testserver.New(t, "mariadb", "ssl-cert="+cert, "ssl-key="+key).Create(t, "shop") + "?tls="
	}
	good, stale := secure(testserver.Certificate{Host: "127.0.0.1"}), secure(testserver.Certificate{Host: "127.0.0.1", Expired: true})
	plain := testserver.MariaDB(t) + "?tls="
	foreign := strings.Replace(good, "@127.0.0.1:", "@localhost:", 1)
	for _, c := range []struct{ name, address, mode, ca, why string }{
		{"the right authority", good, "verify", authority.File, ""},
		{"no proof asked for", good, "skip-verify", "", ""},
		{"another authority", good, "verify", other.File, "certificate signed by unknown authority"},
		{"the system's authorities", good, "verify", "", "certificate signed by unknown authority"},
		{"another name", foreign, "verify", authority.File, "wanted to match localhost"},
		{"out of date", stale, "verify", authority.File, "certificate has expired"},
		{"no TLS", plain, "verify", authority.File, "server does not support TLS"},
		{"no TLS, no proof asked for", plain, "skip-verify", "", "server does not support TLS"},
		{"no authority's file", good, "verify", authority.File + "x", "read the certificate authority"},
	} {
		address := c.address + c.mode
		if c.ca != "" {
			address += "&ca=" + c.ca
		}
		got := try(t, address)
		if (got == "") != (c.why == "") || !strings.Contains(got, c.why) || strings.Contains(got, "\n") {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// TestSomebodyInBetweenIsNotTakenForTheServer: who says that there is no TLS is told nothing.
func TestSomebodyInBetweenIsNotTakenForTheServer(t *testing.T) {
	r := newRogue(t, "mysql_clear_password", nil)
	u := r.url()
	u.RawQuery = "tls=verify"
	if got := try(t, u.String()); !strings.Contains(got, "server does not support TLS") {
		t.Errorf("%q", got)
	}
	if r.told("mover") || r.told("shop") {
		t.Error("it was told who logs in")
	}
}

// TestConnectionsThatProveNothingAreNoted where the server is on another machine.
func TestConnectionsThatProveNothingAreNoted(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"mariadb://a@db1/x", ""},
		{"mariadb://a@db1/x?tls=verify", ""},
		{"mariadb://a@127.0.0.1/x", ""},
		{"mariadb://a@localhost/x?tls=off", ""},
		{"mariadb://a@/x?socket=/s", ""},
		{"mariadb://a@db1/x?tls=off", "not encrypted"},
		{"mysql://a@10.0.0.1/x?tls=skip-verify", "proves"},
	} {
		u, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := configure(u, driver.Options{Side: driver.Source})
		if err != nil {
			t.Fatal(err)
		}
		if cfg.TLS != nil && cfg.TLS.MinVersion < tls.VersionTLS12 {
			t.Errorf("%s: TLS %x is enough", c.address, cfg.TLS.MinVersion)
		}
		if got := (&database{cfg: cfg}).exposed(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.address, got)
		}
	}
}
