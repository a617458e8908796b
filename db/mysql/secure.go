package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"

	gosql "github.com/go-sql-driver/mysql"
)

// secure sets up TLS. A server that is reached over a network must prove who it is unless the URL says otherwise.
func secure(cfg *gosql.Config, q url.Values, host string) error {
	mode := q.Get("tls")
	if mode == "" {
		mode = "verify"
		if local(cfg, host) {
			mode = "off"
		}
	}
	for name := range q {
		if name != "tls" && name != "ca" && name != "socket" {
			return fmt.Errorf("unknown option %q in the URL: tls, ca and socket are known", name)
		}
	}
	switch mode {
	case "off", "false", "disable":
		return nil
	case "verify", "true":
		cfg.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	case "skip-verify":
		cfg.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	default:
		return fmt.Errorf("tls=%s in the URL: off, skip-verify and verify are known", mode)
	}
	if file := q.Get("ca"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the certificate authority: %w", err)
		}
		cfg.TLS.RootCAs = x509.NewCertPool()
		if !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read the certificate authority: no certificate in %s", file)
		}
	}
	return nil
}

// local reports whether a server is reached without a network.
func local(cfg *gosql.Config, host string) bool {
	ip := net.ParseIP(host)
	return cfg.Net == "unix" || host == "" || host == "localhost" || ip != nil && ip.IsLoopback()
}

// exposed says, in a sentence, what somebody between us and a server on another machine could do; empty where it is nothing.
func (d *database) exposed() string {
	host, _, _ := net.SplitHostPort(d.cfg.Addr)
	switch {
	case local(d.cfg, host):
		return ""
	case d.cfg.TLS == nil:
		return "The connection is not encrypted: whoever is between this machine and the server can read the rows and change them."
	case d.cfg.TLS.InsecureSkipVerify:
		return "Nothing proves that the server is the one meant: whoever is between this machine and the server can read the rows and change them."
	}
	return ""
}
