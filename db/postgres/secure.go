package postgres

import (
	"crypto/tls"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A message's length alone takes its memory: mostGreeting bounds those of a server that has not proven anything, mostMessage those
// of one that we have logged in to, which are no longer than a row can be.
const (
	mostGreeting = 1 << 20
	mostMessage  = 1 << 30
)

// local reports whether every host of a list is this machine. An empty one is: it is reached through a socket.
func local(hosts string) bool {
	for host := range strings.SplitSeq(hosts, ",") {
		ip := net.ParseIP(host)
		if host != "" && host != "localhost" && !strings.HasPrefix(host, "/") && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// exposed says, in a sentence, what somebody between us and a server on another machine could do; empty where it is nothing.
func exposed(c *pgconn.Config) string {
	ways := []*pgconn.FallbackConfig{{Host: c.Host, TLSConfig: c.TLSConfig}}
	ways = append(ways, c.Fallbacks...)
	plain, secret, unproven := 0, 0, 0
	for _, w := range ways {
		switch {
		case local(w.Host):
		case w.TLSConfig == nil:
			plain++
		case w.TLSConfig.InsecureSkipVerify && w.TLSConfig.VerifyPeerCertificate == nil && w.TLSConfig.VerifyConnection == nil:
			secret, unproven = secret+1, unproven+1
		default:
			secret++
		}
	}
	switch {
	case plain > 0 && secret > 0:
		return "The connection may be not encrypted: whoever is between this machine and the server can read the rows and change them."
	case plain > 0:
		return "The connection is not encrypted: whoever is between this machine and the server can read the rows and change them."
	case unproven > 0:
		return "Nothing proves that the server is the one meant: whoever is between this machine and the server can read the rows and change them."
	}
	return ""
}

// hardened sets the least version of TLS.
func hardened(t *tls.Config) {
	if t != nil && t.MinVersion < tls.VersionTLS12 {
		t.MinVersion = tls.VersionTLS12
	}
}

// reason is what is wrong with a URL, without the URL's parameters, which might be a password.
func reason(err error, words url.Values) string {
	text := err.Error()
	for name, values := range words {
		for _, v := range values {
			if v != "" && name != "sslmode" {
				text = strings.ReplaceAll(strings.ReplaceAll(text, v, "***"), url.QueryEscape(v), "***")
			}
		}
	}
	return text
}
